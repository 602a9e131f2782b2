"""Follows a run until it ends: its state, and every log entry exactly once.

The state says where the run is, the log says what happened in between: a step may start and end
between two reads of the state, but not between two positions in the log.

A request for the state waits at the service until the log has grown. A service that cannot hold
requests, or has too many of them, is asked again and again instead.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import httpx

from taskrunner_cli.api.answers import Answer
from taskrunner_cli.api.approval_scopes import ApprovalScopes
from taskrunner_cli.api.client import Client
from taskrunner_cli.api.documents import (
    FINAL_RUN_STATUSES,
    STATUS_OF_LAST_EVENT,
    LogEntry,
    RunState,
)
from taskrunner_cli.api.refusals import BUSY_STATUSES
from taskrunner_cli.api.retries import Notify
from taskrunner_cli.errors import RefusedError, UnexpectedOutcomeError, UnreachableError
from taskrunner_cli.json_types import JsonValue
from taskrunner_cli.ports.clock import Clock

_Result = TypeVar("_Result")
_SHORTEST_PAUSE_S: Final = 0.4
_LONGEST_PAUSE_S: Final = 5.0
_PAUSE_GROWTH: Final = 1.5
_POSITION: Final = re.compile(r"[!-~]{1,200}")
_LONGEST_WAIT_S: Final = 20  # of one request, as the API allows
_LAST_ENTRY_GRACE_S: Final = 5.0  # the last log entry may come this long after the final status
_LONGEST_SILENCE_S: Final = 300.0
_FIRST_SILENT_PAUSE_S: Final = 1.0
_LONGEST_SILENT_PAUSE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class RunUpdate:
    """A run's state, and the entries that its log gained since the previous update.

    Args:
        run: the state; it has a status if the run has ended.
        new_entries: the new log entries.
        document: the state as the service sent it.
        by_gate: the approvals for which several gates wait, and each needs its own decision.

    """

    run: RunState
    new_entries: list[Answer[LogEntry]]
    document: JsonValue = None
    by_gate: frozenset[str] = frozenset()


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
        self._scopes = ApprovalScopes(client)
        self._clock = clock
        self._notify = notify
        self._cursor = cursor
        self._is_known = is_known
        self._unshown: list[Answer[LogEntry]] = []
        self._last_event = ""
        self._last: RunUpdate | None = None
        self._knows_since = True  # until the service says otherwise, as those of 0.1 do
        self._holds_requests = True

    def until(
        self, condition: Callable[[RunState], bool], *, timeout_s: float | None = None
    ) -> Iterator[RunUpdate]:
        """Yield updates until *condition* holds or the run has ended.

        The service holds each request until there is something new. If it does not, the pause
        between two reads is short while entries arrive, and grows while none do: a gate may wait
        for a week. A service that stops answering is called again for five minutes.

        Raises:
            UnexpectedOutcomeError: neither has happened after *timeout_s*.
            UnreachableError: the service did not answer for too long, or not even once.

        """
        started_s, pause_s = self._clock.monotonic(), _SHORTEST_PAUSE_S
        self._last = None  # the first state is read at once
        while True:
            read_at_s = self._clock.monotonic()
            left_s = math.inf if timeout_s is None else started_s + timeout_s - read_at_s
            update = self._through_silence(partial(self._read, left_s))
            was_held = self._clock.monotonic() - read_at_s >= _LONGEST_PAUSE_S
            yield update
            if condition(update.run) or has_ended(update.run):
                break
            if timeout_s is not None and self._clock.monotonic() - started_s > timeout_s:
                raise _timeout(update.run, timeout_s)
            if update.new_entries or was_held:
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
            events = [entry.view["eventType"] for entry in page.entries]
            self._last_event = next(filter(STATUS_OF_LAST_EVENT.get, events), self._last_event)
            self._cursor = page.cursor
        entries, self._unshown = self._unshown, []
        return entries

    def _read(self, left_s: float) -> RunUpdate:
        """Read the state first and the log second, so that the log is never behind the state.

        If the run has not moved on after *left_s* seconds at most, it is the last state again.
        """
        if self._last is None:
            answer = self._client.run(self.run_id)
        else:
            following = self._state_after(self._last, left_s)
            if following is None and not _waits_for_worker(self._last.run):
                return self._last
            # Why a step waits for a worker changes without the log.
            answer = following or self._client.run(self.run_id)
        entries = self.new_entries()
        run = answer.view
        if "status" not in run and self._last_event:
            run = {**run, "status": STATUS_OF_LAST_EVENT[self._last_event]}
        self._last = RunUpdate(run, [], answer.document, self._scopes.decided_by_gate(run))
        return replace(self._last, new_entries=entries)

    def _state_after(self, last: RunUpdate, left_s: float) -> Answer[RunState] | None:
        """Return the state that follows *last*; None if there is none yet."""
        position = last.run.get("position", "")
        if not _POSITION.fullmatch(position) or not self._knows_since:
            return self._client.run(self.run_id)
        longest_s = math.ceil(min(_LONGEST_WAIT_S, max(1.0, left_s)))
        wait_s = longest_s if self._holds_requests else 0
        try:
            return self._client.run_after(self.run_id, position, wait_s)
        except RefusedError as error:
            if error.status not in {*BUSY_STATUSES, httpx.codes.BAD_REQUEST}:
                raise
            self._knows_since = error.status != httpx.codes.BAD_REQUEST
            self._holds_requests = False
        except UnreachableError as error:
            # A lost connection may be a proxy that is impatient: the next request shows it.
            self._holds_requests = self._holds_requests and error.code != "busy"
        return self._client.run(self.run_id)

    def _through_silence(self, read: Callable[[], _Result]) -> _Result:
        """Return what *read* returns, called again while the service does not answer."""
        silent_since_s, pause_s = self._clock.monotonic(), _FIRST_SILENT_PAUSE_S
        while True:
            try:
                result = read()
            except (UnreachableError, RefusedError) as error:
                silence_s = self._clock.monotonic() - silent_since_s
                if not self._is_known or not _may_pass(error) or silence_s > _LONGEST_SILENCE_S:
                    raise
                self._notify(f"{error.message}; trying again in {pause_s:.0f} s")
                self._clock.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_SILENT_PAUSE_S)
            else:
                self._is_known = True
                return result

    def _wait_for_last_entry(self, last_update: RunUpdate) -> Iterator[RunUpdate]:
        """Yield updates until the log's last entry is there, for a few seconds at most."""
        started_s = self._clock.monotonic()
        while not self._last_event and self._clock.monotonic() - started_s < _LAST_ENTRY_GRACE_S:
            self._clock.sleep(_SHORTEST_PAUSE_S)
            entries = self._through_silence(self.new_entries)
            if entries:
                yield RunUpdate(last_update.run, entries, last_update.document)


def _may_pass(error: UnreachableError | RefusedError) -> bool:
    """Return whether the service may answer when called again.

    It is the caller's error only if its status is 4xx, and not that of too many requests. Answers
    with any other status are those of a failing service, or of a proxy that stands in for it.
    """
    if isinstance(error, UnreachableError) or error.status in BUSY_STATUSES:
        return True
    return not httpx.codes.is_client_error(error.status)


def _waits_for_worker(run: RunState) -> bool:
    return any("workerWait" in step for step in run["steps"])


def has_ended(run: RunState) -> bool:
    """Return whether a run has succeeded, failed or been cancelled."""
    return run.get("status") in FINAL_RUN_STATUSES


def _timeout(run: RunState, timeout_s: float) -> UnexpectedOutcomeError:
    return UnexpectedOutcomeError(
        f"run {run['runId']} is still {run.get('status', 'unfinished')} after {timeout_s:.0f} s",
        cure=f"taskrunner watch {run['runId']}",
        code="too_slow",
    )
