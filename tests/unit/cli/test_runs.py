"""`runs`, `show`, `logs` and `cancel`."""

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import pytest

from taskrunner.usecases.read_state import run_state
from taskrunner_cli.ports.clock import SystemClock
from taskrunner_cli.world import World
from tests.packs import pack
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer
from tests.unit.cli.fake_run import Moment, at_gates
from tests.unit.cli.fake_service import FakeService, refused
from tests.unit.usecases.scenarios import TENANT, a_world
from tests.unit.usecases.scenarios import step as run_step

if TYPE_CHECKING:
    from taskrunner_cli.api.documents import Step


class InterruptingClock(SystemClock):
    """A clock at which Ctrl-C is pressed during the first pause."""

    def sleep(self, seconds: float) -> None:
        raise KeyboardInterrupt(seconds)


class TestRuns:
    def test_lists_the_runs_of_all_pages(self, taskrunner: Command, service: FakeService) -> None:
        for number in range(5):
            service.add(f"r{number}")

        ended = taskrunner("runs")

        assert ended.code == 0
        assert [line.split()[0] for line in ended.out.splitlines()] == [
            "run", "r0", "r1", "r2", "r3", "r4",
        ]  # fmt: skip

    def test_stops_at_the_limit_and_prints_the_cursor(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        for number in range(5):
            service.add(f"r{number}")

        first = taskrunner("runs", "--limit", "3", "-o", "json").document
        rest = taskrunner("runs", "--cursor", first["nextCursor"], "-o", "json").document
        as_text = taskrunner("runs", "--limit", "3")

        assert [run["runId"] for run in first["runs"]] == ["r0", "r1", "r2"]
        assert [run["runId"] for run in rest["runs"]] == ["r3", "r4"]
        assert "nextCursor" not in rest
        assert "there are more: --cursor 3" in as_text.out

    def test_says_why_a_run_failed(self, taskrunner: Command, service: FakeService) -> None:
        reason = {"stepId": "ship", "reason": "timeout", "message": "It took too long."}
        summary = {"runId": "r1", "status": "failed", "statusReason": reason}
        service.next_answers = [Answer(200, {"runs": [summary]})]

        assert "ship: timeout: It took too long." in taskrunner("runs").out

    @pytest.mark.parametrize(
        ("reason", "detail"),
        [
            ({"reason": "cancelled", "message": "Cancelled by ana."}, "Cancelled by ana."),
            (
                {"reason": "awaiting-approval", "message": "Awaiting approval: qa", "stepId": "a"},
                "a: Awaiting approval: qa",
            ),
            ({"reason": "timeout", "stepId": "a"}, "a: timeout"),
            ({"reason": "timeout", "message": "it ran longer"}, "timeout: it ran longer"),
        ],
    )
    def test_says_each_reason_once(
        self, taskrunner: Command, service: FakeService, reason: dict[str, str], detail: str
    ) -> None:
        run = {"runId": "r1", "status": "failed", "statusReason": reason}
        service.next_answers = [Answer(200, {"runs": [run]})]

        assert taskrunner("runs").out.splitlines()[1].rstrip().endswith(f"  {detail}")

    def test_says_that_there_are_no_runs(self, taskrunner: Command) -> None:
        assert taskrunner("runs").out == "no runs yet\n"

    def test_sends_every_filter(self, taskrunner: Command, service: FakeService) -> None:
        taskrunner(
            "runs", "--status", "failed", "--pack", "p", "--version", "1.0.0",
            "--created-after", "24h", "--created-before", "2025-12-06T13:00:00+01:00",
            "--requested-by", "client:ci", "--approval", "review",
        )  # fmt: skip

        query = service.requests[-1].query
        assert {name: query[name] for name in query.keys() - {"limit"}} == {
            "status": "failed", "pack": "p", "version": "1.0.0", "requestedBy": "client:ci",
            "approval": "review", "createdAfter": "2025-12-05T12:01:00Z",
            "createdBefore": "2025-12-06T12:00:00Z",
        }  # fmt: skip

    @pytest.mark.parametrize(
        "options",
        [
            ("--status", "waiting"), ("--pack", "other"), ("--pack", "hello", "--version", "2.0.0"),
            ("--created-after", "2025-12-07T00:00:00Z"),
            ("--created-before", "2025-12-06T12:00:00Z"),
        ],
    )  # fmt: skip
    def test_filters_here_what_an_older_service_does_not(
        self, taskrunner: Command, service: FakeService, options: tuple[str, ...]
    ) -> None:
        service.add("r1", "hello")

        ended = taskrunner("runs", *options)

        assert ended.out == "no such runs\n"
        assert "the service does not filter runs" in ended.err

    @pytest.mark.parametrize(
        "options",
        [("--version", "1.0.0"), ("--status", "odd"), ("--created-after", "yesterday")],
    )
    def test_rejects_filters_that_it_cannot_send(
        self, taskrunner: Command, service: FakeService, options: tuple[str, ...]
    ) -> None:
        assert taskrunner("runs", *options).code == 2
        assert service.requests == []

    @pytest.mark.parametrize("limit", ["0", "many"])
    def test_rejects_a_limit_below_one(self, taskrunner: Command, limit: str) -> None:
        assert taskrunner("runs", "--limit", limit).code == 2


class TestShow:
    def test_shows_why_a_run_waits_and_the_command_to_type(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", "deploy-app", ticks=2)

        ended = taskrunner("show", "r1")

        assert ended.code == 0
        assert "awaiting-approval: Review before deploy" in ended.out
        assert "taskrunner approve r1 security-review --as approver" in ended.out

    @pytest.mark.parametrize("command", [("show",), ("watch",)])
    def test_proposes_a_command_for_each_gate_that_needs_its_own_decision(
        self, taskrunner: Command, service: FakeService, command: tuple[str, ...]
    ) -> None:
        service.scripts["regions"] = [
            *at_gates(5),
            Moment("succeeded", {}, [("run.completed", "")]),
        ]
        service.approval = {"runId": "r1", "approvalId": "security-review", "scope": "gate"}
        service.add("r1", "regions").verdict = "approved"

        ended = taskrunner(*command, "r1")

        assert [line for line in ended.out.splitlines() if "taskrunner " in line] == [
            "taskrunner approve r1 security-review --step 'regions[0]::approval' --as approver",
            "taskrunner approve r1 security-review --step 'regions[1]::approval' --as approver",
            "taskrunner approve r1 security-review --step 'regions[2]::approval' --as approver",
            "… and 2 more gates: taskrunner approvals",
        ]

    def test_shows_a_map_whose_numbers_come_from_inputs(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        manifest = pack(
            """
            - id: each
              map:
                items: {range: {start: 1, end: "{{ inputs.n }}"}}
                maxParallel: "{{ inputs.n }}"
                step: {id: ping, run: {uses: builtin:noop}}
            """,
            spec="inputs: [{name: n, type: integer, default: 3}]",
        )
        world = a_world(manifest)
        run_step(world, "ping", iteration="each[0]::")
        state = run_state(TENANT, "run-7", world)
        service.add("run-7", "hello")
        service.next_answers = [Answer(200, state)]

        ended = taskrunner("show", "run-7")

        assert state["steps"][0]["maxParallel"] == 3
        assert re.search(r"^each .* 1/3$", ended.out, re.MULTILINE)

    @pytest.mark.parametrize("approval", [None, {"runId": "r1", "approvalId": "security-review"}])
    def test_proposes_one_command_for_gates_that_one_decision_opens(
        self, taskrunner: Command, service: FakeService, approval: dict[str, str] | None
    ) -> None:
        service.scripts["regions"] = at_gates(2)
        service.approval = approval
        service.add("r1", "regions")

        ended = taskrunner("show", "r1")

        assert [line for line in ended.out.splitlines() if "taskrunner " in line] == [
            "taskrunner approve r1 security-review --as approver"
        ]

    @pytest.mark.parametrize(
        "links",
        [
            {"executionArn": "arn:aws:states:a:1:execution:m:r1-0"},
            {
                "executionArn": "arn:x",
                "executionUrl": "https://a.console.aws.amazon.com/states/home",
            },
        ],
    )
    def test_shows_where_aws_shows_the_execution(
        self, taskrunner: Command, service: FakeService, links: dict[str, str]
    ) -> None:
        run = service.add("r1")
        service.next_answers = [Answer(200, {**run.state(), **links})]

        shown = taskrunner("show", "r1").out

        assert f"execution  {list(links.values())[-1]}" in shown

    def test_a_failed_run_makes_only_a_watch_fail(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", "failing", ticks=2)

        assert taskrunner("show", "r1").code == 0
        assert taskrunner("show", "r1", "--watch").code == 1

    def test_prints_the_state_as_json(self, taskrunner: Command, service: FakeService) -> None:
        run = service.add("r1")

        assert taskrunner("show", "r1", "--output", "json").document == run.state()

    def test_prints_the_refusal_of_an_unknown_run(self, taskrunner: Command) -> None:
        as_text = taskrunner("show", "unknown")
        as_json = taskrunner("show", "unknown", "-o", "json")

        assert (as_text.code, as_text.out) == (1, "")
        assert (as_json.code, as_json.out) == (1, "")
        assert "http_404 (HTTP 404)" in as_text.err
        assert as_json.error["error"]["status"] == 404

    def test_says_where_the_ids_of_runs_are_if_there_is_no_such_run(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [
            refused(404, "not_found", "run nope not found"),
            refused(404, "not_found", "step nope in run r1 not found; available: scan"),
        ]

        run, step = taskrunner("show", "nope"), taskrunner("outputs", "r1", "nope")

        assert "try:   list the runs of the tenant: taskrunner runs" in run.err
        assert "try:" not in step.err

    def test_a_run_id_is_always_one_segment_of_the_path(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        taskrunner("show", "../admin?x=1")

        assert service.requests[-1].path == "/live/v1/task-runner/runs/..%2Fadmin%3Fx%3D1"

    def test_prints_control_characters_of_the_log_as_escapes(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1").add_entry("step.started", "scan", "\x1b[2Jgone [bold]\rover\x9b1m")

        ended = taskrunner("logs", "r1")

        assert "\\x1b[2Jgone [bold]\\x0dover\\x9b1m" in ended.out

    def test_an_interrupted_watch_says_how_to_continue(
        self, taskrunner: Command, service: FakeService, world: World
    ) -> None:
        service.add("r1")

        ended = taskrunner("show", "r1", "--watch", world=replace(world, clock=InterruptingClock()))

        assert ended.code == 130
        assert "taskrunner watch r1" in ended.out

    def test_shows_the_failure_first_and_the_durations(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", "failing", ticks=2)

        lines = taskrunner("show", "r1").out.splitlines()

        assert lines[1] == "✗ scan  executor-error: the scanner fell over"
        assert lines[-2].split() == ["step", "status", "attempts", "time", "detail"]
        assert lines[-1].split()[:6] == ["scan", "✗", "Failed", "1", "1.0", "s"]

    def test_says_at_the_top_who_rejected_a_gate_and_why(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        run = service.add("r1", "deploy-app", ticks=2)
        run.add_entry("gate.rejected", "approval", "Rejected: security-review", level="error")
        run.log[-1]["metadata"] = {"approver": "user:bob", "summary": "wait for the fix"}
        state = run.state()
        state["steps"][1] |= {"status": "Failed", "statusReason": "approval-rejected"}
        service.next_answers = [Answer(200, state)]

        top = taskrunner("show", "r1").out.splitlines()[1]

        assert top == "✗ approval  approval-rejected: rejected by user:bob: wait for the fix"

    def test_draws_the_steps_in_blocks_as_a_tree(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        state = service.add("r1").state()
        parents = {"block": "", "first": "block", "inner": "first", "last": "block"}
        for name, parent in parents.items():
            step: Step = {"stepId": name, "status": "Failed"}
            state["steps"].append({**step, "parentId": parent} if parent else step)
        service.next_answers = [Answer(200, state)]

        out = taskrunner("show", "r1").out

        assert "\n├─ first" in out
        assert "\n│  └─ inner" in out
        assert "\n└─ last" in out
        assert re.findall(r"^✗ (\w+)", out, re.MULTILINE) == ["inner", "last"]

    def test_draws_a_line_above_the_steps_of_each_branch(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        state = service.add("r1").state()
        listed = [
            ("regions", "", ""), ("a", "regions", "eu"), ("inner", "a", "0"),
            ("b", "regions", "eu"), ("c", "regions", "1"), ("after", "", ""),
        ]  # fmt: skip
        for name, parent, branch in listed:
            step: Step = {"stepId": name, "status": "Pending"}
            step |= {"parentId": parent} if parent else {}
            step |= {"branch": branch} if branch else {}
            state["steps"].append(step)
        service.next_answers = [Answer(200, state)]

        out = taskrunner("show", "r1").out

        rows = out[out.index("regions ") :].splitlines()
        assert [re.split(r"(?<=\w)\s{2,}", row)[0] for row in rows] == [
            "regions",
            "├─ branch eu",
            "│  ├─ a",
            "│  │  └─ branch 0",
            "│  │     └─ inner",
            "│  └─ b",
            "└─ branch 1",
            "   └─ c",
            "after",
        ]

    def test_counts_the_failures_that_it_does_not_list(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        state = service.add("r1").state()
        state["steps"] = [{"stepId": f"s{number}", "status": "Failed"} for number in range(8)]
        service.next_answers = [Answer(200, state)]

        assert "… and 3 more failed steps" in taskrunner("show", "r1").out

    def test_counts_no_item_as_failed_whose_failed_step_may_fail(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        state = service.add("r1").state()
        state["steps"] = [{"stepId": "each", "kind": "Map", "status": "Failed"}]
        for number, may_fail in enumerate([True, True, False]):
            step: Step = {"stepId": f"each[{number}]::reach", "status": "Failed"}
            state["steps"].append({**step, "parentId": "each", "continueOnError": may_fail})
        service.next_answers = [Answer(200, state)]

        assert "3/3, 1 failed" in taskrunner("show", "r1").out

    def test_counts_the_steps_of_a_block_that_the_answer_omits(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        state = service.add("r1").state()
        counts = {"Pending": 9000, "Running": 40, "Succeeded": 957, "Failed": 3}
        state["steps"] = [
            {
                "stepId": "each", "kind": "Map", "status": "Running", "counts": counts,
                "childrenOmitted": 9500,
            },
        ]  # fmt: skip
        service.next_answers = [Answer(200, state)]

        assert "960/10000 steps, 3 failed, 40 running" in taskrunner("show", "r1").out

    def test_all_reads_the_steps_that_the_answer_omits(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        state = service.add("r1").state()
        block: Step = {
            "stepId": "each", "kind": "Map", "status": "Running", "childrenOmitted": 1,
            "counts": {"Running": 2},
        }  # fmt: skip
        children: list[Step] = [
            {"stepId": f"each[{number}]::a", "parentId": "each", "status": "Running"}
            for number in range(2)
        ]
        last: Step = {"stepId": "last", "status": "Pending"}
        state["steps"] = [block, children[0], last]
        pages = [{**state, "steps": [child]} for child in children]
        pages[0]["nextCursor"] = "next"
        service.next_answers = [Answer(200, state), *(Answer(200, page) for page in pages)]

        out = taskrunner("show", "r1", "--all").out

        rows = out[out.index("step ") :].splitlines()[1:]
        assert [row.split("  ")[0] for row in rows] == [
            "each", "├─ each[0]::a", "└─ each[1]::a", "last",
        ]  # fmt: skip
        queries = [request.query for request in service.requests if "parent" in request.query]
        assert [query.get("cursor") for query in queries] == [None, "next"]

    @pytest.mark.parametrize("command", [("show",), ("watch",)])
    def test_names_the_command_that_lists_the_steps_that_the_answer_omits(
        self, taskrunner: Command, service: FakeService, command: tuple[str, ...]
    ) -> None:
        run = service.add("r1", ticks=2)
        state = run.state()
        block: Step = {"stepId": "each", "kind": "Map", "status": "Succeeded"}
        child: Step = {"stepId": "each[0]::a", "parentId": "each", "status": "Succeeded"}
        state["steps"] = [{**block, "childrenOmitted": 7, "counts": {"Succeeded": 8}}, child]
        service.next_answers = [Answer(200, {**state, "stepsOmitted": 7})]

        out = taskrunner(*command, "r1").out

        assert "… and 8 more steps in iterations: taskrunner show r1 --all" in out


class TestWatch:
    def test_all_reads_the_steps_that_the_answer_omits(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        state = service.add("r1", ticks=2).state()
        block: Step = {"stepId": "each", "kind": "Map", "status": "Succeeded"}
        children: list[Step] = [
            {"stepId": f"each[{number}]::a", "parentId": "each", "status": "Succeeded"}
            for number in range(2)
        ]
        omitting: Step = {**block, "childrenOmitted": 1, "counts": {"Succeeded": 2}}
        service.next_answers = [
            Answer(200, {**state, "steps": [omitting, children[0]], "stepsOmitted": 1}),
            Answer(200, b"", {"Content-Type": "application/x-ndjson"}),
            Answer(200, {**state, "steps": children}),
        ]

        out = taskrunner("watch", "r1", "--all").out

        assert [f"each[{number}]::a" in out for number in range(2)] == [True, True]
        assert "more step" not in out

    def test_follows_a_run_to_its_end(self, taskrunner: Command, service: FakeService) -> None:
        service.add("r1")
        service.add("r2", "failing")

        succeeds, fails = taskrunner("watch", "r1"), taskrunner("watch", "r2")

        assert (succeeds.code, fails.code) == (0, 1)
        assert "run.completed" in succeeds.out


class TestOutputs:
    DETAIL: ClassVar = {
        "stepId": "each[1]::scan", "kind": "Run", "uses": "builtin:scanner", "status": "Succeeded",
        "startedAt": "2025-12-06T12:00:00Z", "outputs": {"critical": 0, "note": "\x1b[2J"},
        "retries": {
            "maxAttempts": 6, "backoffSeconds": 5, "backoffRate": 2, "maxBackoffSeconds": 60,
            "jitter": "full", "on": ["timeout", "executor-error"],
        },
        "attemptHistory": [
            {
                "attempt": 1, "status": "Failed", "reason": "executor-error",
                "message": "no answer",
                "startedAt": "2025-12-06T12:00:00Z", "endedAt": "2025-12-06T12:00:04Z",
            },
        ],
    }  # fmt: skip

    def test_shows_the_outputs_and_the_attempts_of_a_step(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [Answer(200, self.DETAIL), Answer(200, self.DETAIL)]

        ended = taskrunner("outputs", "r1", "each[1]::scan")
        as_json = taskrunner("outputs", "r1", "each[1]::scan", "-o", "json")

        assert service.requests[-1].path.endswith("/runs/r1/steps/each%5B1%5D%3A%3Ascan")
        assert '"critical": 0' in ended.out
        assert "4.0 s  executor-error: no answer" in ended.out
        assert (
            "retries  up to 6 attempts, 5 s apart, each pause 2 times the one before, "
            "at most 60 s, shortened at random, after timeout or executor-error only"
        ) in ended.out
        assert "\x1b" not in ended.out
        assert as_json.document == self.DETAIL

    @pytest.mark.parametrize(
        ("more", "words"),
        [({}, "no outputs"), ({"outputsOmitted": True}, "too large to show")],
    )
    def test_says_why_there_are_no_outputs(
        self, taskrunner: Command, service: FakeService, more: dict[str, object], words: str
    ) -> None:
        service.next_answers = [Answer(200, {"stepId": "scan", "status": "Running", **more})]

        assert words in taskrunner("outputs", "r1", "scan").out

    def test_a_gate_that_waits_looks_like_in_the_list_of_steps(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        gate = {"stepId": "ask", "status": "Pending", "statusReason": "awaiting-approval"}
        service.next_answers = [Answer(200, gate)]

        assert "◆ Pending" in taskrunner("outputs", "r1", "ask").out


class TestLogs:
    @pytest.mark.parametrize(
        ("options", "events"),
        [
            (("--step", "scan"), ["step.started", "step.failed"]),
            (("--step", "sca"), []),
            (("--level", "warn"), ["step.retrying"]),
            (("--failed",), ["step.started", "step.failed"]),
            (("--step", "each"), ["step.retrying"]),
            (("--step", "each[1]"), ["step.retrying"]),
            (("--step", "each[2]"), []),
            (("--follow", "--step", "scan"), ["step.started", "step.failed"]),
            (("--grep", "STARTED"), ["step.started"]),
            (("--since", "2025-12-06T12:00:04Z"), ["run.failed", "step.retrying"]),
            (("--tail", "2"), ["run.failed", "step.retrying"]),
            (("--tail", "1", "--step", "scan"), ["step.failed"]),
            (("--tail", "9", "--level", "warn", "--follow"), ["step.retrying"]),
        ],
    )
    def test_prints_the_chosen_entries_only(
        self, taskrunner: Command, service: FakeService, options: tuple[str, ...], events: list[str]
    ) -> None:
        run = service.add("r1", "failing", ticks=2)
        run.add_entry("step.retrying", "each[1]::scan", level="warn")

        ended = taskrunner("logs", "r1", *options)

        assert [line.split()[1] for line in ended.out.splitlines()] == events

    @pytest.mark.parametrize("more", [(), ("--tail", "9"), ("--follow",)])
    def test_prints_the_lines_of_output_that_have_the_text(
        self, taskrunner: Command, service: FakeService, more: tuple[str, ...]
    ) -> None:
        run = service.add("r1", "failing", ticks=2)
        run.add_entry("step.output", "scan", message="one\ntwo: \x1b[31mERR\x1b[0mOR\nthree\n")
        run.add_entry("step.output", "scan", message="four\nfive\n")

        ended = taskrunner("logs", "r1", "--grep", "error", *more)

        (line,) = ended.out.splitlines()
        assert line.split()[1:] == ["step.output", "scan", "|", "two:", "ERROR"]

    def test_prints_whole_output_whose_event_has_the_text(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        run = service.add("r1", "failing", ticks=2)
        run.add_entry("step.output", "scan", message="one\ntwo\n")

        ended = taskrunner("logs", "r1", "--grep", "step.output")

        assert [line.split()[-1] for line in ended.out.splitlines()] == ["one", "two"]

    def test_a_tail_is_followed_by_the_new_entries_only(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", ticks=1)

        ended = taskrunner("logs", "r1", "--tail", "1", "--follow")

        assert [line.split()[1] for line in ended.out.splitlines()] == [
            "step.started", "step.completed", "run.completed",
        ]  # fmt: skip

    @pytest.mark.parametrize("tails", ["known", "ignored", "refused"])
    @pytest.mark.parametrize("options", [(), ("--grep", "STEP"), ("--level", "info")])
    def test_a_tail_is_the_same_whether_or_not_the_service_reads_backwards(
        self,
        taskrunner: Command,
        service: FakeService,
        options: tuple[str, ...],
        tails: Literal["known", "ignored", "refused"],
    ) -> None:
        service.add("r1", "failing", ticks=2)
        service.tails = tails

        ended = taskrunner("logs", "r1", "--tail", "3", *options)

        events = ["step.started", "step.failed", "run.failed"]
        if "--grep" in options:
            events.pop()
        assert [line.split()[1] for line in ended.out.splitlines()] == events

    def test_a_tail_is_read_without_the_rest_of_the_log(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", "failing", ticks=2)

        taskrunner("logs", "r1", "--tail", "2")

        queries = [r.query for r in service.requests if r.path.endswith("/logs")]
        assert queries == [{"tail": "2"}, {"cursor": "c4"}]

    def test_entries_that_the_end_lacks_are_searched_for_in_the_whole_log(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        run = service.add("r1", "failing", ticks=2)
        for _ in range(1000):
            run.add_entry("step.retrying", "other")
        service.log_page_size = 10_000

        ended = taskrunner("logs", "r1", "--tail", "1", "--step", "scan")

        assert [line.split()[1] for line in ended.out.splitlines()] == ["step.failed"]

    def test_names_the_step_of_an_entry_and_its_later_attempts(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        run = service.add("r1")
        run.add_entry("step.failed", "each[1]::push", "the disk is full\nof logs")
        run.add_entry("step.started", "scan", "Starting step: scan")
        run.log[-1]["metadata"] = {"attempt": "2"}
        run.add_entry("gate.awaiting", "each[0]::ask", "Awaiting approval: region")

        lines = taskrunner("logs", "r1", "--tail", "3").out.splitlines()

        assert [line[28:] for line in lines] == [
            "each[1]::push: the disk is full",
            "of logs",
            "Starting step: scan (attempt 2)",
            "each[0]::ask: Awaiting approval: region",
        ]

    def test_failed_entries_cannot_be_followed(self, taskrunner: Command) -> None:
        assert taskrunner("logs", "r1", "--failed", "--follow").code == 2

    @pytest.mark.parametrize("options", [("--failed",), ("--grep", "x", "--tail", "2")])
    def test_says_that_no_entry_is_such(
        self, taskrunner: Command, service: FakeService, options: tuple[str, ...]
    ) -> None:
        service.add("r1", "hello", ticks=2)

        ended = taskrunner("logs", "r1", *options)

        assert (ended.code, ended.out) == (0, "")
        assert ended.err == "the log has no such entries\n"
        assert taskrunner("logs", "r1", *options, "-o", "json").err == ""
        of_step = taskrunner("logs", "r1", "--step", "scam")
        assert "taskrunner show r1 --all" in of_step.err

    def test_prints_the_entries_of_all_pages(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        run = service.add("r1", ticks=2)

        ended = taskrunner("logs", "r1", "--output", "json")

        assert [json.loads(line) for line in ended.out.splitlines()] == run.log

    def test_starts_after_the_cursor(self, taskrunner: Command, service: FakeService) -> None:
        service.add("r1", ticks=2)

        ended = taskrunner("logs", "r1", "--cursor", "c3")

        assert [line.split()[1] for line in ended.out.splitlines()] == [
            "step.completed", "run.completed",
        ]  # fmt: skip

    @pytest.mark.parametrize("page_size", [1, 2, 100])
    def test_following_prints_every_entry_exactly_once(
        self, taskrunner: Command, service: FakeService, page_size: int
    ) -> None:
        service.log_page_size = page_size
        run = service.add("r1", "deploy-app")
        run.verdict = "approved"

        ended = taskrunner("logs", "r1", "--follow", "-o", "json")

        assert [json.loads(line)["cursor"] for line in ended.out.splitlines()] == [
            f"c{number}" for number in range(1, 10)
        ]
        assert ended.code == 0

    def test_following_waits_for_the_last_entry_if_the_state_is_ahead(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        run = service.add("r1", ticks=1)
        run.script = [
            *run.script[:2],
            Moment("succeeded", {"scan": "Succeeded"}),
            Moment("succeeded", {"scan": "Succeeded"}, [("run.completed", "")]),
        ]

        ended = taskrunner("logs", "r1", "--follow")

        assert ended.out.count("run.completed") == 1

    def test_following_ends_even_if_the_last_entry_never_comes(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1").script = [Moment("cancelled", {"scan": "Skipped"})]

        assert taskrunner("logs", "r1", "--follow").code == 0

    def test_reads_the_log_of_a_service_without_cursors_once(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        line = b'{"timestamp":"2025-12-06T12:00:00Z","level":"info","eventType":"x","message":"m"}'
        service.next_answers = [Answer(200, line)]

        assert taskrunner("logs", "r1").out.count("m\n") == 1

    def test_an_incomplete_line_is_an_error(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [Answer(200, b'{"timestamp":"2025')]

        ended = taskrunner("logs", "r1", "-o", "json")

        assert (ended.code, ended.out) == (3, "")


class TestCancel:
    def test_says_that_the_run_is_cancelled(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1")
        service.next_answers = [Answer(202, {"status": "cancelled", "runStatus": "cancelled"})]

        assert taskrunner("cancel", "r1").out == "run r1 is cancelled\n"

    @pytest.mark.parametrize("status", ["succeeded", "failed"])
    def test_says_that_a_run_had_ended_before(
        self, taskrunner: Command, service: FakeService, status: str
    ) -> None:
        answer = {"status": "cancelled", "runStatus": status}
        service.next_answers = [Answer(202, answer), Answer(202, answer)]

        as_text, as_json = taskrunner("cancel", "r1"), taskrunner("cancel", "r1", "-o", "json")

        assert as_text.code == 0
        assert as_text.out == (
            f"run r1 is {status}: it had ended before, so nothing was cancelled\n"
        )
        assert as_json.document == answer

    def test_reads_the_run_if_the_service_does_not_say_how_it_stands(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", ticks=2)

        assert "r1 is succeeded: it had ended before" in taskrunner("cancel", "r1").out

    def test_a_state_that_cannot_be_read_does_not_undo_the_cancellation(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [Answer(202, {"status": "cancelled"}), Answer(403, {})]

        ended = taskrunner("cancel", "r1")

        assert (ended.code, ended.out) == (0, "run r1 is cancelled\n")
        assert "the state of the run cannot be read" in ended.err
