"""The port Approvals: conditional writes, tokens that wake once, and the list of open approvals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import InvalidRequestError
from taskrunner.model.approval import ApprovalRecord, Decision, GateOpening, GateRecord, Verdict
from taskrunner.model.artifact import EVIDENCE_BUNDLE, Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus
from taskrunner.ports.approvals import GateChange
from tests.contract.ports import aws, client
from tests.contract.samples import CANCELLED, CREATED, a_run, an_entry, entry_ids, new_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.ports import RunSnapshot
    from tests.contract.ports import Ports

AT = "2025-12-06T12:00:00.000Z"
LATER = "2025-12-13T12:00:00.000Z"
EMPTY = ApprovalRecord(approval_id="security")
BUNDLE = Artifact(
    name=EVIDENCE_BUNDLE, type=ArtifactType.OBJECT, status=ArtifactStatus.CAPTURED, captured_at=AT
)


def open_gate(  # noqa: PLR0913 - tests vary each of these
    world: Ports,
    snapshot: RunSnapshot,
    *,
    path: str = "review",
    token: str = "token-1",  # noqa: S107 - the name of a task
    record: ApprovalRecord = EMPTY,
    at: str = AT,
) -> bool:
    """Open the gate at *path* for an approval that was read as *record*."""
    return world.approvals.open(
        snapshot,
        record,
        GateOpening(step_path=path, opened_at=at, expires_at=LATER),
        token,
        [an_entry(f"{path}#awaiting", Event.GATE_AWAITING)],
        gate=world.approvals.gate(snapshot.run, path),
        summary={"runId": snapshot.run.run_id, "approvalId": record.approval_id, "stepId": path},
    )


def read_approval(world: Ports, snapshot: RunSnapshot) -> ApprovalRecord:
    return world.approvals.get(snapshot.run.tenant, snapshot.run.run_id, "security")


def waiting_gates(world: Ports, snapshot: RunSnapshot) -> list[GateRecord]:
    return list(world.approvals.waiting(snapshot.run, "security"))


def decided(record: ApprovalRecord, verdict: Verdict = Verdict.APPROVED) -> ApprovalRecord:
    word = Decision(
        verdict=verdict,
        approver="bob",
        decided_at=AT,
        actor="user:bob",
        summary="fine",
        approver_name="release-bot",
    )
    return replace(record, verdict=verdict, decisions=(*record.decisions, word))


def decide(world: Ports, snapshot: RunSnapshot, record: ApprovalRecord) -> bool:
    gates = waiting_gates(world, snapshot)
    entries = [an_entry(f"{gate.step_path}#decided", Event.GATE_APPROVED) for gate in gates]
    return world.approvals.decide(snapshot, record, GateChange(gates, entries))


class TestRecords:
    def test_an_approval_without_gates_is_empty(self, world: Ports) -> None:
        assert read_approval(world, new_run(world)) == EMPTY

    def test_opening_a_gate_opens_its_approval(self, world: Ports) -> None:
        snapshot = new_run(world)

        assert open_gate(world, snapshot)

        record = read_approval(world, snapshot)
        assert (record.was_opened, record.verdict, record.decisions) == (True, None, ())
        assert waiting_gates(world, snapshot) == [GateRecord(step_path="review")]
        assert entry_ids(world, snapshot.run) == ["run.created", "review#awaiting"]

    def test_a_decision_keeps_its_approver_name_actor_and_summary(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot)
        before = read_approval(world, snapshot)

        assert decide(world, snapshot, decided(before))

        after = read_approval(world, snapshot)
        assert replace(after, version=before.version) == decided(before)
        assert entry_ids(world, snapshot.run)[-1] == "review#decided"


class TestNotified:
    def test_records_the_notification_of_a_gate(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot)
        before = world.approvals.gate(snapshot.run, "review")

        for _ in range(2):
            world.approvals.record_notified(snapshot.run, "review")

        assert before == GateRecord(step_path="review")
        assert world.approvals.gate(snapshot.run, "review") == replace(before, is_notified=True)
        assert waiting_gates(world, snapshot) == [replace(before, is_notified=True)]

    def test_does_not_record_it_for_another_run_or_tenant(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot)
        world.approvals.record_notified(snapshot.run, "review")

        assert world.approvals.gate(new_run(world).run, "review") is None
        others = a_run(snapshot.run.run_id, tenant="globe")
        assert world.approvals.gate(others, "review") is None
        assert list(world.approvals.waiting(others, "security")) == []

    def test_opening_the_gate_again_keeps_it(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot)
        world.approvals.record_notified(snapshot.run, "review")

        assert open_gate(world, snapshot, token="newer")

        assert world.approvals.gate(snapshot.run, "review") == GateRecord(
            step_path="review", is_notified=True
        )

    def test_does_not_conflict_with_a_decision(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot)
        before = read_approval(world, snapshot)

        world.approvals.record_notified(snapshot.run, "review")

        assert read_approval(world, snapshot) == before
        assert decide(world, snapshot, decided(before))
        gate = world.approvals.gate(snapshot.run, "review")
        assert gate == GateRecord(step_path="review", recorded_decisions=1, is_notified=True)

    def test_does_not_change_the_reading_of_run_and_journal(self, world: Ports) -> None:
        """One query reads both, so the gate's item must not sort between them."""
        snapshot = new_run(world)
        open_gate(world, snapshot)
        before = (
            world.runs.snapshot(snapshot.run.tenant, snapshot.run.run_id),
            entry_ids(world, snapshot.run),
        )

        world.approvals.record_notified(snapshot.run, "review")

        assert (
            world.runs.snapshot(snapshot.run.tenant, snapshot.run.run_id),
            entry_ids(world, snapshot.run),
        ) == before
        assert world.artifacts.list(snapshot.run.tenant, snapshot.run.run_id) == []


class TestConditions:
    @pytest.mark.parametrize("verdict", [Verdict.APPROVED, None])
    def test_opening_after_an_unread_decision_changes_nothing(
        self, world: Ports, verdict: Verdict | None
    ) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot)
        before = read_approval(world, snapshot)
        decide(world, snapshot, replace(decided(before), verdict=verdict))

        assert not open_gate(world, snapshot, path="other", token="token-2", record=before)

        assert world.approvals.gate(snapshot.run, "other") is None
        assert [gate.step_path for gate in waiting_gates(world, snapshot)] == ["review"]
        assert entry_ids(world, snapshot.run) == [
            "run.created",
            "review#awaiting",
            "review#decided",
        ]

    def test_a_gate_opens_as_a_new_one_only_once(self, world: Ports) -> None:
        snapshot = new_run(world)
        opening = GateOpening(step_path="review", opened_at=AT, expires_at=LATER)
        entry = an_entry("review#awaiting", Event.GATE_AWAITING)

        answers = [
            world.approvals.open(snapshot, EMPTY, opening, token, [entry], gate=None, summary={})
            for token in ("first", "second")
        ]

        assert answers == [True, False]
        assert entry_ids(world, snapshot.run) == ["run.created", "review#awaiting"]

    def test_simultaneous_openings_all_succeed(self, world: Ports) -> None:
        snapshot = new_run(world)
        paths = [f"each[{number}]::review" for number in range(8)]

        with ThreadPoolExecutor(len(paths)) as pool:
            answers = list(pool.map(lambda path: open_gate(world, snapshot, path=path), paths))

        assert all(answers)
        assert [gate.step_path for gate in waiting_gates(world, snapshot)] == paths
        assert sorted(entry_ids(world, snapshot.run)[1:]) == [f"{path}#awaiting" for path in paths]

    def test_a_gate_gets_no_decision_twice(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot)
        gates = waiting_gates(world, snapshot)
        decide(world, snapshot, decided(read_approval(world, snapshot)))
        entries = [an_entry("review#again", Event.GATE_APPROVED)]

        assert not world.approvals.record_decisions(
            snapshot, read_approval(world, snapshot), GateChange(gates, entries)
        )

        assert entry_ids(world, snapshot.run)[-1] == "review#decided"

    def test_a_gate_of_an_ended_run_gets_no_decision(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot)
        record = decided(read_approval(world, snapshot))
        gates = waiting_gates(world, snapshot)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        assert not world.approvals.record_decisions(
            snapshot, record, GateChange(gates, [an_entry("review#decided")])
        )

        assert entry_ids(world, snapshot.run)[-1] == "run.cancelled"

    def test_deciding_after_an_unread_decision_changes_nothing(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot)
        before = read_approval(world, snapshot)
        decide(world, snapshot, decided(before))

        assert not decide(world, snapshot, decided(before, Verdict.REJECTED))

        assert read_approval(world, snapshot).verdict is Verdict.APPROVED

    def test_an_ended_run_takes_neither_openings_nor_decisions(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot)
        before = read_approval(world, snapshot)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        assert not decide(world, snapshot, decided(before))
        assert not open_gate(world, snapshot, path="other", record=before)

        assert read_approval(world, snapshot).verdict is None
        assert entry_ids(world, snapshot.run)[-1] == "run.cancelled"

    def test_one_of_several_simultaneous_decisions_is_stored(self, world: Ports) -> None:
        for _ in range(5):
            snapshot = new_run(world)
            open_gate(world, snapshot)
            record = read_approval(world, snapshot)
            verdicts = [Verdict.APPROVED, Verdict.REJECTED] * 3

            with ThreadPoolExecutor(len(verdicts)) as pool:
                stored = list(
                    pool.map(
                        lambda verdict, snapshot=snapshot, record=record: decide(
                            world, snapshot, decided(record, verdict)
                        ),
                        verdicts,
                    )
                )

            assert stored.count(True) == 1
            assert read_approval(world, snapshot).verdict is verdicts[stored.index(True)]
            assert entry_ids(world, snapshot.run).count("review#decided") == 1


class TestResume:
    def test_wakes_every_waiting_gate_with_the_verdict(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot, path="one", token="every-1")
        open_gate(
            world, snapshot, path="two", token="every-2", record=read_approval(world, snapshot)
        )
        decide(world, snapshot, decided(read_approval(world, snapshot)))

        world.approvals.resume(snapshot.run, read_approval(world, snapshot))

        assert (world.woken["every-1"], world.woken["every-2"]) == (Verdict.APPROVED,) * 2

    @pytest.mark.parametrize("verdict", list(Verdict))
    def test_answers_a_token_only_once(self, world: Ports, verdict: Verdict) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot, token=f"once-{verdict}")
        decide(world, snapshot, decided(read_approval(world, snapshot), verdict))

        for _ in range(2):
            world.approvals.resume(snapshot.run, read_approval(world, snapshot))

        assert world.woken[f"once-{verdict}"] is verdict
        assert world.sent.count(f"once-{verdict}") == 1
        assert waiting_gates(world, snapshot) == []

    def test_uses_the_newest_token_of_a_gate(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot, token="older")
        open_gate(world, snapshot, token="newer", record=read_approval(world, snapshot))
        decide(world, snapshot, decided(read_approval(world, snapshot)))

        world.approvals.resume(snapshot.run, read_approval(world, snapshot))

        assert "older" not in world.woken
        assert world.woken["newer"] is Verdict.APPROVED

    def test_wakes_nothing_without_a_verdict(self, world: Ports) -> None:
        snapshot = new_run(world)
        open_gate(world, snapshot, token="asleep")

        world.approvals.resume(snapshot.run, read_approval(world, snapshot))

        assert "asleep" not in world.woken

    def test_wakes_no_gate_of_another_approval_or_run(self, world: Ports) -> None:
        snapshot, other_run = new_run(world), new_run(world)
        open_gate(world, snapshot, token="awake")
        open_gate(
            world, snapshot, path="two", token="other", record=ApprovalRecord(approval_id="legal")
        )
        open_gate(world, other_run, token="elsewhere")
        decide(world, snapshot, decided(read_approval(world, snapshot)))

        world.approvals.resume(snapshot.run, read_approval(world, snapshot))

        assert world.woken.keys() & {"awake", "other", "elsewhere"} == {"awake"}

    def test_a_gate_of_a_decided_approval_does_not_wait(self, world: Ports) -> None:
        """Its caller wakes it with its own token, even if the gate was opened before."""
        snapshot = new_run(world)
        open_gate(world, snapshot, token="before")
        decide(world, snapshot, decided(read_approval(world, snapshot)))

        assert open_gate(world, snapshot, token="after", record=read_approval(world, snapshot))
        assert open_gate(
            world, snapshot, path="late", token="late", record=read_approval(world, snapshot)
        )

        assert waiting_gates(world, snapshot) == []
        late = world.approvals.gate(snapshot.run, "late")
        assert late == GateRecord(step_path="late", recorded_decisions=1)


class TestListOpen:
    def test_lists_the_oldest_first_page_by_page(self, world: Ports) -> None:
        for hour in (12, 10, 11):
            open_gate(
                world,
                new_run(world, a_run(tenant="pages")),
                path=f"at-{hour}",
                at=f"2025-12-06T{hour}:00Z",
            )

        first = world.approvals.list_open("pages", 2, None)
        second = world.approvals.list_open("pages", 2, first.cursor)

        assert [item["stepId"] for item in first.items] == ["at-10", "at-11"]
        assert [item["stepId"] for item in second.items] == ["at-12"]
        assert second.cursor is None

    def test_omits_a_decided_approval(self, world: Ports) -> None:
        snapshot = new_run(world, a_run(tenant="decided"))
        open_gate(world, snapshot)
        assert len(world.approvals.list_open("decided", 10, None).items) == 1

        decide(world, snapshot, decided(read_approval(world, snapshot)))

        assert world.approvals.list_open("decided", 10, None).items == []

    def test_lists_an_approval_with_one_decision_of_two(self, world: Ports) -> None:
        snapshot = new_run(world, a_run(tenant="partly"))
        open_gate(world, snapshot)

        decide(world, snapshot, replace(decided(read_approval(world, snapshot)), verdict=None))

        assert len(world.approvals.list_open("partly", 10, None).items) == 1

    def test_omits_approvals_of_an_ended_run(self, world: Ports) -> None:
        snapshot = new_run(world, a_run(tenant="ended"))
        open_gate(world, snapshot)

        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        assert world.approvals.list_open("ended", 10, None).items == []
        assert read_approval(world, snapshot).was_opened

    def test_omits_approvals_of_another_tenant(self, world: Ports) -> None:
        open_gate(world, new_run(world, a_run(tenant="somebody")))

        assert world.approvals.list_open("nobody", 10, None).items == []

    def test_shows_the_brief_of_the_run_and_what_was_decided(self, world: Ports) -> None:
        run = a_run(tenant="briefs")
        assert world.runs.create(run, [CREATED], {"inputs": {"image": "ä"}})
        snapshot = world.runs.snapshot("briefs", run.run_id)
        for approval_id in ("security", "legal"):
            opening = GateOpening(step_path=approval_id, opened_at=AT, expires_at=AT)
            assert world.approvals.open(
                snapshot,
                ApprovalRecord(approval_id=approval_id),
                opening,
                f"token-{approval_id}",
                [an_entry(f"{approval_id}#awaiting")],
                gate=None,
                summary={"approvalId": approval_id},
            )
        decision = Decision(verdict=Verdict.APPROVED, approver="bob", decided_at=AT)
        record = ApprovalRecord(approval_id="legal", decisions=(decision,))
        assert world.approvals.decide(snapshot, record, GateChange([], [an_entry("one")]))

        page = world.approvals.list_open("briefs", 10, None)

        assert list(page.items) == [
            {"approvalId": approval_id, "inputs": {"image": "ä"}}
            for approval_id in ("legal", "security")
        ]
        assert [record.decisions for record in page.records] == [(decision,), ()]

    def test_rejects_a_cursor_that_no_list_has_returned(self, world: Ports) -> None:
        with pytest.raises(InvalidRequestError, match="cursor"):
            world.approvals.list_open("acme", 10, "nonsense")


class TestTheEndOfARun:
    @pytest.mark.parametrize("count", [1, 101])
    def test_closes_every_approval_of_the_run(self, world: Ports, count: int) -> None:
        """A transaction has at most 100 writes, and a pack any number of approvals."""
        world.forget()
        snapshot = new_run(world)
        for number in range(count):
            open_own_approval(world, snapshot, f"gate-{number}")

        outcome = world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])
        ended = world.runs.snapshot("acme", snapshot.run.run_id).run

        assert outcome is ended.outcome is RunStatus.CANCELLED
        assert world.runs.seal(ended, BUNDLE)
        assert listed(world) == []

    @pytest.mark.parametrize("world", ["aws"], indirect=True)
    def test_closes_an_approval_that_opens_at_the_same_moment(self, world: Ports) -> None:
        """The gate opens after the run's end has read the approvals, and before it is written."""
        snapshot = new_run(world)
        open_own_approval(world, snapshot, "early")
        queries = InterruptedQueries(client("dynamodb"))
        queries.after_next = lambda: open_own_approval(world, snapshot, "late")

        aws(queries).runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])
        ended = world.runs.snapshot("acme", snapshot.run.run_id).run

        assert world.approvals.gate(ended, "late") is not None
        assert not open_own_approval(world, snapshot, "later")
        assert world.runs.seal(ended, BUNDLE)
        assert listed(world) == []


class InterruptedQueries:
    """A DynamoDB client that calls *after_next* behind its next query of approvals."""

    def __init__(self, real: Any) -> None:  # noqa: ANN401 - boto3 has no static types
        self._real = real
        self.after_next: Callable[[], object] | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._real, name)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's own
        response = self._real.query(**arguments)
        if {"S": "A#"} in arguments["ExpressionAttributeValues"].values() and self.after_next:
            interrupt, self.after_next = self.after_next, None
            interrupt()
        return response


def open_own_approval(world: Ports, snapshot: RunSnapshot, path: str) -> bool:
    """Open a new gate at *path* for an approval of its own."""
    record = ApprovalRecord(approval_id=f"of-{path}")
    return open_gate(world, snapshot, path=path, token=f"token-of-{path}", record=record)


def listed(world: Ports) -> list[str]:
    return [item["stepId"] for item in world.approvals.list_open("acme", 1000, None).items]
