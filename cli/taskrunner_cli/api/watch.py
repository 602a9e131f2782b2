"""Follows a run until it ends: its state, and every log entry exactly once.

The state says where the run is, the log says what happened in between: a step may start and end
between two reads of the state, but not between two positions in the log.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from taskrunner_cli.api.answers import Answer
from taskrunner_cli.api.client import Client
from taskrunner_cli.api.documents import FINAL_RUN_STATUSES, LogEntry, RunState, RunStatus
from taskrunner_cli.api.retries import Notify
from taskrunner_cli.errors import RefusedError, UnexpectedOutcomeError, UnreachableError
from taskrunner_cli.json_types import JsonValue
from taskrunner_cli.ports.clock import Clock

_Result = TypeVar("_Result")
_SHORTEST_PAUSE_S: Final = 0.4
_LONGEST_PAUSE_S: Final = 5.0
_PAUSE_GROWTH: Final = 1.5
_LAST_ENTRY_GRACE_S: Final = 5.0  # the last log entry may come this long after the final status
_LONGEST_SILENCE_S: Final = 300.0
_FIRST_SILENT_PAUSE_S: Final = 1.0
_LONGEST_SILENT_PAUSE_S: Final = 30.0
_SERVER_ERRORS: Final = 500  # the first HTTP status of an error that is not the caller's
STATUS_OF_LAST_EVENT: Final[dict[str, RunStatus]] = {
    "run.completed": "succeeded",
    "run.failed": "failed",
    "run.schedule-failed": "failed",
    "run.cancelled": "cancelled",
}


@dataclass(frozen=True, slots=True)
class RunUpdate:
    """A run's state, and the entries that its log gained since the previous update.

    Args:
        run: the state; it has a status if the run has ended.
        new_entries: the new log entries.
        document: the state as the service sent it.

    """

    run: RunState
    new_entries: list[Answer[LogEntry]]
    document: JsonValue = None


class Watch:
    """A run that is being followed; it keeps its position in the log between calls of `until`.

    Args:
        client: the API.
        run_id: the run.
        clock: the time.
        notify: says why nothing new is shown.
        cursor: the position in the log after which to begin.
        is_known: whether the service has answered about this run before.

    """

    def __init__(  # noqa: PLR0913 -- the parts of a watch
        self,
        client: Client,
        run_id: str,
        clock: Clock,
        notify: Notify,
        *,
        cursor: str | None = None,
        is_known: bool = False,
    ) -> None:
        self.run_id = run_id
        self._client = client
        self._clock = clock
        self._notify = notify
        self._cursor = cursor
        self._is_known = is_known
        self._unshown: list[Answer[LogEntry]] = []
        self._last_event = ""

    def until(
        self, condition: Callable[[RunState], bool], *, timeout_s: float | None = None
    ) -> Iterator[RunUpdate]:
        """Yield updates until *condition* holds or the run has ended.

        The pause between two reads is short while entries arrive, and grows while none do: a gate
        may wait for a week. A service that stops answering is called again for five minutes.

        Raises:
            UnexpectedOutcomeError: neither has happened after *timeout_s*.
            UnreachableError: the service did not answer for too long, or not even once.

        """
        started_s, pause_s = self._clock.monotonic(), _SHORTEST_PAUSE_S
        while True:
            update = self._through_silence(self._read)
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

    def new_entries(self) -> list[Answer[LogEntry]]:
        """Return the entries that the log gained since the last call.

        If the service stops answering between two pages, the next call returns those before it.
        """
        for page in self._client.log_pages(self.run_id, self._cursor):
            self._unshown += page.entries
            self._cursor = page.cursor
        entries, self._unshown = self._unshown, []
        return entries

    def _read(self) -> RunUpdate:
        """Read the state first and the log second, so that the log is never behind the state."""
        answer = self._client.run(self.run_id)
        entries = self.new_entries()
        events = [entry.view["eventType"] for entry in entries]
        self._last_event = next(filter(STATUS_OF_LAST_EVENT.get, events), self._last_event)
        run = answer.view
        if "status" not in run and self._last_event:
            run = {**run, "status": STATUS_OF_LAST_EVENT[self._last_event]}
        return RunUpdate(run, entries, answer.document)

    def _through_silence(self, read: Callable[[], _Result]) -> _Result:
        """Return what *read* returns, called again while the service does not answer."""
        silent_since_s, pause_s = self._clock.monotonic(), _FIRST_SILENT_PAUSE_S
        while True:
            try:
                result = read()
            except (UnreachableError, RefusedError) as error:
                silence_s = self._clock.monotonic() - silent_since_s
                may_pass = isinstance(error, UnreachableError) or error.status >= _SERVER_ERRORS
                if not self._is_known or not may_pass or silence_s > _LONGEST_SILENCE_S:
                    raise
                self._notify(f"{error.message}; trying again in {pause_s:.0f} s")
                self._clock.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_SILENT_PAUSE_S)
            else:
                self._is_known = True
                return result

    def _wait_for_last_entry(self, last_update: RunUpdate) -> Iterator[RunUpdate]:
        """Yield updates until the log's last entry is there, for a few seconds at most."""
        started_s, complete = self._clock.monotonic(), _has_last_entry(last_update.new_entries)
        while not complete and self._clock.monotonic() - started_s < _LAST_ENTRY_GRACE_S:
            self._clock.sleep(_SHORTEST_PAUSE_S)
            entries = self._through_silence(self.new_entries)
            complete = _has_last_entry(entries)
            if entries:
                yield RunUpdate(last_update.run, entries, last_update.document)


def has_ended(run: RunState) -> bool:
    """Return whether a run has succeeded, failed or been cancelled."""
    return run.get("status") in FINAL_RUN_STATUSES


def _has_last_entry(entries: list[Answer[LogEntry]]) -> bool:
    return any(entry.view["eventType"] in STATUS_OF_LAST_EVENT for entry in entries)


def _timeout(run: RunState, timeout_s: float) -> UnexpectedOutcomeError:
    return UnexpectedOutcomeError(
        f"run {run['runId']} is still {run.get('status', 'unfinished')} after {timeout_s:.0f} s",
        cure=f"taskrunner watch {run['runId']}",
        code="too_slow",
    )
