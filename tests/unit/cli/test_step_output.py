"""Output of steps, in the log of a command, in a pipe and on a terminal."""

import io
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console

from taskrunner_cli.api.answers import Answer
from taskrunner_cli.api.documents import LogEntry, RunStatus, Step, StepDetail, StepStatus
from taskrunner_cli.api.watch import RunUpdate
from taskrunner_cli.output.live_run import Display, LiveTable, PlainLines, show_updates
from taskrunner_cli.output.runs import log_line
from taskrunner_cli.output.sanitize import output_lines
from taskrunner_cli.output.step_detail import step_view
from taskrunner_cli.output.step_durations import StepDurations
from taskrunner_cli.output.steps import step_rows, step_table
from tests.unit.cli.conftest import FakeClock

if TYPE_CHECKING:
    from taskrunner_cli.json_types import JsonValue


def _entry(event: str, message: str, stream: str = "") -> LogEntry:
    entry: LogEntry = {
        "timestamp": "2025-12-06T12:00:00Z",
        "level": "info",
        "eventType": event,
        "message": message,
        "stepId": "build",
    }
    if stream:
        entry["metadata"] = {"stream": stream, "attempt": "1"}
    return entry


def _update(status: RunStatus, step: StepStatus, *entries: LogEntry) -> RunUpdate:
    answers = [Answer(cast("JsonValue", entry), entry) for entry in entries]
    steps: list[Step] = [{"stepId": "build", "status": step}]
    return RunUpdate({"runId": "r1", "planHash": "h", "status": status, "steps": steps}, answers)


def _console(screen: io.StringIO, *, is_terminal: bool) -> Console:
    return Console(file=screen, force_terminal=is_terminal, width=100, height=40, color_system=None)


def _shown(display: Display, screen: io.StringIO, *updates: RunUpdate) -> str:
    show_updates(updates, display)
    return screen.getvalue()


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        ("one\ntwo\n", ["one", "two"]),
        ("no end", ["no end"]),
        ("\x1b[1;31mred\x1b[0m\n", ["red"]),
        ("\x1b]0;a title\x07text\n", ["text"]),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\\n", ["link"]),
        ("\x1bP1;2|code\x1b\\text \x1b_and\x1b\\more\n", ["text more"]),
        ("\x9b31mred\x9b0m \x9d0;a title\x9cend\n", ["red end"]),
        ("\x1b]0;open\nnext\x07\n", ["\\x1b]0;open", "next\\x07"]),
        ("\x1b(B\x1b=\x1b7\x1bcplain\n", ["plain"]),
        ("10%\r 50%\r100%\n", ["100%"]),
        ("windows\r\n", ["windows"]),
        ("cut \x1b[3", ["cut \\x1b[3"]),
        ("bell\x07 \u202e", ["bell\\x07 \\x202e"]),
        ("\n", [""]),
    ],
)
def test_a_terminal_obeys_nothing_in_output(output: str, lines: list[str]) -> None:
    assert output_lines(output) == lines


def test_each_line_of_a_log_names_its_step_and_its_stream() -> None:
    out = log_line(_entry("step.output", "one\ntwo\n", "stdout")).plain
    err = log_line(_entry("step.output", "old\n", "stderr")).plain

    assert [line.rpartition("  ")[2] for line in out.splitlines()] == ["build | one", "build | two"]
    assert err.endswith("  build ! old")


@pytest.mark.parametrize("streams", [True, False])
def test_a_pipe_has_output_unless_it_is_unwanted(*, streams: bool) -> None:
    screen = io.StringIO()
    display = PlainLines(_console(screen, is_terminal=False), "", streams=streams)

    shown = _shown(
        display,
        screen,
        _update("running", "Running", _entry("step.output", "compiling\n", "stdout")),
    )

    assert ("build | compiling" in shown) is streams


def test_a_terminal_keeps_all_output_if_it_is_wanted() -> None:
    screen = io.StringIO()
    clock = FakeClock(lambda: None)
    console = _console(screen, is_terminal=True)
    display = LiveTable(console, clock, StepDurations(), streams=True)
    entries = [_entry("step.output", f"line {number}\n", "stdout") for number in range(30)]

    shown = _shown(display, screen, _update("succeeded", "Succeeded", *entries))

    assert [f"build | line {number}" in shown for number in range(30)] == [True] * 30


@pytest.mark.parametrize(("streams", "lines"), [(None, range(20, 30)), (False, range(0))])
def test_a_terminal_ends_with_the_last_lines_of_a_failed_step(
    streams: bool | None,  # noqa: FBT001 -- as the option has it
    lines: range,
) -> None:
    screen = io.StringIO()
    clock = FakeClock(lambda: None)
    console = _console(screen, is_terminal=True)
    display = LiveTable(console, clock, StepDurations(), streams=streams)
    entries = [_entry("step.output", f"line {number}.\n", "stderr") for number in range(30)]

    shown = _shown(display, screen, _update("failed", "Failed", *entries))
    end = shown[shown.rindex("run r1") :]

    assert [n for n in range(30) if f"build ! line {n}." in end] == list(lines)


def test_a_step_that_prints_goes_on() -> None:
    durations = StepDurations()
    for event in ("step.started", "step.output"):
        durations.add(_entry(event, "text\n"))

    assert durations.running == {"build"}


def test_the_table_says_what_a_step_waits_for_and_where_it_runs() -> None:
    waiting: Step = {
        "stepId": "tests",
        "status": "Pending",
        "statusReason": "waiting-for-worker",
        "pool": "linux",
    }
    running: Step = {"stepId": "tests", "status": "Running", "pool": "linux", "worker": "build-7"}

    assert "waiting-for-worker: pool linux" in _table(waiting)
    assert "on build-7" in _table(running)
    assert "build-7" not in _table({**running, "status": "Succeeded"})


WAIT = "all workers of the pool linux are busy"
LOSS = "attempt 1 was lost: worker vm-6 of pool linux stopped answering; offered again"
ARN = "arn:aws:states:eu-central-1:1:execution:taskrunner_machine_load:run-7-1"


def _waiting(step_id: str = "tests", message: str = WAIT, cause: str = "workers-busy") -> Step:
    return {
        "stepId": step_id,
        "status": "Pending",
        "statusReason": "waiting-for-worker",
        "pool": "linux",
        "workerWait": {"cause": cause, "message": message},
    }


def test_the_table_says_why_a_step_waits_and_which_worker_was_lost() -> None:
    lost: Step = {**_waiting(), "lastLoss": {"message": LOSS}}
    running: Step = {**lost, "status": "Running", "worker": "vm-7", "statusReason": ""}
    del running["workerWait"]

    assert WAIT in _table(_waiting())
    assert f"{WAIT} ({LOSS})" in _table(lost)
    assert f"on vm-7 ({LOSS})" in _table(running)
    assert LOSS not in _table({**running, "status": "Succeeded"})


def test_the_table_names_the_execution_of_a_call() -> None:
    step: Step = {"stepId": "load", "status": "Running", "executionArn": ARN}

    assert "execution run-7-1" in _table(step)
    assert "run-7-1" not in _table({**step, "status": "Succeeded"})


def test_of_the_items_of_a_map_the_first_ones_say_why_they_wait() -> None:
    steps: list[Step] = [{"stepId": "each", "kind": "Map", "status": "Running"}]
    for number in range(20):
        for name, message in (("tests", WAIT), ("gpu", "none has the label")):
            step = _waiting(f"each[{number}]::{name}", message)
            step["parentId"] = "each"
            steps.append(step)

    shown = [row.step["stepId"] for row in step_rows(steps)]

    assert shown == ["each", "each[0]::tests", "each[0]::gpu"]


def test_a_step_lists_its_losses_and_its_execution() -> None:
    screen = io.StringIO()
    step: StepDetail = {
        "stepId": "tests",
        "status": "Pending",
        "workerWait": {"message": WAIT},
        "losses": [{"message": LOSS}],
        "executionArn": ARN,
        "attemptHistory": [{"attempt": 1, "status": "Running", "executionArn": ARN}],
    }

    _console(screen, is_terminal=False).print(step_view(step))

    shown = " ".join(screen.getvalue().split())
    assert f"waits {WAIT}" in shown
    assert LOSS in shown
    assert f"execution {ARN}" in shown
    assert "Running execution run-7-1" in shown


def test_lines_say_once_why_steps_wait() -> None:
    screen = io.StringIO()
    display = PlainLines(_console(screen, is_terminal=False), "")
    first = _update("running", "Running")
    for steps in (
        [_waiting("a", "none yet", "not-asked-yet")],
        [_waiting("a"), _waiting("b")],
        [_waiting("a"), _waiting("b")],
        [_waiting("a", "no worker")],
    ):
        display.show(replace(first, run={**first.run, "steps": steps}))

    assert screen.getvalue().splitlines() == [f"a: {WAIT}", "a: no worker"]


def test_a_step_names_its_pool_and_its_worker() -> None:
    screen = io.StringIO()
    step: StepDetail = {"stepId": "tests", "status": "Running", "pool": "linux", "worker": "vm-7"}
    step["attemptHistory"] = [
        {"attempt": 1, "status": "Failed", "worker": "vm-6", "reason": "worker-lost"},
        {"attempt": 2, "status": "Running", "worker": "vm-7"},
    ]

    _console(screen, is_terminal=False).print(step_view(step))

    words = [line.split() for line in screen.getvalue().splitlines()]
    assert ["pool", "linux"] in words
    assert ["worker", "vm-7"] in words
    assert any(line[-3:] == ["on", "vm-6:", "worker-lost"] for line in words)
    assert any(line[-2:] == ["on", "vm-7"] for line in words)


def _table(step: Step) -> str:
    screen = io.StringIO()
    _console(screen, is_terminal=False).print(step_table(step_rows([step])))
    return " ".join(screen.getvalue().split())
