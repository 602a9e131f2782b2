"""Output that comes in parts of lines, in a pipe and on a terminal."""

import io
import json
from itertools import count
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console

from taskrunner_cli.api.answers import Answer
from taskrunner_cli.api.documents import LogEntry, RunStatus
from taskrunner_cli.api.watch import RunUpdate
from taskrunner_cli.output.live_run import Display, LiveTable, PlainLines, show_updates
from taskrunner_cli.output.sanitize import output_lines
from taskrunner_cli.output.step_durations import StepDurations
from taskrunner_cli.output.step_output import LastOutput, is_output
from taskrunner_cli.output.whole_lines import WholeLines, whole_lines
from tests.unit.cli.conftest import Command, FakeClock
from tests.unit.cli.fake_service import FakeService

if TYPE_CHECKING:
    from taskrunner_cli.json_types import JsonValue

_SECONDS = count()
BAR = ("fetching\n\r 1%", "\r40%\r", "41%", "\r100%\r", "\ndone\nwaiting for")


def _output(text: str, stream: str = "stdout", step: str = "build", attempt: int = 1) -> LogEntry:
    return {
        "timestamp": f"2025-12-06T12:00:{next(_SECONDS) % 60:02}Z",
        "level": "info",
        "eventType": "step.output",
        "message": text,
        "stepId": step,
        "metadata": {"stream": stream, "attempt": str(attempt)},
    }


def _entry(event: str, step: str = "") -> LogEntry:
    entry: LogEntry = {
        "timestamp": "2025-12-06T12:01:00Z", "level": "info", "eventType": event, "message": "",
    }  # fmt: skip
    return {**entry, "stepId": step} if step else entry


def _texts(*entries: LogEntry) -> list[str]:
    return [
        "\n".join(output_lines(entry["message"])) if is_output(entry) else entry["eventType"]
        for entry in whole_lines(entries)
    ]


def test_a_line_that_is_written_over_counts_once_as_it_was_at_last() -> None:
    assert _texts(*map(_output, BAR)) == ["fetching", "100%\ndone", "waiting for"]


def test_the_next_entry_writes_over_a_line_that_ended_with_a_carriage_return() -> None:
    assert _texts(*map(_output, ("40%\r", "41%\r\r", "\n5\n"))) == ["41%\n5"]
    assert _texts(*map(_output, ("40%\r", "41%\n"))) == ["41%"]


def test_a_line_in_two_entries_is_one_line_at_the_time_of_its_end() -> None:
    first, second = _output("hello "), _output("world\n")

    assert list(whole_lines([first, second])) == [{**second, "message": "hello world\n"}]


def test_streams_and_steps_do_not_end_the_lines_of_each_other() -> None:
    entries = (
        _output("50%"), _output("old\n", "stderr"), _output("testing\n", step="tests"),
        _output("\r60%\n"),
    )  # fmt: skip

    assert _texts(*entries) == ["old", "testing", "60%"]


@pytest.mark.parametrize(
    ("entry", "texts"),
    [
        (_entry("step.completed", "build"), ["50%", "step.completed", "next"]),
        (_entry("step.failed", "tests"), ["step.failed", "next"]),
        (_entry("run.started"), ["run.started", "next"]),
        (_entry("run.cancelled"), ["50%", "run.cancelled", "next"]),
    ],
)
def test_an_unfinished_line_ends_with_its_step_or_its_run(
    entry: LogEntry, texts: list[str]
) -> None:
    assert _texts(_output("50%"), entry, _output("\rnext\n")) == texts


def test_the_next_attempt_begins_a_line_of_its_own() -> None:
    assert _texts(_output("50%"), _output("0%\n", attempt=2)) == ["0%", "50%"]


def test_a_bar_takes_no_more_room_than_its_last_state() -> None:
    lines = WholeLines()
    for percent in range(100):
        assert not list(lines.add(_output(f"\r{percent}%")))

    assert [entry["message"] for entry in lines.unfinished] == ["99%"]


def test_the_last_lines_of_a_step_are_whole() -> None:
    output = LastOutput()
    for entry in whole_lines([*map(_output, BAR), _output("careful\n", "stderr")]):
        output.add(entry)

    assert [line.plain for line in output.of(["build"])] == [
        "build | fetching", "build | 100%", "build | done", "build ! careful",
        "build | waiting for",
    ]  # fmt: skip


def _updates(status: RunStatus, entries: list[LogEntry], size: int) -> list[RunUpdate]:
    """The entries in updates of *size* each."""
    answers = [Answer(cast("JsonValue", entry), entry) for entry in entries]
    return [
        RunUpdate(
            {
                "runId": "r1", "planHash": "h", "status": status,
                "steps": [{"stepId": "build", "status": "Running"}],
            },
            answers[start : start + size],
        )
        for start in range(0, len(answers), size)
    ]  # fmt: skip


def _printed(screen: io.StringIO) -> list[str]:
    lines = screen.getvalue().splitlines()
    return [line.partition("build | ")[2].rstrip() for line in lines if "build | " in line]


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_is_one_line_however_its_entries_come(size: int, *, is_terminal: bool) -> None:
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=is_terminal, width=100, height=40, color_system=None
    )
    display: Display = PlainLines(console, "")
    if is_terminal:
        display = LiveTable(console, FakeClock(lambda: None), StepDurations(), streams=True)

    show_updates(_updates("running", [*map(_output, BAR)], size), display)

    assert _printed(screen) == ["fetching", "100%", "done", "waiting for"]


def test_the_log_below_the_table_has_a_bar_once_while_it_runs() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, height=40, color_system=None)
    entries = [_output(f"\r{percent}%") for percent in range(9)]

    show_updates(
        _updates("running", entries, 1),
        LiveTable(console, FakeClock(lambda: None), StepDurations()),
    )

    views = screen.getvalue().split("run r1 ")[1:]
    assert max(view.count("build | ") for view in views) == 1
    assert any("build | 8%" in view for view in views)


class TestLogs:
    @pytest.fixture(autouse=True)
    def _run(self, service: FakeService) -> None:
        run = service.add("r1", "failing", ticks=2)
        run.log[2:2] = [{**_output(text, step="scan"), "cursor": "c"} for text in BAR]
        run.log[:] = [{**entry, "cursor": f"c{n}"} for n, entry in enumerate(run.log, start=1)]

    @pytest.mark.parametrize(
        ("options", "lines"),
        [
            ((), ["fetching", "100%", "done", "for"]),
            (("--follow",), ["fetching", "100%", "done", "for"]),
            (("--grep", "waiting for"), ["for"]),
            (("--grep", "40%"), []),
            (("--tail", "3"), ["for"]),
            (("--tail", "4", "--follow"), ["100%", "done", "for"]),
        ],
    )
    def test_a_pipe_has_a_bar_once(
        self, taskrunner: Command, options: tuple[str, ...], lines: list[str]
    ) -> None:
        out = taskrunner("logs", "r1", *options).out

        assert [line.split()[-1] for line in out.splitlines() if " | " in line] == lines

    @pytest.mark.parametrize("options", [(), ("--follow",), ("--tail", "99")])
    def test_a_program_gets_every_entry_as_it_came(
        self, taskrunner: Command, options: tuple[str, ...]
    ) -> None:
        out = taskrunner("logs", "r1", *options, "-o", "json").out

        messages = [json.loads(line)["message"] for line in out.splitlines()]
        assert [text for text in messages if text in BAR] == list(BAR)
