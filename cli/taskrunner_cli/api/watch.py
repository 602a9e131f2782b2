"""Follows a run: its state, and every line of its log exactly once, until it ends.

The state tells where the run stands, the log what happened in between: a step may come and go
between two looks at the state, but never between two positions of the log.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from taskrunner_cli.api.client import Client
from taskrunner_cli.api.documents import ENDED, LogEntry, RunState
from taskrunner_cli.errors import DisappointedError
from taskrunner_cli.output.formatting import parse_time
from taskrunner_cli.ports.clock import Clock

_BRISK_S: Final = 0.4
_SLOW_S: Final = 5.0
_CLOSING: Final = frozenset({"run.completed", "run.failed", "run.cancelled"})
_GRACE_S: Final = 5.0  # how long the log's last line may come after the state says: ended
_STARTS: Final = frozenset({"step.started", "gate.awaiting"})


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A look at a run, and what its log gained since the last one."""

    run: RunState
    news: list[LogEntry]


class Watch:
    """One run being followed; it remembers its place in the log from one `until` to the next.

    *spans* is for whoever shows the run: what it learned is kept as long as the place is.
    """

    def __init__(
        self, client: Client, run_id: str, clock: Clock, cursor: str | None = None
    ) -> None:
        self.run_id = run_id
        self.cursor = cursor
        self.spans = StepSpans()
        self._client = client
        self._clock = clock

    def until(
        self, done: Callable[[RunState], bool], *, within_s: float | None = None
    ) -> Iterator[Glimpse]:
        """Look again and again until *done* holds, the run has ended, or *within_s* has passed.

        Looks come fast while things happen and slowly while nothing does: a gate may wait a week.

        Raises:
            DisappointedError: *within_s* has passed.

        """
        began_s, pause_s = self._clock.monotonic(), _BRISK_S
        while True:
            glimpse = self.look()
            yield glimpse
            if done(glimpse.run) or glimpse.run["status"] in ENDED:
                break
            if within_s is not None and self._clock.monotonic() - began_s > within_s:
                raise _too_slow(glimpse.run, within_s)
            pause_s = _BRISK_S if glimpse.news else min(pause_s * 1.5, _SLOW_S)
            self._clock.sleep(pause_s)
        if glimpse.run["status"] in ENDED:
            yield from self._last_words(glimpse)

    def look(self) -> Glimpse:
        """Read the state and then the log, so that the log is never behind the state."""
        run = self._client.run(self.run_id)
        return Glimpse(run, list(self.news()))

    def news(self) -> Iterator[LogEntry]:
        """Read what the log gained since the last time."""
        for page in self._client.log_pages(self.run_id, self.cursor):
            # Moved on before its lines are handed out: whoever stops half way has seen the page.
            self.cursor = page.cursor
            yield from page.entries

    def _last_words(self, last: Glimpse) -> Iterator[Glimpse]:
        """Wait a moment for the line that closes the log, if it is not there yet."""
        began_s, closed = self._clock.monotonic(), _closes(last.news)
        while not closed and self._clock.monotonic() - began_s < _GRACE_S:
            self._clock.sleep(_BRISK_S)
            news = list(self.news())
            closed = _closes(news)
            if news:
                yield Glimpse(last.run, news)


class StepSpans:
    """How long each step took, or takes, by the times in the log."""

    def __init__(self) -> None:
        self._began: dict[str, datetime] = {}
        self._ended: dict[str, datetime] = {}

    def note(self, entry: LogEntry) -> None:
        """Learn from one line of the log."""
        step_id, moment = entry.get("stepId"), parse_time(entry["timestamp"])
        if not step_id or not moment:
            return
        if entry["eventType"] in _STARTS:
            self._began.setdefault(step_id, moment)
        self._ended[step_id] = moment

    def at(self, now: datetime, run: RunState) -> dict[str, timedelta]:
        """Return the spans as they are *now*: a step that has not ended is still counting."""
        settled = {
            s["stepId"] for s in run["steps"] if s["status"] in {"Succeeded", "Failed", "Skipped"}
        }
        return {
            step_id: (self._ended[step_id] if step_id in settled else now) - began
            for step_id, began in self._began.items()
        }


def ended(run: RunState) -> bool:
    """Whether a run has ended, however."""
    return run["status"] in ENDED


def _closes(news: list[LogEntry]) -> bool:
    return any(entry["eventType"] in _CLOSING for entry in news)


def _too_slow(run: RunState, within_s: float) -> DisappointedError:
    return DisappointedError(
        f"run {run['runId']} is still {run['status']} after {within_s:.0f} s",
        cure=f"taskrunner show {run['runId']} --watch",
        code="too_slow",
    )
