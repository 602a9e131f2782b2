"""Shows a run in progress: a table that changes in place on a terminal, plain lines in a pipe."""

from collections import deque
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.text import Text

from taskrunner_cli.api.documents import (
    FINAL_RUN_STATUSES,
    FINAL_STEP_STATUSES,
    RunState,
    Step,
)
from taskrunner_cli.output.formatting import duration, parse_time
from taskrunner_cli.output.runs import gate_hints, headline, is_waiting, log_line, step_table
from taskrunner_cli.output.screen import Screen
from taskrunner_cli.output.step_durations import StepDurations
from taskrunner_cli.ports.clock import Clock

if TYPE_CHECKING:
    from taskrunner_cli.api.watch import RunUpdate

_LOG_ROWS: Final = 6
_OTHER_ROWS: Final = 8  # headline, header, the number of hidden steps, a blank row, hints, prompt
_FEWEST_STEP_ROWS: Final = 3
_TRANSITIONS: Final = ("run.", "step.", "gate.")


class Display(AbstractContextManager["Display"], Protocol):
    """A view of a run in progress."""

    def show(self, update: "RunUpdate") -> None:
        """Show another update of the run."""


def display_for(screen: Screen, clock: Clock, durations: StepDurations) -> Display:
    """Return a live table for a terminal, plain lines for a pipe, and no display in JSON form."""
    if screen.is_json:
        return NoDisplay()
    if screen.out.is_terminal:
        return LiveTable(screen.out, clock, durations)
    return PlainLines(screen.out)


def show_updates(updates: Iterable["RunUpdate"], display: Display) -> RunState:
    """Show every update and return the state in the last one.

    Raises:
        ValueError: there are no updates.

    """
    run: RunState | None = None
    with display:
        for update in updates:
            display.show(update)
            run = update.run
    if run is None:
        raise ValueError("a run without updates has no state")
    return run


class NoDisplay:
    """Shows nothing: a program waits for the document at the end."""

    def __enter__(self) -> Self:
        """Start the display."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the display."""

    def show(self, update: "RunUpdate") -> None:
        """Ignore an update."""


class PlainLines(NoDisplay):
    """A line for each transition in the log, and the commands to type when a gate opens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._hints: list[Text] = []

    def show(self, update: "RunUpdate") -> None:
        """Print the transitions among the new log entries, and hints that are new."""
        for entry in update.new_entries:
            if entry["eventType"].startswith(_TRANSITIONS) and entry["level"] != "debug":
                self._console.print(log_line(entry), soft_wrap=True)
        hints = gate_hints(update.run)
        if hints != self._hints:
            for hint in hints:
                self._console.print(hint, soft_wrap=True)
        self._hints = hints


class LiveTable:
    """A table of the steps that changes in place, above the latest log entries."""

    def __init__(self, console: Console, clock: Clock, durations: StepDurations) -> None:
        self._clock = clock
        self._durations = durations
        self._log: deque[RenderableType] = deque(maxlen=_LOG_ROWS)
        self._run: RunState | None = None
        self._lock = Lock()  # Live draws from its own thread
        # Live redraws four times a second, so that durations grow while no update comes.
        self._live = Live(self, console=console, auto_refresh=True, vertical_overflow="crop")

    def __enter__(self) -> Self:
        """Start the display."""
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the display; its last state stays on the terminal."""
        self._live.__exit__(kind, error, traceback)

    def show(self, update: "RunUpdate") -> None:
        """Redraw the table and the log entries."""
        with self._lock:
            for entry in update.new_entries:
                self._durations.add(entry)
                self._log.append(log_line(entry))
            self._run = update.run
        self._live.refresh()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the current state; Rich calls this for every redraw."""
        with self._lock:
            if self._run is None:
                yield Text("loading …", style="dim")
            else:
                yield self._view(self._run, console.height)

    def _view(self, run: RunState, height: int) -> RenderableType:
        now, ended = self._clock.now(), run["status"] in FINAL_RUN_STATUSES
        rows = len(run["steps"]) if ended else height - len(self._log) - _OTHER_ROWS
        steps = most_relevant(run["steps"], rows)
        parts: list[RenderableType] = [
            _headline_with_duration(run, now),
            step_table(steps, self._durations.at(now, run)),
        ]
        if hidden := len(run["steps"]) - len(steps):
            parts.append(Text(f"… and {hidden} more steps", style="dim"))
        return Group(*parts) if ended else Group(*parts, "", *self._log, *gate_hints(run))


def most_relevant(steps: list[Step], rows: int) -> list[Step]:
    """Return the steps that fit into *rows*, three at least, in the order of the pack.

    Steps that run or wait come first, then those that failed, then the next pending ones, and last
    the latest that ended: steps that succeeded long ago matter least.
    """
    rows = max(rows, _FEWEST_STEP_ROWS)
    if len(steps) <= rows:
        return steps
    positions = sorted(range(len(steps)), key=lambda position: _rank(steps[position], position))
    return [steps[position] for position in sorted(positions[:rows])]


def _rank(step: Step, position: int) -> tuple[int, int]:
    """Return a step's place in the order of relevance, smallest first."""
    has_ended = step["status"] in FINAL_STEP_STATUSES
    nearness = -position if has_ended else position
    if step["status"] == "Running" or is_waiting(step):
        return 0, nearness
    if step["status"] == "Failed":
        return 1, nearness
    return (3 if has_ended else 2), nearness


def _headline_with_duration(run: RunState, now: datetime) -> Text:
    """Return the headline with the time that the run took, or has taken so far."""
    started, ended = parse_time(run["createdAt"]), parse_time(run.get("endedAt"))
    span = (ended or now) - started if started else None
    return Text.assemble(headline(run), "  ", (duration(span), "dim"))
