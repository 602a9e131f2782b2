from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ForbiddenError, InvalidRequestError, NotFoundError
from taskrunner.model import api_view
from taskrunner.model.plan import StepKind
from taskrunner.model.run import StepState, StepStatus
from taskrunner.model.run_filters import ALL_RUNS
from taskrunner.usecases import read_run
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.read_state import run_state
from taskrunner.usecases.settle_run import settle_run
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    ANA,
    BOB,
    GATED,
    TENANT,
    a_request,
    a_world,
    decide,
    entry_ids,
    gate,
    step,
)

if TYPE_CHECKING:
    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonObject
    from taskrunner.usecases.read_run import Log

BUILD = pack(
    "- {id: ship, run: {uses: builtin:build, with: {files: {a: b}}}}",
    spec="""
    outputs:
      - {name: zip, type: file, path: /output/bundle.zip}
      - {name: missing, type: file, path: /output/missing.json}
      - {name: files, type: object, expression: "{{ steps.ship.outputs.files }}"}
    """,
)


def lines(read: Log) -> list[Any]:
    return [json.loads(line) for line in read.text.splitlines()]


def run_log(world: MemoryWorld, cursor: str | None = None, limit: int | None = None) -> Log:
    return read_run.run_log(TENANT, "run-7", cursor, limit, world)


class TestState:
    def test_is_the_fold_of_the_journal(self) -> None:
        world = a_world(GATED)
        step(world, "build")
        world.clock.advance(60)
        gate(world)

        state = run_state(TENANT, "run-7", world)

        assert state["status"] == "waiting"
        assert state["startedAt"] == "2025-12-06T12:00:00.000Z"
        assert state["updatedAt"] == "2025-12-06T12:01:00.000Z"
        build, review, ship = state["steps"]
        assert (build["status"], build["attempts"]) == ("Succeeded", 1)
        assert (review["status"], review["statusReason"]) == ("Pending", "awaiting-approval")
        assert (review["approvalId"], review["gateMessage"]) == (
            "security",
            "Look at the build first",
        )
        assert (ship["status"], ship["attempts"]) == ("Pending", 0)

    def test_does_not_find_a_run_of_another_tenant(self) -> None:
        with pytest.raises(NotFoundError):
            run_state("globex", "run-7", a_world())


class TestLog:
    def test_has_a_line_for_each_entry_in_order(self) -> None:
        world = a_world()
        step(world, "ship")

        found = lines(run_log(world))

        assert [line["eventType"] for line in found] == [
            "run.created",
            "run.started",
            "step.started",
            "step.completed",
        ]
        assert found[2] == {
            "timestamp": "2025-12-06T12:00:00.000Z",
            "level": "info",
            "eventType": "step.started",
            "message": "Starting step: ship",
            "stepId": "ship",
            "metadata": {"attempt": "1", "uses": "builtin:noop"},
            "cursor": "0.2",
        }

    def test_continues_after_the_line_of_a_cursor(self) -> None:
        world = a_world()
        step(world, "ship")

        first = run_log(world, limit=3)
        rest = run_log(world, first.cursor)

        assert len(lines(first)) == 3
        assert [line["eventType"] for line in lines(rest)] == ["step.completed"]

    def test_returns_the_same_cursor_when_there_are_no_new_lines(self) -> None:
        world = a_world()
        end = run_log(world).cursor

        assert run_log(world, end) == read_run.Log("", end)

    def test_begins_at_its_end_and_is_followed_from_there(self) -> None:
        world = a_world()
        step(world, "ship")
        everything = lines(run_log(world))

        end = read_run.run_log_end(TENANT, "run-7", 2, world)

        assert lines(end) == everything[-2:]
        assert end.cursor == everything[-1]["cursor"]
        assert lines(read_run.run_log_end(TENANT, "run-7", 1000, world)) == everything

    def test_goes_back_from_an_entry(self) -> None:
        world = a_world()
        step(world, "ship")
        everything = lines(run_log(world))

        def before(entry: dict[str, Any]) -> list[dict[str, Any]]:
            log = read_run.run_log_end(TENANT, "run-7", 2, world, before=entry["cursor"])
            return lines(log)

        assert before(everything[-2]) == everything[-4:-2]
        assert before(everything[1]) == everything[:1]
        assert before(everything[0]) == []
        with pytest.raises(InvalidRequestError):
            read_run.run_log_end(TENANT, "run-7", 2, world, before="elsewhere")

    def test_does_not_show_the_end_to_another_tenant(self) -> None:
        with pytest.raises(NotFoundError):
            read_run.run_log_end("globex", "run-7", 2, a_world())

    @pytest.mark.parametrize(
        "cursor", ["", "0", "0.", "-1.0", "a.b", "0.0 ", "0.0\n", "1.1.1", "0." + "1" * 10, "٣.٣"]
    )
    def test_rejects_a_cursor_that_it_has_not_given_out(self, cursor: str) -> None:
        with pytest.raises(InvalidRequestError, match="cursor"):
            run_log(a_world(), cursor)

    def test_divides_a_large_log_into_answers_that_lambda_can_send(self) -> None:
        world = a_world()
        snapshot = world.runs.snapshot(TENANT, "run-7")
        (created,) = (placed.entry for placed in snapshot.last_entries)
        for number in range(9):
            large = type(created)(
                id=f"e{number}",
                occurred_at=created.occurred_at,
                event=created.event,
                message="x" * 1_000_000,
            )
            world.runs.append(snapshot, [large])

        found: list[Any] = []
        cursor: str | None = None
        while (page := run_log(world, cursor)).text:
            assert len(page.text) < 5_000_000
            found += lines(page)
            cursor = page.cursor

        assert len(found) == len(entry_ids(world))
        end = read_run.run_log_end(TENANT, "run-7", 9, world)
        assert len(end.text) < 5_000_000
        assert lines(end) == found[-len(lines(end)) :]
        assert end.cursor == cursor


class TestArtifacts:
    def test_lists_the_outputs_that_an_unfinished_run_still_expects(self) -> None:
        world = a_world(BUILD)
        before = read_run.run_artifacts(TENANT, "run-7", world)
        step(world, "ship")

        after = read_run.run_artifacts(TENANT, "run-7", world)

        assert before[0] == {"name": "files", "type": "object", "status": "pending"}
        assert [(artifact["name"], artifact["status"]) for artifact in after] == [
            ("files", "pending"),
            ("missing", "pending"),
            ("zip", "captured"),
        ]

    def test_lists_what_an_ended_run_has_captured(self) -> None:
        world = a_world(BUILD)
        step(world, "ship")
        settle_run(TENANT, "run-7", None, world)

        found = read_run.run_artifacts(TENANT, "run-7", world)

        assert [(artifact["name"], artifact["status"]) for artifact in found] == [
            ("evidence-bundle", "captured"),
            ("files", "captured"),
            ("missing", "failed"),
            ("zip", "captured"),
        ]
        assert found[1]["expressionJson"] == '["a"]'

    def test_returns_a_url_of_a_file(self) -> None:
        world = a_world(BUILD)
        step(world, "ship")

        url = read_run.artifact_url(TENANT, "run-7", "zip", world)

        (path,) = (path for _, path in world.artifacts.files)
        assert url == f"memory:///acme/{path}"
        assert re.fullmatch(r"runs/run-7/artifacts/[0-9a-f]{64}/zip", path)

    def test_returns_the_content_if_it_is_asked_for_and_not_too_large(self) -> None:
        world = a_world(BUILD)
        step(world, "ship")
        settle_run(TENANT, "run-7", None, world)

        without = read_run.artifact_link(TENANT, "run-7", "files", world)
        small = read_run.artifact_link(TENANT, "run-7", "files", world, with_content=True)
        stored = world.runs.of(TENANT, "run-7").artifacts
        stored["files", None] = replace(stored["files", None], size_bytes=4 * 1024 * 1024 + 1)
        large = read_run.artifact_link(TENANT, "run-7", "files", world, with_content=True)

        assert small == without | {"content": b64encode(b'["a"]').decode()}
        assert large == without

    def test_a_content_that_retention_has_deleted_is_not_found(self) -> None:
        world = a_world(BUILD)
        step(world, "ship")
        world.artifacts.files.clear()

        with pytest.raises(NotFoundError, match="content of the artifact zip"):
            read_run.artifact_link(TENANT, "run-7", "zip", world, with_content=True)

    def test_returns_a_url_of_a_value(self) -> None:
        world = a_world(BUILD)
        step(world, "ship")
        settle_run(TENANT, "run-7", None, world)

        url = read_run.artifact_url(TENANT, "run-7", "files", world)

        files = {
            f"memory:///{tenant}/{path}": text
            for (tenant, path), text in world.artifacts.files.items()
        }
        assert files[url] == b'["a"]'

    @pytest.mark.parametrize("name", ["missing", "nothing"])
    def test_does_not_find_an_artifact_without_a_file(self, name: str) -> None:
        world = a_world(BUILD)
        step(world, "ship")
        settle_run(TENANT, "run-7", None, world)

        with pytest.raises(NotFoundError, match=name):
            read_run.artifact_url(TENANT, "run-7", name, world)

    def test_does_not_find_artifacts_of_another_tenant(self) -> None:
        world = a_world(BUILD)

        with pytest.raises(NotFoundError):
            read_run.run_artifacts("globex", "run-7", world)
        with pytest.raises(NotFoundError):
            read_run.artifact_url("globex", "run-7", "zip", world)
        with pytest.raises(NotFoundError):
            read_run.run_log("globex", "run-7", None, None, world)


class TestList:
    def test_lists_runs_with_their_status(self) -> None:
        world = MemoryWorld()
        for run_id in ("queued", "running", "waiting", "ended"):
            world.clock.advance(-60)
            create_run(a_request(GATED, run_id=run_id), world)
        self.go_on(world, "running", "build")
        self.go_on(world, "waiting", "build", "review")
        settle_run(TENANT, "ended", None, world)

        listed = read_run.list_runs(TENANT, 10, None, ALL_RUNS, world)

        assert [(run["runId"], run["status"]) for run in listed["runs"]] == [
            ("queued", "queued"),
            ("running", "running"),
            ("waiting", "waiting"),
            ("ended", "succeeded"),
        ]
        assert listed.keys() == {"runs"}
        assert all("outcome" not in run for run in listed["runs"])

    @staticmethod
    def go_on(world: MemoryWorld, run_id: str, *reached: str) -> None:
        from taskrunner.model.run import StepReference  # noqa: PLC0415
        from taskrunner.usecases.enter_gate import enter_gate  # noqa: PLC0415
        from taskrunner.usecases.run_step import run_step  # noqa: PLC0415

        for step_id in reached:
            reference = StepReference(TENANT, run_id, step_id)
            if step_id == "review":
                enter_gate(reference, "token", world)
            else:
                run_step(reference, world, remaining_s=900)

    def test_continues_a_list_at_its_cursor(self) -> None:
        world = MemoryWorld()
        for number in range(3):
            world.clock.advance(60)
            create_run(a_request(run_id=f"run-{number}"), world)

        first = read_run.list_runs(TENANT, 2, None, ALL_RUNS, world)
        second = read_run.list_runs(TENANT, 2, first["nextCursor"], ALL_RUNS, world)

        runs = [run["runId"] for page in (first, second) for run in page["runs"]]
        assert runs == ["run-2", "run-1", "run-0"]
        assert "nextCursor" not in second

    def test_lists_open_approvals_until_their_run_ends(self) -> None:
        world = a_world(GATED)
        gate(world)
        (open_one,) = read_run.list_approvals(TENANT, 10, None, BOB, world)["approvals"]

        cancel_run(TENANT, "run-7", "bob", world)

        assert open_one["approvalId"] == "security"
        assert read_run.list_approvals(TENANT, 10, None, BOB, world) == {"approvals": []}


class TestStandingOfTheCaller:
    """The caller's right to decide, which a decision of the same caller must agree with."""

    TWO = pack(
        "- {id: review, gate: {approval: {id: security}}}",
        spec="""
        inputs: [{name: image, type: string, default: "alpine:3"}]
        secrets: [{name: token}]
        approvals:
          - {id: security, grants: [lead], minApprovals: 2, distinctFromRequester: true}
        """,
    )
    LEAD = replace(BOB, grants=frozenset({"lead"}))

    def listed(self, world: MemoryWorld, caller: Caller) -> JsonObject:
        (approval,) = read_run.list_approvals(TENANT, 10, None, caller, world)["approvals"]
        found: JsonObject = approval
        return found

    def test_shows_what_is_approved_and_who_has_approved(self) -> None:
        world = a_world(self.TWO)
        gate(world)
        decide(world, by=self.LEAD)

        shown = self.listed(world, replace(self.LEAD, subject="carol"))

        assert shown["inputs"] == {"image": "alpine:3"}
        assert shown["secrets"] == ["token"]
        assert (shown["minApprovals"], shown["distinctFromRequester"]) == (2, True)
        assert shown["approvedBy"] == [{"approver": "bob", "decidedAt": "2025-12-06T12:00:00.000Z"}]
        assert shown["canDecide"] is True
        assert "cannotDecideReason" not in shown

    @pytest.mark.parametrize(
        ("caller", "code", "words"),
        [
            (replace(LEAD, scopes=frozenset({"viewer"})), "scope_required", "operator"),
            (BOB, "grant_required", "needs the grant lead"),
            (replace(LEAD, subject="ana"), "self_approval", "who created the run"),
        ],
    )
    def test_says_why_the_caller_may_not_decide(
        self, caller: Caller, code: str, words: str
    ) -> None:
        world = a_world(self.TWO)
        gate(world)

        reason = self.listed(world, caller)["cannotDecideReason"]

        assert self.listed(world, caller)["canDecide"] is False
        assert reason["code"] == code
        assert words in reason["message"]
        if code != "scope_required":  # the edge of the API refuses that
            with pytest.raises(ForbiddenError) as caught:
                decide(world, by=caller)
            assert str(caught.value) == reason["message"]

    def test_a_caller_who_has_approved_cannot_approve_again(self) -> None:
        world = a_world(self.TWO)
        gate(world)
        decide(world, by=self.LEAD)

        reason = self.listed(world, self.LEAD)["cannotDecideReason"]

        assert reason["code"] == "already_approved"
        decide(world, by=self.LEAD)  # which changes nothing
        assert len(self.listed(world, self.LEAD)["approvedBy"]) == 1

    def test_an_approval_that_an_earlier_version_opened_has_no_standing(self) -> None:
        world = a_world(GATED)
        gate(world)
        (stored,) = world.approvals.stored.values()
        stored.summary = {k: v for k, v in stored.summary.items() if k != "minApprovals"}

        assert "canDecide" not in self.listed(world, ANA)


def a_step(path: str, status: StepStatus, parent: str | None = None) -> StepState:
    return StepState(
        path=path,
        template_id=path.rpartition("::")[2],
        parent_path=parent,
        kind=StepKind.RUN,
        enabled=True,
        continue_on_error=True,
        status=status,
    )


def test_shows_failed_steps_of_a_run_with_too_many_steps() -> None:
    each = [
        a_step(
            f"each[{n}]::one", StepStatus.FAILED if n == 29_999 else StepStatus.SUCCEEDED, "each"
        )
        for n in range(30_000)
    ]
    steps = [a_step("each", StepStatus.RUNNING), *each, a_step("last", StepStatus.PENDING)]

    shown = [step.path for step in api_view._shown(steps)]

    assert len(shown) == api_view.MAX_STEPS
    assert shown[:2] == ["each", "each[0]::one"]
    assert shown[-2:] == ["each[29999]::one", "last"]


def test_shows_the_blocks_around_each_step_that_it_shows() -> None:
    steps = [a_step("each", StepStatus.RUNNING)]
    for number in range(5_000):
        status = StepStatus.FAILED if number == 4_000 else StepStatus.SUCCEEDED
        lanes = f"each[{number}]::lanes"
        steps += [a_step(lanes, StepStatus.SUCCEEDED, "each")]
        steps += [a_step(f"each[{number}]::one", status, lanes)]

    shown = {step.path: step for step in api_view._shown(steps)}

    assert "each[4000]::one" in shown
    assert {step.parent_path for step in shown.values()} - {None} <= shown.keys()


def test_does_not_find_a_run_whose_plan_retention_has_deleted() -> None:
    world = a_world(GATED)
    world.plans.texts.clear()

    for read in (run_state, read_run.run_artifacts):
        with pytest.raises(NotFoundError, match="not found"):
            read(TENANT, "run-7", world)
    assert lines(run_log(world))[0]["eventType"] == "run.created"
