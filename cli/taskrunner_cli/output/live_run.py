"""Shows a run while it goes on: a live table on a terminal, plain lines anywhere else."""

from collections import deque
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from threading import Lock
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.text import Text

from taskrunner_cli.api.documents import AWAITING, RunState, Step
from taskrunner_cli.api.watch import Glimpse, StepSpans, ended
from taskrunner_cli.output.formatting import duration, parse_time, text
from taskrunner_cli.output.runs import headline, log_line, step_table
from taskrunner_cli.output.screen import Screen
from taskrunner_cli.ports.clock import Clock

_LOG_LINES: Final = 6
_FRAME_LINES: Final = 8  # headline, table header, what is left out, a blank line, hints, prompt
_TRANSITIONS: Final = ("run.", "step.", "gate.")
_SETTLED: Final = frozenset({"Succeeded", "Failed", "Skipped"})
_LOOKING: Final = Text("looking …", style="dim")


class Display(AbstractContextManager["Display"], Protocol):
    """Somewhere a run is shown."""

    def show(self, glimpse: Glimpse) -> None:
        """Take in one more look at the run."""


def display_for(screen: Screen, clock: Clock, spans: StepSpans) -> Display:
    """Return what suits the reader: nothing for a program, lines for a pipe, else a live table."""
    if screen.is_json:
        return Silence()
    return LiveTable(screen.out, clock, spans) if screen.out.is_terminal else PlainLines(screen.out)


def follow(looks: Iterable[Glimpse], display: Display) -> RunState:
    """Show every look and return the last state.

    Raises:
        ValueError: there was no look at all.

    """
    run: RunState | None = None
    with display:
        for glimpse in looks:
            display.show(glimpse)
            run = glimpse.run
    if run is None:
        raise ValueError("a run that nobody looked at has no state")
    return run


class Silence:
    """Shows nothing: a program waits for the one document at the end."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""

    def show(self, glimpse: Glimpse) -> None:
        """Take in one more look at the run."""


class PlainLines(Silence):
    """One line per transition, as the log tells them; a look that brings none prints none."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._hints: list[Text] = []

    def show(self, glimpse: Glimpse) -> None:
        """Print the transitions among the news, and how to decide when the run has come to wait."""
        for entry in glimpse.news:
            if entry["eventType"].startswith(_TRANSITIONS) and entry["level"] != "debug":
                self._console.print(log_line(entry), soft_wrap=True)
        hints = gate_hints(glimpse.run)
        for hint in hints if hints != self._hints else ():
            self._console.print(hint, soft_wrap=True)
        self._hints = hints


class LiveTable:
    """A table of the steps that changes in place, with the end of the log below it."""

    def __init__(self, console: Console, clock: Clock, spans: StepSpans) -> None:
        self._clock = clock
        self._spans = spans
        self._tail: deque[RenderableType] = deque(maxlen=_LOG_LINES)
        self._run: RunState | None = None
        self._lock = Lock()  # Live draws from a thread of its own
        # Live draws itself four times a second, so that times go on while the service is silent.
        self._live = Live(self, console=console, auto_refresh=True, vertical_overflow="crop")

    def __enter__(self) -> Self:
        """Take the screen."""
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last picture standing."""
        self._live.__exit__(kind, error, traceback)

    def show(self, glimpse: Glimpse) -> None:
        """Redraw with what is new."""
        with self._lock:
            for entry in glimpse.news:
                self._spans.note(entry)
                self._tail.append(log_line(entry))
            self._run = glimpse.run
        self._live.refresh()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the picture of this moment; Rich calls this whenever it redraws."""
        with self._lock:
            yield self._picture(self._run, console.height) if self._run else _LOOKING

    def _picture(self, run: RunState, height: int) -> RenderableType:
        now, over = self._clock.now(), ended(run)
        room = len(run["steps"]) if over else height - len(self._tail) - _FRAME_LINES
        steps, left_out = window(run["steps"], room)
        parts: list[RenderableType] = [
            _timed(run, now),
            step_table(steps, self._spans.at(now, run)),
        ]
        if left_out:
            parts.append(Text(f"… and {left_out} more steps", style="dim"))
        return Group(*parts) if over else Group(*parts, "", *self._tail, *gate_hints(run))


def window(steps: list[Step], room: int) -> tuple[list[Step], int]:
    """Choose the *room* steps worth seeing, in their order, and count those left out.

    What is going on comes first, then what failed, then what comes next, then the rest from the
    end: on a small screen the steps that succeeded long ago are missed least.
    """
    room = max(room, 3)
    if len(steps) <= room:
        return steps, 0
    order = sorted(range(len(steps)), key=lambda i: (_urgency(steps[i]), _nearness(steps[i], i)))
    chosen = sorted(order[:room])
    return [steps[i] for i in chosen], len(steps) - room


def _urgency(step: Step) -> int:
    if step["status"] == "Running" or step.get("statusReason") in AWAITING:
        return 0
    if step["status"] == "Failed":
        return 1
    return 3 if step["status"] in _SETTLED else 2


def _nearness(step: Step, place: int) -> int:
    """Settled steps count from the end, others from the beginning."""
    return -place if step["status"] in _SETTLED else place


def _timed(run: RunState, now: datetime) -> Text:
    """The headline with how long the run took, or has taken so far."""
    began, end = parse_time(run["createdAt"]), parse_time(run.get("endedAt"))
    span = (end or now) - began if began else None
    return Text.assemble(headline(run), "  ", (duration(span), "dim"))


def gate_hints(run: RunState) -> list[Text]:
    """Return what to type for each gate the run waits at."""
    return [
        text(f"taskrunner approve {run['runId']} {step['approvalId']} --as approver", "cyan")
        for step in run["steps"]
        if step.get("statusReason") in AWAITING and "approvalId" in step
    ]
