"""Polls for jobs, runs up to a number of them at a time, and ends when it is asked to.

The first SIGTERM or SIGINT drains: no further job is taken, and those that run are finished. The
second one, or the end of the time for that, stops them and gives them back, so that the service
offers them again at once.

A poll that waits in the service occupies a place of it, which heartbeats need, and costs more than
polls that do not. So only a worker that polls once waits there.
"""

import math
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from taskrunner_cli.api.worker_client import Leased
from taskrunner_cli.errors import CommandError, RefusedError
from taskrunner_cli.ports.randomness import Randomness
from taskrunner_cli.worker.attempt import Attempt, Tools
from taskrunner_cli.worker.refusals import explained

_LONG_POLL_S: Final = 20
_ACTIVE_S: Final = 300.0
ACTIVE_POLL_S: Final = 2.0  # between the polls of a worker that had a job not long ago
_MAX_BACKOFF_S: Final = 30.0
_GIVEN_BACK: Final = "Pending"
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_ALWAYS_FINAL: Final = frozenset({400, 403})
_FINAL_AT_FIRST: Final = frozenset({401, 404})


@dataclass(frozen=True, slots=True)
class _Polled:
    """The end of a poll: a lease, nothing, or an error."""

    leased: Leased | None = None
    error: CommandError | None = None


@dataclass(frozen=True, slots=True)
class _Ended:
    """The end of an attempt, with its status; empty if it was lost."""

    attempt: Attempt
    status: str


@dataclass(frozen=True, slots=True)
class _Signalled:
    """A signal to end."""


_Event: TypeAlias = _Polled | _Ended | _Signalled


class Loop:
    """A worker's loop; all decisions are made in the thread that calls `run`."""

    def __init__(self, tools: Tools, randomness: Randomness, *, is_once: bool) -> None:
        self._tools = tools
        self._randomness = randomness
        self._is_once = is_once
        # Its `put` may be called by a signal's handler, unlike that of `queue.Queue`.
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._attempts: set[Attempt] = set()
        self._is_polling = self._is_draining = self._has_polled = False
        self._is_signalled = self._is_stopped = False
        self._stop_at_s = math.inf
        self._given_back = self._lost = 0
        self._poll_at_s = self._polled_at_s = 0.0
        self._active_until_s = 0.0
        self._failures = 0
        self._error: CommandError | None = None

    def drain(self) -> None:
        """Ask for the end, as a signal does; any thread may call it."""
        self._events.put(_Signalled())

    def run(self) -> None:
        """Take and run jobs until the end.

        Raises:
            CommandError: the service refuses the worker, or jobs were stopped.

        """
        with self._obeying_signals():
            while self._is_polling or self._attempts or not self._is_draining:
                self._poll_if_due()
                self._handle(self._next_event())
        if self._error or self._given_back or self._lost:
            raise self._error or self._stopped()

    def _next_event(self) -> _Event | None:
        """Wait for an event, or until it is time to poll or to stop the jobs."""
        next_s = self._poll_at_s if self._may_poll() else self._stop_at_s
        timeout_s = max(next_s - self._tools.clock.monotonic(), 0.0)
        try:
            return self._events.get(timeout=None if math.isinf(timeout_s) else timeout_s)
        except queue.Empty:
            return None

    def _may_poll(self) -> bool:
        is_free = len(self._attempts) < self._tools.settings.concurrency
        return is_free and not (self._is_polling or self._is_draining)

    def _poll_if_due(self) -> None:
        now_s = self._tools.clock.monotonic()
        if self._may_poll() and now_s >= self._poll_at_s:
            self._polled_at_s, self._is_polling = now_s, True
            wait_s = _LONG_POLL_S if self._is_once else 0
            threading.Thread(target=self._poll, args=(wait_s,), daemon=True).start()

    def _poll(self, wait_s: int) -> None:
        try:
            leased = self._tools.client.lease(self._tools.settings.request, wait_s)
            self._events.put(_Polled(leased))
        except CommandError as error:
            profile, pool = self._tools.client.profile, self._tools.settings.pool
            self._events.put(_Polled(error=explained(error, profile, pool)))
        except Exception as error:  # noqa: BLE001 -- the loop waits for the end of the poll
            self._events.put(_Polled(error=CommandError(f"{type(error).__name__}: {error}")))

    def _handle(self, event: _Event | None) -> None:
        match event:
            case _Polled(error=CommandError() as error):
                self._is_polling = False
                self._put_off(error)
            case _Polled(leased=leased):
                self._is_polling, self._has_polled, self._failures = False, True, 0
                self._is_draining = self._is_draining or self._is_once
                if leased:
                    self._begin(leased)
                else:
                    self._plan_next_poll()
            case _Ended(attempt, status):
                self._attempts.discard(attempt)
                if self._is_stopped:
                    self._given_back += status == _GIVEN_BACK
                    self._lost += not status
                self._active_until_s = self._tools.clock.monotonic() + _ACTIVE_S
            case _Signalled():
                self._end()
            case None if self._tools.clock.monotonic() >= self._stop_at_s:
                if self._attempts:
                    still = _jobs(len(self._attempts), "still runs", "still run")
                    after = f"{self._tools.settings.drain_s:g} seconds after the signal"
                    self._tools.log(f"{still} {after}")
                self._stop_jobs()
            case None:
                pass

    def _begin(self, leased: Leased) -> None:
        """Run a job in a thread of its own, even if the worker has begun to drain meanwhile."""
        attempt = Attempt(self._tools, leased)
        self._attempts.add(attempt)
        self._active_until_s = self._tools.clock.monotonic() + _ACTIVE_S
        self._poll_at_s = 0.0
        if self._is_stopped:
            attempt.give_back()
        threading.Thread(target=self._run, args=(attempt,), daemon=True).start()

    def _run(self, attempt: Attempt) -> None:
        status = ""
        try:
            status = attempt.run()
        except Exception as error:  # noqa: BLE001 -- one job must not end the others
            self._tools.log(f"{attempt.name}: given up: {type(error).__name__}: {error}")
        finally:
            self._events.put(_Ended(attempt, status))

    def _plan_next_poll(self) -> None:
        is_active = self._tools.clock.monotonic() < self._active_until_s
        idle_poll_s = self._tools.settings.idle_poll_s
        self._poll_at_s = self._polled_at_s + (ACTIVE_POLL_S if is_active else idle_poll_s)

    def _put_off(self, error: CommandError) -> None:
        """Try again later, unless the error is final."""
        if self._is_once or self._is_final(error):
            self._error, self._is_draining = error, True
            return
        self._failures += 1
        delay_s = min(2.0 ** (self._failures - 1), _MAX_BACKOFF_S)
        delay_s *= 0.5 + self._randomness.fraction() / 2
        self._poll_at_s = self._tools.clock.monotonic() + delay_s
        hint = f" ({error.cure})" if error.cure else ""
        self._tools.log(f"{error.message}; trying again in {delay_s:.1f} s{hint}")

    def _is_final(self, error: CommandError) -> bool:
        if not isinstance(error, RefusedError):
            return False
        is_first = not self._has_polled and error.status in _FINAL_AT_FIRST
        return is_first or error.status in _ALWAYS_FINAL

    def _end(self) -> None:
        """Drain at the first request, and stop all jobs at the second one."""
        if self._is_signalled:
            self._stop_jobs()
            return
        self._is_signalled = self._is_draining = True
        drain_s = self._tools.settings.drain_s
        self._stop_at_s = self._tools.clock.monotonic() + drain_s
        limit = "" if math.isinf(drain_s) else f", for at most {drain_s:g} seconds more"
        self._tools.log(f"draining: {_jobs(len(self._attempts), 'runs', 'run')}{limit}")

    def _stop_jobs(self) -> None:
        self._is_stopped, self._stop_at_s = True, math.inf
        if count := len(self._attempts):
            jobs = _jobs(count, f"to give {_them(1)} back", f"to give {_them(count)} back")
            self._tools.log(f"stopping {jobs}")
        for attempt in self._attempts:
            attempt.give_back()

    def _stopped(self) -> CommandError:
        """Return the error of a worker that has stopped its jobs."""
        parts = []
        if count := self._given_back:
            given_back = _jobs(count, "was stopped and given back", "were stopped and given back")
            parts.append(f"{given_back}; the service offers {_them(count)} again")
        if count := self._lost:
            stopped = _jobs(count, "was stopped, but", "were stopped, but")
            ends = "its lease ends" if count == 1 else "their leases end"
            parts.append(
                f"{stopped} could not be given back; "
                f"the service offers {_them(count)} again when {ends}"
            )
        return CommandError(". ".join(parts), code="stopped")

    @contextmanager
    def _obeying_signals(self) -> Iterator[None]:
        """Turn signals into events; only the main thread may do so."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        earlier = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            signal.signal(number, lambda *_: self.drain())
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)


def _them(count: int) -> str:
    return "it" if count == 1 else "them"


def _jobs(count: int, singular: str, plural: str) -> str:
    return f"1 job {singular}" if count == 1 else f"{count} jobs {plural}"
