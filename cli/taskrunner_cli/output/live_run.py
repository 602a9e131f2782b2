"""Shows a run in progress: a table that changes in place on a terminal, plain lines in a pipe.

Output of steps is printed line by line in a pipe. On a terminal, the last lines of the log below
the table have it, and all of it stands above the table if that is asked for.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment, Segments
from rich.text import Text

from taskrunner_cli.api.documents import LogEntry, RunState
from taskrunner_cli.output.decisions import Decisions
from taskrunner_cli.output.formatting import duration, parse_time, text
from taskrunner_cli.output.relevance import most_relevant
from taskrunner_cli.output.runs import (
    APPROVER_OF_STACK,
    MOST_FAILURES,
    failures,
    gate_hints,
    headline,
    log_line,
    unlisted_steps,
)
from taskrunner_cli.output.screen import Screen
from taskrunner_cli.output.step_durations import StepDurations
from taskrunner_cli.output.step_output import LastOutput, is_output, printed_lines
from taskrunner_cli.output.steps import StepRow, brought_up_to_date, step_rows, step_table
from taskrunner_cli.output.whole_lines import WholeLines
from taskrunner_cli.output.wording import counted
from taskrunner_cli.output.worker_steps import has_known_cause, wait_message
from taskrunner_cli.ports.clock import Clock

if TYPE_CHECKING:
    from taskrunner_cli.api.watch import RunUpdate

_LOG_ROWS: Final = 6
_FEWEST_STEP_ROWS: Final = 3
_ROWS_PER_FAILURE: Final = 10  # so that the failures above the table leave room for it
_TRANSITIONS: Final = ("run.", "step.", "gate.")


class Display(AbstractContextManager["Display"], Protocol):
    """A view of a run in progress."""

    def show(self, update: "RunUpdate") -> None:
        """Show another update of the run."""


def display_for(
    screen: Screen,
    clock: Clock,
    durations: StepDurations,
    hint_options: str,
    *,
    streams: bool | None = None,
) -> Display:
    """Return a live table for a terminal, plain lines for a pipe, and no display in JSON form.

    Args:
        screen: where to show the run.
        clock: the time.
        durations: how long its steps have taken.
        hint_options: the options of the commands that the display proposes.
        streams: whether all that steps print is shown; None: in a pipe only.

    """
    if screen.is_json:
        return NoDisplay()
    if screen.is_live:
        return LiveTable(screen.out, clock, durations, hint_options, streams=streams)
    return PlainLines(screen.out, hint_options, streams=streams is not False)


def show_updates(updates: Iterable["RunUpdate"], display: Display) -> "RunUpdate":
    """Show every update and return the last one.

    Raises:
        ValueError: there are no updates.

    """
    last: RunUpdate | None = None
    with display:
        for update in updates:
            display.show(update)
            last = update
    if last is None:
        raise ValueError("a run without updates has no state")
    return last


class NoDisplay:
    """Shows nothing: a program waits for the document at the end."""

    def __enter__(self) -> Self:
        """Start the display."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the display."""

    def show(self, update: "RunUpdate") -> None:
        """Ignore an update."""


class PlainLines(NoDisplay):
    """A line for each transition in the log, the commands to type when a gate opens, and waits."""

    def __init__(self, console: Console, hint_options: str, *, streams: bool = True) -> None:
        self._console = console
        self._hint_options = hint_options
        self._streams = streams
        self._lines = WholeLines()
        self._hints: list[Text] = []
        self._waits: list[str] = []

    def __exit__(self, *_error: object) -> None:
        """Print the lines of output that have not ended."""
        self._print(self._lines.rest())

    def show(self, update: "RunUpdate") -> None:
        """Print the transitions among the new log entries, and hints and waits that are new."""
        for entry in update.new_entries:
            self._print(self._lines.add(entry.view))
        hints = gate_hints(update.run, self._hint_options, update.by_gate)
        if hints != self._hints:
            for hint in hints:
                self._console.print(hint, soft_wrap=True)
        self._hints = hints
        self._print_waits(update.run)

    def _print(self, entries: Iterable[LogEntry]) -> None:
        for entry in entries:
            if self._streams if is_output(entry) else _is_transition(entry):
                self._console.print(log_line(entry), soft_wrap=True)

    def _print_waits(self, run: RunState) -> None:
        """Print why steps wait for workers, once as long as it holds; of a map it is one line."""
        steps = filter(has_known_cause, reversed(run["steps"]))
        waits = {wait_message(step): step["stepId"] for step in steps}
        waits.pop("", None)
        for message in reversed(waits):
            if message not in self._waits:
                self._console.print(text(f"{waits[message]}: {message}", "yellow"), soft_wrap=True)
        self._waits = list(waits)


class LiveTable:
    """A table of the steps that changes in place, above the latest log entries.

    While the run goes on, the table has the steps that fit. At the end the whole table is printed.
    """

    def __init__(
        self,
        console: Console,
        clock: Clock,
        durations: StepDurations,
        hint_options: str = APPROVER_OF_STACK,
        *,
        streams: bool | None = None,
    ) -> None:
        self._console = console
        self._hint_options = hint_options
        self._clock = clock
        self._durations = durations
        self._decisions = Decisions()
        self._streams = streams
        self._lines = WholeLines()
        self._output = LastOutput()
        self._log: deque[LogEntry] = deque(maxlen=_LOG_ROWS)
        self._run: RunState | None = None
        self._by_gate: frozenset[str] = frozenset()
        self._lock = Lock()  # Live draws from its own thread
        # Live redraws four times a second, so that durations grow while no update comes.
        self._live = Live(self, console=console, transient=True, vertical_overflow="crop")

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
        """Stop the display, and print the last state."""
        self._take(self._lines.rest())
        self._live.__exit__(kind, error, traceback)
        if self._run is not None:
            run, rows = self._run, self._rows(self._run)
            self._console.print(self._headline(run), soft_wrap=True)
            for line in (*failures(run, self._decisions), *self._last_output(run)):
                self._console.print(line, soft_wrap=True)
            self._console.print(self._table(run, rows), crop=False)
            for line in (*unlisted_steps(run, len(rows)), *self._hints(run)):
                self._console.print(line, soft_wrap=True)

    def show(self, update: "RunUpdate") -> None:
        """Redraw the table and the log entries."""
        with self._lock:
            for entry in update.new_entries:
                self._durations.add(entry.view)
            self._decisions.add(entry.view for entry in update.new_entries)
            self._run, self._by_gate = update.run, update.by_gate
        for entry in update.new_entries:
            self._take(self._lines.add(entry.view))
        self._live.refresh()

    def _take(self, entries: Iterable[LogEntry]) -> None:
        """Keep *entries* for the log below the table, and print output above it if it is wanted."""
        with self._lock:
            whole = list(entries)
            for entry in whole:
                self._output.add(entry)
                if self._streams is None or not is_output(entry):
                    self._log.append(entry)
        for entry in whole if self._streams else ():
            if is_output(entry):
                for line in printed_lines(entry):
                    self._live.console.print(line, soft_wrap=True)

    def _last_output(self, run: RunState) -> Iterator[Text]:
        """Yield the last lines of the steps whose failures are listed, unless all were printed."""
        if self._streams is None:
            failed = [step["stepId"] for step in run["steps"] if step["status"] == "Failed"]
            yield from self._output.of(failed[:MOST_FAILURES])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the current state; Rich calls this for every redraw."""
        # Live cuts what is wider than the terminal, so everything has to wrap.
        options = options.update(overflow="fold", no_wrap=False, height=None)
        with self._lock:
            if self._run is None:
                yield Text("loading …", style="dim")
            else:
                yield from console.render(self._view(self._run, console, options), options)

    def _view(self, run: RunState, console: Console, options: ConsoleOptions) -> RenderableType:
        """Return as many steps as fit above the end of the log, and the hints."""
        unfinished = self._lines.unfinished if self._streams is None else ()
        entries = map(log_line, (*self._log, *unfinished))
        log = console.render_lines(Group(*entries), options, pad=False)[-_LOG_ROWS:]
        log_lines = [Segments([*line, Segment.line()]) for line in log]
        below = Group(*log_lines, *self._hints(run))
        most = min(console.height // _ROWS_PER_FAILURE, MOST_FAILURES)
        failed = failures(run, self._decisions, most) if most else []
        rows = self._rows(run)
        shown = rows
        while True:
            hidden = len(run["steps"]) - len(shown)
            more = f"… and {counted(hidden, 'more step')}" if hidden else ""
            note = Text(more, style="dim")
            view = Group(self._headline(run), *failed, self._table(run, shown), note, below)
            excess = len(console.render_lines(view, options, pad=False)) - console.height + 1
            if excess <= 0 or len(shown) <= _FEWEST_STEP_ROWS:
                return view
            shown = most_relevant(rows, max(len(shown) - max(excess // 2, 1), _FEWEST_STEP_ROWS))

    def _hints(self, run: RunState) -> list[Text]:
        return gate_hints(run, self._hint_options, self._by_gate)

    def _rows(self, run: RunState) -> list[StepRow]:
        durations = self._durations
        steps = brought_up_to_date(run["steps"], durations.running, durations.completed)
        return step_rows(steps)

    def _table(self, run: RunState, rows: list[StepRow]) -> RenderableType:
        durations = self._durations.at(self._clock.now(), run)
        return step_table(rows, durations=durations, decisions=self._decisions.by_gate())

    def _headline(self, run: RunState) -> Text:
        """Return the headline with the time that the run took, or has taken so far."""
        started, ended = parse_time(run.get("createdAt")), parse_time(run.get("endedAt"))
        span = (ended or self._clock.now()) - started if started else None
        return Text.assemble(headline(run), "  ", (duration(span), "dim"))


def _is_transition(entry: LogEntry) -> bool:
    """Return whether an entry is about a change of the run, or of a form that nobody expected."""
    event = entry["eventType"]
    return not event or (event.startswith(_TRANSITIONS) and entry["level"] != "debug")
