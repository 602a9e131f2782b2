"""Follows a run until it ends: its state, and every log entry exactly once.

The state says where the run is, the log says what happened in between: a step may start and end
between two reads of the state, but not between two positions in the log.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from taskrunner_cli.api.client import Client
from taskrunner_cli.api.documents import FINAL_RUN_STATUSES, LogEntry, RunState
from taskrunner_cli.errors import UnexpectedOutcomeError
from taskrunner_cli.ports.clock import Clock

_SHORTEST_PAUSE_S: Final = 0.4
_LONGEST_PAUSE_S: Final = 5.0
_PAUSE_GROWTH: Final = 1.5
_LAST_ENTRY_GRACE_S: Final = 5.0  # the last log entry may come this long after the final status
LAST_EVENTS: Final = frozenset(
    {"run.completed", "run.failed", "run.schedule-failed", "run.cancelled"}
)


@dataclass(frozen=True, slots=True)
class RunUpdate:
    """A run's state, and the entries that its log gained since the previous update."""

    run: RunState
    new_entries: list[LogEntry]


class Watch:
    """A run that is being followed; it keeps its position in the log between calls of `until`."""

    def __init__(
        self, client: Client, run_id: str, clock: Clock, cursor: str | None = None
    ) -> None:
        self.run_id = run_id
        self.cursor = cursor
        self._client = client
        self._clock = clock

    def until(
        self, condition: Callable[[RunState], bool], *, timeout_s: float | None = None
    ) -> Iterator[RunUpdate]:
        """Yield updates until *condition* holds or the run has ended.

        The pause between two reads is short while entries arrive, and grows while none do: a gate
        may wait for a week.

        Raises:
            UnexpectedOutcomeError: neither has happened after *timeout_s*.

        """
        started_s, pause_s = self._clock.monotonic(), _SHORTEST_PAUSE_S
        while True:
            update = self._read()
            yield update
            if condition(update.run) or has_ended(update.run):
                break
            if timeout_s is not None and self._clock.monotonic() - started_s > timeout_s:
                raise _timeout(update.run, timeout_s)
            if update.new_entries:
                pause_s = _SHORTEST_PAUSE_S
            else:
                pause_s = min(pause_s * _PAUSE_GROWTH, _LONGEST_PAUSE_S)
            self._clock.sleep(pause_s)
        if has_ended(update.run):
            yield from self._wait_for_last_entry(update)

    def new_entries(self) -> Iterator[LogEntry]:
        """Yield the entries that the log gained since the last call."""
        for page in self._client.log_pages(self.run_id, self.cursor):
            # Advance before the entries are yielded, so that a caller who stops early has this page
            # behind it.
            self.cursor = page.cursor
            yield from page.entries

    def _read(self) -> RunUpdate:
        """Read the state first and the log second, so that the log is never behind the state."""
        run = self._client.run(self.run_id)
        return RunUpdate(run, list(self.new_entries()))

    def _wait_for_last_entry(self, last_update: RunUpdate) -> Iterator[RunUpdate]:
        """Yield updates until the log's last entry is there, for a few seconds at most."""
        started_s, complete = self._clock.monotonic(), _has_last_entry(last_update.new_entries)
        while not complete and self._clock.monotonic() - started_s < _LAST_ENTRY_GRACE_S:
            self._clock.sleep(_SHORTEST_PAUSE_S)
            entries = list(self.new_entries())
            complete = _has_last_entry(entries)
            if entries:
                yield RunUpdate(last_update.run, entries)


def has_ended(run: RunState) -> bool:
    """Return whether a run has succeeded, failed or been cancelled."""
    return run["status"] in FINAL_RUN_STATUSES


def _has_last_entry(entries: list[LogEntry]) -> bool:
    return any(entry["eventType"] in LAST_EVENTS for entry in entries)


def _timeout(run: RunState, timeout_s: float) -> UnexpectedOutcomeError:
    return UnexpectedOutcomeError(
        f"run {run['runId']} is still {run['status']} after {timeout_s:.0f} s",
        cure=f"taskrunner show {run['runId']} --watch",
        code="too_slow",
    )
