"""Tables on a terminal of 80 columns and in a pipe, and the steps that a run's table lists."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer, Request
from tests.unit.cli.fake_run import Moment
from tests.unit.cli.fake_service import FakeService

RELEASE = str(Path(__file__).resolve().parents[3] / "examples" / "release.yaml")
LONG_ID = "release-2025-12-06-" + "0123456789" * 8
PLAN = "sha256:" + "0" * 64
GRANTS = ["packs.approve", "packs.approve.production"]
MESSAGE = "Please look at the findings, and at the list of packages that are new in this release"


@dataclass
class Document(FakeService):
    """A service that answers every operation with one document."""

    document: Any = None

    def route(self, request: Request) -> Answer:
        if request.path == "/token":
            return super().route(request)
        return Answer(200, b"" if request.path.endswith("/logs") else self.document)

    def __post_init__(self) -> None:
        super().__init__("http://store")


@pytest.fixture(name="service")
def _service() -> Document:
    return Document()


def _approvals(run_id: str) -> dict[str, Any]:
    return {
        "approvals": [
            {
                "runId": run_id,
                "approvalId": "security-review",
                "stepId": "release[0]::review",
                "message": MESSAGE,
                "grants": GRANTS,
                "openedAt": "2025-12-06T12:00:05Z",
                "expiresAt": "2025-12-13T12:00:05Z",
                "planHash": PLAN,
            }
        ]
    }


def _map_run(*, count: int = 30, ended: int = 17, failed: tuple[int, ...] = ()) -> dict[str, Any]:
    """A run of a map of *count* items with 4 steps each, of which *ended* items have ended."""
    steps: list[dict[str, Any]] = [{"stepId": "fan", "kind": "Map", "status": "Running"}]
    for item in range(count):
        for number, name in enumerate(("pull", "scan", "sign", "push")):
            step = {
                "stepId": f"fan[{item}]::{name}",
                "kind": "Run",
                "parentId": "fan",
                "status": "Succeeded" if item < ended else "Pending",
                "attempts": 1,
            }
            if item in failed and number == 1:
                step |= {"status": "Failed", "errorMessage": "the scanner fell over"}
            steps.append(step)
    steps.append({"stepId": "report", "kind": "Run", "status": "Pending"})
    return {"runId": "r1", "planHash": PLAN, "steps": steps, "status": "running"}


class TestTables:
    @pytest.mark.parametrize("columns", [80, 60, 40])
    @pytest.mark.parametrize("run_id", ["r1", LONG_ID])
    def test_ids_stay_in_one_piece_on_a_terminal(
        self, terminal: Command, service: Document, columns: int, run_id: str
    ) -> None:
        service.document = _approvals(run_id)

        words = terminal("approvals", columns=columns).out.split()

        for word in (run_id, "security-review", "release[0]::review", GRANTS[1]):
            assert word in [printed.rstrip(",") for printed in words]

    @pytest.mark.parametrize("columns", [70, 60, 50, 40])
    def test_a_list_of_ids_wraps_between_them(
        self, terminal: Command, taskrunner: Command, columns: int
    ) -> None:
        words = set(taskrunner("gates", RELEASE).out.split())

        assert "no-critical-findings" in words
        assert words <= set(terminal("gates", RELEASE, columns=columns).out.split())

    @pytest.mark.parametrize(("columns", "indent"), [(80, 3), (24, 3), (16, 2)])
    def test_a_list_has_no_lines_of_a_tree(
        self, terminal: Command, service: Document, columns: int, indent: int
    ) -> None:
        service.document = _map_run(failed=(3,))
        service.document["steps"][14]["stepId"] = f"fan[3]::{LONG_ID[:70]}"

        lines = terminal("show", "r1", columns=columns).out.splitlines()

        assert f"{' ' * indent}step" in [line.rstrip()[: indent + 4] for line in lines]
        assert not set("│├└─") & set("".join(lines))

    def test_no_line_is_wider_than_the_terminal(self, terminal: Command, service: Document) -> None:
        for document, command in (
            (_approvals("r1"), "approvals"),
            ({"runs": [{"runId": "r1", "createdAt": "2025-12-06T12:00:05Z"}]}, "runs"),
            (_map_run(failed=(3,)), "show"),
        ):
            service.document = document

            ended = terminal(command, *(["r1"] if command == "show" else []))

            assert ended.code == 0
            assert max(len(line) for line in ended.out.splitlines()) <= 80

    def test_a_message_wraps_on_a_terminal_and_is_one_line_in_a_pipe(
        self, terminal: Command, taskrunner: Command, service: Document
    ) -> None:
        service.document = _approvals("r1")

        on_terminal, in_pipe = terminal("approvals").out, taskrunner("approvals").out

        assert MESSAGE not in on_terminal
        assert MESSAGE in " ".join(on_terminal.split())
        assert len(in_pipe.splitlines()) == 2
        assert MESSAGE in in_pipe

    def test_a_headline_and_a_command_to_copy_keep_a_long_id_whole(
        self, terminal: Command, service: Document
    ) -> None:
        service.document = {**_map_run(), "runId": LONG_ID}

        out = terminal("show", LONG_ID).out

        assert f"run {LONG_ID}" in out
        assert f"taskrunner show {LONG_ID} --all" in out


class TestIterations:
    def test_a_map_of_30_is_one_row_with_its_progress(
        self, taskrunner: Command, service: Document
    ) -> None:
        service.document = _map_run()

        lines = taskrunner("show", "r1").out.splitlines()

        steps = [line.split() for line in lines if line.startswith(("fan", "  fan", "report"))]
        assert [row[0] for row in steps] == ["fan", "report"]
        assert steps[0][-1] == "17/30"
        assert "… and 120 more steps in iterations: taskrunner show r1 --all" in lines

    def test_the_steps_that_failed_stand_below_their_map(
        self, taskrunner: Command, service: Document
    ) -> None:
        service.document = _map_run(failed=(3, 8))

        lines = taskrunner("show", "r1").out.splitlines()

        assert any(line.endswith("17/30, 2 failed") for line in lines)
        failed = [line.split()[:2] for line in lines if "the scanner fell over" in line]
        assert failed == [
            ["✗", "fan[3]::scan"], ["✗", "fan[8]::scan"],
            ["├─", "fan[3]::scan"], ["└─", "fan[8]::scan"],
        ]  # fmt: skip

    def test_all_lists_every_step(self, taskrunner: Command, service: Document) -> None:
        service.document = _map_run()

        out = taskrunner("show", "r1", "--all").out

        assert out.count("fan[") == 120
        assert "more steps" not in out

    def test_an_approver_sees_the_map_and_not_its_steps(
        self, taskrunner: Command, service: Document
    ) -> None:
        service.document = _map_run()

        lines = taskrunner("approve", "r1", "review", "--yes").out.splitlines()

        assert ["pending", "report"] in [line.split() for line in lines]


class TestWatch:
    @pytest.fixture(name="service")
    def _service(self) -> FakeService:
        service = FakeService("http://store")
        service.add("r1", "deploy-app").verdict = "approved"
        return service

    def test_a_terminal_shows_the_last_state_once(self, terminal: Command) -> None:
        ended = terminal("show", "r1", "--watch")

        last = ended.out[ended.out.rindex("run r1 ") :]
        assert ended.code == 0
        assert "✓ succeeded" in last
        assert [last.count(f"\n{step} ") for step in ("build", "approval", "deploy")] == [1, 1, 1]

    def test_a_pipe_shows_the_last_state_once_after_the_log(self, taskrunner: Command) -> None:
        out = taskrunner("show", "r1", "--watch").out

        assert out.count("run r1 ") == 1
        assert out.index("run.completed") < out.index("run r1 ")
        assert [out.count(f"\n{step} ") for step in ("build", "approval", "deploy")] == [1, 1, 1]

    def test_a_started_step_is_running_even_if_the_state_does_not_say_so_yet(
        self, terminal: Command, service: FakeService
    ) -> None:
        run = service.runs["r1"]
        started = Moment(
            "running",
            {"build": "Pending", "approval": "Pending", "deploy": "Pending"},
            [("run.started", ""), ("step.started", "build")],
        )
        run.script = [run.script[0], started, *run.script[2:]]

        out = terminal("show", "r1", "--watch").out

        rows = [line.split() for line in out.splitlines() if line.startswith("build")]
        assert ["build", "●", "Running"] in [row[:3] for row in rows]
