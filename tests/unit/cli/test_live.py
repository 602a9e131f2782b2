"""The live table and its window, drawn into a recorded terminal."""

import io

import pytest
from rich.console import Console

from taskrunner_cli.api.documents import Step
from taskrunner_cli.api.watch import Glimpse, StepSpans
from taskrunner_cli.output.live_run import LiveTable, follow, window
from tests.unit.cli.conftest import FakeClock
from tests.unit.cli.fake_run import DEPLOY, FakeRun


def _step(name: str, status: str, reason: str = "") -> Step:
    step: Step = {
        "stepId": name,
        "kind": "Run",
        "enabled": True,
        "continueOnError": False,
        "status": status,  # type: ignore[typeddict-item] # plain text in tests
        "attempts": 1,
    }
    return {**step, "statusReason": reason} if reason else step


def test_the_table_shows_status_attempts_reason_and_time() -> None:
    run = FakeRun("r1", "deploy-app", "sha256:00", DEPLOY)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, height=40, color_system=None)
    looks = [Glimpse(run.state(), list(run.log))]
    for _ in range(2):
        told = len(run.log)
        run.tick()
        looks.append(Glimpse(run.state(), run.log[told:]))

    last = follow(looks, LiveTable(console, FakeClock(run.tick), StepSpans()))

    picture = screen.getvalue().rpartition("run r1")[2]
    assert last["status"] == "waiting"
    assert "◆ waiting" in picture
    assert "1.0 s" in next(line for line in picture.splitlines() if line.startswith("build"))
    assert "awaiting-approval: Review before deploy" in picture
    assert "gate.awaiting" in picture


def test_a_run_nobody_looked_at_has_no_state() -> None:
    with pytest.raises(ValueError, match="nobody looked at"):
        follow([], LiveTable(Console(file=io.StringIO()), FakeClock(lambda: None), StepSpans()))


def test_a_small_screen_shows_what_matters_in_the_packs_order() -> None:
    steps = [_step(f"done{n}", "Succeeded") for n in range(5)]
    steps += [_step("broken", "Failed"), _step("now", "Running")]
    steps += [_step(f"later{n}", "Pending") for n in range(5)]

    shown, left_out = window(steps, 4)

    assert [step["stepId"] for step in shown] == ["broken", "now", "later0", "later1"]
    assert left_out == 8


def test_a_screen_that_is_large_enough_shows_everything() -> None:
    steps = [_step("a", "Succeeded"), _step("b", "Pending", "awaiting-approval")]

    assert window(steps, 2) == (steps, 0)
