"""The live table, drawn on a terminal that is recorded."""

import io
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console

from taskrunner_cli.api.answers import Answer
from taskrunner_cli.api.documents import LogEntry, Step, StepStatus
from taskrunner_cli.api.watch import RunUpdate
from taskrunner_cli.output.live_run import LiveTable, show_updates
from taskrunner_cli.output.step_durations import StepDurations
from tests.unit.cli.conftest import FakeClock
from tests.unit.cli.fake_run import DEPLOY, FakeRun, at_gates

if TYPE_CHECKING:
    from taskrunner_cli.json_types import JsonValue


def _step(name: str, status: StepStatus) -> Step:
    return {
        "stepId": name,
        "kind": "Run",
        "enabled": True,
        "continueOnError": False,
        "status": status,
        "attempts": 1,
    }


def _answers(log: list[LogEntry]) -> list[Answer[LogEntry]]:
    return [Answer(cast("JsonValue", entry), entry) for entry in log]


def _views(updates: list[RunUpdate], *, height: int, width: int = 100) -> list[list[str]]:
    """The lines of each redraw of the table, and last those that stay on the terminal."""
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, width=width, height=height, color_system=None
    )
    show_updates(updates, LiveTable(console, FakeClock(lambda: None), StepDurations()))
    return [view.splitlines() for view in screen.getvalue().split("run r1 ")[1:]]


def _step_ids(lines: list[str]) -> list[str]:
    header = next(number for number, line in enumerate(lines) if line.startswith("step"))
    rows = [line.split() for line in lines[header + 1 :]]
    return [row[0] for row in rows if row and row[0][0].isalpha() and row[0] != "taskrunner"]


def test_shows_status_reason_duration_and_log_of_a_waiting_run() -> None:
    run = FakeRun("r1", "deploy-app", "sha256:00", DEPLOY)
    updates = [RunUpdate(run.state(), _answers(run.log))]
    for _ in range(2):
        known = len(run.log)
        run.tick()
        updates.append(RunUpdate(run.state(), _answers(run.log[known:])))

    lines = _views(updates, height=40)[-2]

    view = "\n".join(lines)
    assert "◆ waiting" in view
    assert "1.0 s" in next(line for line in lines if line.startswith("build"))
    assert "awaiting-approval: Review before deploy" in view
    assert "gate.awaiting" in view


def test_proposes_a_command_for_each_gate_that_needs_its_own_decision() -> None:
    run = FakeRun("r1", "regions", "sha256:00", at_gates(2))
    update = RunUpdate(run.state(), [], by_gate=frozenset({"security-review"}))

    *redraws, last = _views([update], height=40)

    for lines in (redraws[-1], last):
        view = "\n".join(lines)
        assert "approve r1 security-review --step 'regions[1]::approval' --as approver" in view


def test_a_small_terminal_shows_the_most_relevant_steps_in_the_packs_order() -> None:
    run = FakeRun("r1", "deploy-app", "sha256:00", DEPLOY[1:])
    steps = [_step(f"done{number}", "Succeeded") for number in range(5)]
    steps += [_step("broken", "Failed"), _step("now", "Running")]
    steps += [_step(f"later{number}", "Pending") for number in range(5)]

    views = _views([RunUpdate({**run.state(), "steps": steps}, [])], height=8)

    assert _step_ids(views[-2]) == ["broken", "now", "later0", "later1"]
    assert "… and 8 more steps" in views[-2]
    assert _step_ids(views[-1]) == [step["stepId"] for step in steps]


def test_failed_steps_come_first_and_leave_room_for_those_that_run() -> None:
    run = FakeRun("r1", "deploy-app", "sha256:00", DEPLOY[1:])
    steps = [_step(f"now{number}", "Running") for number in range(2)]
    steps += [_step(f"broken{number}", "Failed") for number in range(20)]
    steps += [_step("later", "Pending")]

    views = _views([RunUpdate({**run.state(), "steps": steps}, [])], height=12)

    assert any(line.startswith("✗ broken0") for line in views[-2])
    assert _step_ids(views[-2]) == ["now0", "now1", "broken0", "broken1", "broken2", "broken3"]
    assert len(_step_ids(views[-1])) == 23


def test_a_step_that_the_log_ended_and_the_state_did_not_runs_no_more() -> None:
    run = FakeRun("r1", "deploy-app", "sha256:00", DEPLOY[1:])
    state = run.state()
    run.tick()

    lines = _views([RunUpdate(state, _answers(run.log))], height=40)[-2]

    assert next(line for line in lines if line.startswith("build")).split()[2] == "Succeeded"


def test_a_map_takes_as_long_as_its_items_and_knows_those_to_come() -> None:
    run = FakeRun("r1", "deploy-app", "sha256:00", DEPLOY[1:])
    fan: Step = {**_step("fan", "Running"), "kind": "Map", "maxParallel": 1, "counts": {
        "Succeeded": 1, "Running": 1, "Pending": 8
    }}  # fmt: skip
    items = [_step("fan[0]::scan", "Succeeded"), _step("fan[1]::scan", "Running")]
    for item in items:
        item["parentId"] = "fan"
    steps = [fan, *items]
    for event, step_id in [
        ("step.started", "fan[0]::scan"), ("step.completed", "fan[0]::scan"),
        ("step.started", "fan[1]::scan"),
    ]:  # fmt: skip
        run.add_entry(event, step_id)

    lines = _views([RunUpdate({**run.state(), "steps": steps}, _answers(run.log))], height=40)[-2]

    row = next(line for line in lines if line.startswith("fan "))
    assert "57 s" in row
    assert row.endswith("1/10, 1 running")


def test_a_large_terminal_shows_every_step() -> None:
    run = FakeRun("r1", "deploy-app", "sha256:00", DEPLOY[1:])

    for lines in _views([RunUpdate(run.state(), [])], height=40)[-2:]:
        assert _step_ids(lines) == ["build", "approval", "deploy"]
        assert "more steps" not in "\n".join(lines)


def test_a_run_without_updates_has_no_state() -> None:
    display = LiveTable(Console(file=io.StringIO()), FakeClock(lambda: None), StepDurations())

    with pytest.raises(ValueError, match="without updates"):
        show_updates([], display)
