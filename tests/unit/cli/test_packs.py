"""`simulate` and `run`."""

import io
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer
from tests.unit.cli.fake_service import FakeService, plan_hash

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SCAN = str(EXAMPLES / "scan-deploy.yaml")
DEPLOY = str(EXAMPLES / "deploy-app.yaml")
UNKNOWN_EXECUTOR = {
    "path": "$.spec.steps[0].run.uses",
    "message": "line 24: no executor 'builtin:scaner'",
}
MISSING_INPUT = {"path": "$.inputs.target", "message": "it is required"}
PLAN_ERRORS = {
    "errors": [UNKNOWN_EXECUTOR, MISSING_INPUT],
    "error": {"code": "invalid_pack", "message": "2 errors", "traceId": "f62f3c2b"},
}


BLOCKS: list[dict[str, object]] = [
    {"kind": "Parallel", "maxParallel": 2},
    {"kind": "Map", "mapInfo": {"mode": "inline", "itemCount": 3, "failFast": False}},
    {"kind": "Map", "mapInfo": {"mode": "distributed", "itemsExpression": "inputs.hosts"}},
    {
        "kind": "Loop",
        "loopInfo": {"itemsExpression": "inputs.n", "aggregationMode": "collect", "failFast": True},
    },
    {"kind": "Conditional", "conditionalInfo": {"branches": [{"condition": "inputs.go"}]}},
    {
        "kind": "GatePolicy",
        "policyInfo": {"policyId": "p", "policyVersion": "1", "failureAction": "abort"},
    },
]


class TestRerun:
    def test_runs_a_run_again_with_other_inputs_and_follows_it(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", ticks=2)

        ended = taskrunner("rerun", "r1", "--input", "image=app:v2", "--run-id", "r2")

        assert ended.code == 0
        assert "run.completed" in ended.out
        request = next(
            request
            for request in service.requests
            if request.method == "POST" and request.path.endswith("/runs/r1/rerun")
        )
        assert request.document == {"inputs": {"image": "app:v2"}, "runId": "r2"}
        assert request.headers["idempotency-key"] == "key-1"

    def test_an_older_service_cannot_run_it_again(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", ticks=2)
        service.can_rerun = False

        ended = taskrunner("rerun", "r1", "--detach")

        assert ended.code == 1
        assert "a service of version 0.1 cannot run it again" in ended.err


WARNED: dict[str, object] = {
    "runId": "r1",
    "planHash": "sha256:00",
    "status": "queued",
    "steps": [],
    "warnings": [
        {"code": "machine_quota_near", "message": "90012 machines\x1b[31m: ask an operator"},
        {"code": "something_new"},
    ],
}


class TestWarnings:
    @pytest.mark.parametrize("command", [("run", DEPLOY), ("rerun", "r1")])
    def test_are_printed_on_standard_error(
        self, taskrunner: Command, service: FakeService, command: tuple[str, ...]
    ) -> None:
        service.next_answers = [Answer(201, WARNED)]

        ended = taskrunner(*command, "--detach")

        assert ended.code == 0
        words = " ".join(ended.err.split())
        assert words.startswith("warning: 90012 machines")
        assert "ask an operator warning: something_new" in words
        assert "\x1b" not in ended.err
        assert "90012" not in ended.out

    def test_are_printed_before_a_run_is_followed(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", ticks=2)
        service.next_answers = [Answer(201, WARNED)]

        ended = taskrunner("run", SCAN)

        assert "warning: 90012 machines" in ended.err
        assert "run.completed" in ended.out

    def test_are_in_the_document_alone_for_a_program(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [Answer(201, WARNED)]

        ended = taskrunner("run", DEPLOY, "--detach", "--output", "json")

        assert ended.err == ""
        codes = [warning["code"] for warning in ended.document["warnings"]]
        assert codes == ["machine_quota_near", "something_new"]

    def test_nothing_is_printed_without_a_warning(self, taskrunner: Command) -> None:
        assert "warning" not in taskrunner("run", DEPLOY, "--detach").err


class TestSimulate:
    def test_shows_the_status_of_each_step(self, taskrunner: Command) -> None:
        ended = taskrunner("simulate", DEPLOY)

        assert ended.code == 0
        assert "◆ RequiresApproval" in ended.out
        assert plan_hash(Path(DEPLOY).read_text()) in ended.out

    def test_shows_the_details_of_blocks_and_gates_the_budget_and_the_outputs(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        steps = [
            {"id": f"s{number}", "status": "Pending", "children": [], **block}
            for number, block in enumerate(BLOCKS)
        ]
        budget = {"stateTransitions": 20, "historyEvents": 90, "estimatedCostUsd": 0.00051}
        simulation = {
            "planHash": "sha256:00",
            "failurePolicy": {},
            "pack": {"name": "a-pack", "version": "1.0.0"},
            "steps": steps,
            "outputs": [{"name": "report", "type": "file"}],
            "hasPendingApprovals": False,
            "budget": budget,
        }
        service.next_answers = [Answer(200, simulation)]

        lines = taskrunner("simulate", SCAN).out.splitlines()

        assert lines[0] == "a-pack 1.0.0"
        assert "20 transitions, 90 history events, 0.0005 USD" in lines[3]
        assert "report (file)" in lines[4]
        details = [line.partition("Pending")[2].strip() for line in lines[6:]]
        assert details == [
            "2 at a time",
            "3 items, inline, runs all items, then fails",
            "over inputs.hosts, distributed",
            "over inputs.n, collect, stops at a failure",
            "inputs.go",
            "p 1, otherwise abort",
        ]

    def test_shows_a_line_above_the_steps_of_each_branch(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        lanes = [("a", "eu"), ("b", "eu"), ("c", "1")]
        children = [{"id": name, "branch": branch, "status": "Pending"} for name, branch in lanes]
        steps = [{"id": "regions", "status": "Pending", "children": children}]
        service.next_answers = [
            Answer(200, {"planHash": "sha256:00", "failurePolicy": {}, "steps": steps})
        ]

        lines = taskrunner("simulate", SCAN).out.splitlines()

        assert [line.partition("○")[0].rstrip() for line in lines[-6:]] == [
            "regions", "  branch eu", "    a", "    b", "  branch 1", "    c",
        ]  # fmt: skip

    def test_prints_the_answer_as_json(self, taskrunner: Command) -> None:
        ended = taskrunner("simulate", SCAN, "--output", "json")

        assert ended.document["steps"][0]["status"] == "Pending"
        assert ended.err == ""

    def test_pairs_are_typed_and_override_the_inputs_file(
        self, taskrunner: Command, service: FakeService, tmp_path: Path
    ) -> None:
        file = tmp_path / "inputs.json"
        file.write_text('{"target": "from-file", "kept": true}')

        pairs = (
            "target=app:v1",
            "retries=3",
            'tag="3"',
            "list=[1, 2]",
            "odd=NaN",
            "empty=",
            "e=a=b",
        )
        options = [word for pair in pairs for word in ("--input", pair)]
        taskrunner("simulate", SCAN, "--inputs", str(file), *options)

        assert service.requests[-1].document["inputs"] == {
            "target": "app:v1", "kept": True, "retries": 3, "tag": "3", "list": [1, 2],
            "odd": "NaN", "empty": "", "e": "a=b",
        }  # fmt: skip

    @pytest.mark.parametrize("pair", ["target", "=value"])
    def test_rejects_an_input_without_a_name_or_a_value(
        self, taskrunner: Command, pair: str
    ) -> None:
        ended = taskrunner("simulate", SCAN, "--input", pair)

        assert (ended.code, ended.out) == (2, "")
        assert f"--input {pair!r} is not NAME=VALUE" in ended.err

    @pytest.mark.parametrize("content", ["[1]", "{", "NaN"])
    def test_rejects_an_inputs_file_that_is_not_a_json_object(
        self, taskrunner: Command, tmp_path: Path, content: str
    ) -> None:
        (tmp_path / "inputs.json").write_text(content)

        ended = taskrunner("simulate", SCAN, "--inputs", str(tmp_path / "inputs.json"))

        assert ended.code == 2

    def test_rejects_a_pack_file_that_does_not_exist(self, taskrunner: Command) -> None:
        ended = taskrunner("simulate", "nowhere.yaml", "-o", "json")

        assert (ended.code, ended.out) == (2, "")
        assert ended.error["error"]["code"] == "usage"

    def test_reads_a_pack_from_standard_input(
        self, taskrunner: Command, service: FakeService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("kind: TaskPack"))

        taskrunner("simulate", "-")

        assert service.requests[-1].document["manifest"] == "kind: TaskPack"

    def test_rejects_a_pack_that_is_not_utf_8(self, taskrunner: Command, tmp_path: Path) -> None:
        (tmp_path / "p.yaml").write_bytes(b"\xff\xfe")

        assert taskrunner("simulate", str(tmp_path / "p.yaml")).code == 2

    def test_shows_the_places_of_plan_errors_in_the_pack(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [Answer(400, PLAN_ERRORS)]

        ended = taskrunner("simulate", SCAN)

        assert (ended.code, ended.out) == (1, "")
        assert ended.err.splitlines() == [
            "error: the pack cannot be planned: 2 errors",
            f"  ✗ {SCAN}:24:9  $.spec.steps[0].run.uses",
            "    no executor 'builtin:scaner'",
            "      24 │         uses: builtin:scanner",
            "         │         ^",
            "  ✗ $.inputs.target  it is required",
            "       invalid_pack (HTTP 400, trace f62f3c2b)",
            "try:   --input target=VALUE",
        ]

    def test_prints_plan_errors_as_json_with_their_places(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [Answer(400, PLAN_ERRORS)]

        ended = taskrunner("simulate", SCAN, "--output=json")

        assert ended.error["error"]["code"] == "invalid_pack"
        assert ended.error["errors"] == [
            {
                **UNKNOWN_EXECUTOR,
                "file": SCAN,
                "line": 24,
                "column": 9,
                "text": "        uses: builtin:scanner",
            },
            MISSING_INPUT,
        ]


class TestRun:
    def test_prints_a_line_per_transition_until_the_run_ends(self, taskrunner: Command) -> None:
        ended = taskrunner("run", SCAN, "--input", "target=app:v1")

        assert ended.code == 0
        events = ["run.created", "run.started", "step.started", "step.completed", "run.completed"]
        lines = ended.out.splitlines()
        assert [line.split()[1] for line in lines[:5]] == events
        assert "✓ succeeded" in ended.out

    def test_exits_with_one_and_the_reason_if_the_run_fails(
        self, taskrunner: Command, tmp_path: Path
    ) -> None:
        (tmp_path / "p.yaml").write_text("metadata:\n  name: failing\n")

        ended = taskrunner("run", str(tmp_path / "p.yaml"))

        assert ended.code == 1
        assert "executor-error: the scanner fell over" in ended.out

    def test_prints_the_last_state_as_the_only_json_document(self, taskrunner: Command) -> None:
        ended = taskrunner("run", SCAN, "--output", "json")

        assert (ended.code, ended.err) == (0, "")
        assert ended.document["status"] == "succeeded"

    def test_exits_at_once_when_detached(self, taskrunner: Command, service: FakeService) -> None:
        ended = taskrunner("run", SCAN, "--detach", "--run-id", "mine", "-o", "json")

        assert (ended.code, ended.document["status"]) == (0, "queued")
        assert [request.path for request in service.requests] == [
            "/token",
            "/live/v1/task-runner/runs",
        ]

    def test_sends_only_the_options_that_were_given(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        taskrunner(
            "run", SCAN, "--detach", "--run-id", "mine", "--expect-plan-hash", "sha256:00",
            "--idempotency-key", "once", "--tenant", "tenant-prod",
        )  # fmt: skip
        taskrunner("run", SCAN, "--detach")

        full, bare = service.requests[1], service.requests[3]
        assert full.headers["idempotency-key"] == "once"
        assert full.headers["x-stellaops-tenant"] == "tenant-prod"
        assert full.document == {
            "manifest": Path(SCAN).read_text(), "inputs": {}, "runId": "mine",
            "expectPlanHash": "sha256:00",
        }  # fmt: skip
        assert bare.document.keys() == {"manifest", "inputs"}
        assert bare.headers["idempotency-key"] == "key-1"
        assert "x-stellaops-tenant" not in bare.headers

    def test_keeps_watching_a_run_that_waits_at_a_gate(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", "deploy-app").verdict = "approved"

        ended = taskrunner("show", "r1", "--watch")

        assert ended.code == 0
        assert ended.out.count("gate.awaiting") == 1
        assert ended.out.count("taskrunner approve r1 security-review --as approver") == 1
