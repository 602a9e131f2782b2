"""Renews the lease of one job, sends its output, and learns whether the job must stop.

A heartbeat is sent every `heartbeatSeconds`, and sooner while there is output: after 1 s, then 2,
up to 5. The lease has surely been lost when its end has passed without an answer; then another
worker may run the job, so it is stopped here.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taskrunner_cli.api.worker_client import Leased, WorkerClient
from taskrunner_cli.api.worker_documents import LEASE_LOST, OutputItem
from taskrunner_cli.errors import RefusedError
from taskrunner_cli.ports.clock import Clock
from taskrunner_cli.worker.output_queue import OutputQueue
from taskrunner_cli.worker.reports import Reports

_DEFAULT_INTERVAL_S: Final = 10.0
_LEAST_INTERVAL_S: Final = 0.1
_MAX_OUTPUT_GAP_S: Final = 5.0
_FIRST_RETRY_S: Final = 0.5
_MAX_RETRY_S: Final = 5.0
_GIVE_BACK_S: Final = 10.0  # with the grace of the job's processes


@dataclass(frozen=True, slots=True)
class Stop:
    """The decision to stop a job.

    Args:
        reason: the service's reason, or that of this machine.
        is_lost: whether the lease has been lost, so that nobody waits for a completion.

    """

    reason: str
    is_lost: bool = False


class LeaseKeeper:
    """The heartbeats of one lease, in a thread of their own."""

    def __init__(
        self,
        client: WorkerClient,
        leased: Leased,
        queue: OutputQueue,
        clock: Clock,
        reports: Reports,
    ) -> None:
        self._client = client
        self._reports = reports
        self._lease = leased.lease
        self._expires_at_s = leased.expires_at_s
        self._hurry_until_s = math.inf
        self._queue = queue
        self._clock = clock
        interval_s = leased.lease.get("heartbeatSeconds", _DEFAULT_INTERVAL_S)
        self._interval_s = max(interval_s, _LEAST_INTERVAL_S)
        self._changed = threading.Condition()
        self._stop: Stop | None = None
        self._on_stop: Callable[[], None] = lambda: None
        self._is_closed = self._is_flushing = self._is_sending = self._is_silent = False
        self._last_s = clock.monotonic()
        self._beats_with_output = self._failures = 0
        self._thread = threading.Thread(target=self._keep, daemon=True)
        queue.on_output = self._wake

    @property
    def stop(self) -> Stop | None:
        """The decision to stop the job; None while it may go on."""
        return self._stop

    @property
    def is_lost(self) -> bool:
        """Whether the lease has been lost."""
        return self._stop is not None and self._stop.is_lost

    @property
    def report_until_s(self) -> float:
        """The time, by the monotonic clock, after which nothing more is reported."""
        return min(self._expires_at_s, self._hurry_until_s)

    def start(self) -> None:
        """Begin with the heartbeats."""
        self._thread.start()

    def on_stop(self, act: Callable[[], None]) -> None:
        """Call *act* when the job must stop; immediately if that has been decided."""
        with self._changed:
            self._on_stop = act
            is_decided = self._stop is not None
        if is_decided:
            act()

    def give_back(self, reason: str) -> None:
        """Stop the job for a reason of this machine; the lease is kept until that is reported."""
        self._hurry_until_s = self._clock.monotonic() + _GIVE_BACK_S
        self._decide(Stop(reason))

    def last_output(self) -> list[OutputItem]:
        """Send the output, and return the last items, which the completion takes along.

        Later heartbeats carry no output.
        """
        with self._changed:
            self._is_flushing = True
            self._changed.notify_all()
            while not self.is_lost and (self._is_sending or not self._queue.is_last_batch):
                left_s = self._hurry_until_s - self._clock.monotonic()
                if left_s <= 0:
                    break
                self._changed.wait(None if math.isinf(left_s) else left_s)
            self._is_flushing, self._is_silent = False, True
            return self._queue.take()

    def close(self) -> None:
        """End the heartbeats."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _keep(self) -> None:
        while True:
            with self._changed:
                wait_s = self._time_to_next()
                if wait_s is None:
                    return
                if wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
                items = [] if self._is_silent else self._queue.take()
                self._is_sending = True
            self._beat(items)
            with self._changed:
                self._is_sending = False
                self._last_s = self._clock.monotonic()
                self._changed.notify_all()

    def _time_to_next(self) -> float | None:
        """Return the seconds until the next heartbeat is due; None if there is none."""
        now_s = self._clock.monotonic()
        if self._is_closed or self.is_lost:
            return None
        if now_s >= self._expires_at_s:
            self._decide(Stop("the service did not answer until the lease ended", is_lost=True))
            return None
        return min(self._gap_s() - (now_s - self._last_s), self._expires_at_s - now_s)

    def _gap_s(self) -> float:
        """Return the time between the last heartbeat and the next one."""
        if self._failures:
            return min(_FIRST_RETRY_S * 2.0 ** (self._failures - 1), _MAX_RETRY_S)
        if self._is_silent or self._queue.is_empty:
            return self._interval_s
        if self._is_flushing:
            return 0.0
        return min(1.0 + self._beats_with_output, _MAX_OUTPUT_GAP_S, self._interval_s)

    def _beat(self, items: list[OutputItem]) -> None:
        self._beats_with_output = self._beats_with_output + 1 if items else 0
        try:
            left_s = max(self.report_until_s - self._clock.monotonic(), _LEAST_INTERVAL_S)
            beat = self._client.heartbeat(self._lease, items, left_s)
        except Exception as error:  # noqa: BLE001 -- without an answer the lease must run out
            self._failures += 1
            if isinstance(error, RefusedError) and error.code == LEASE_LOST:
                self._decide(Stop("the lease was lost", is_lost=True))
            else:
                self._reports.failed(error)
        else:
            self._failures = 0
            self._reports.succeeded()
            self._expires_at_s = beat.expires_at_s
            if not self._is_silent:
                self._queue.acknowledge(beat.answer.get("outputBytesLeft"))
            if beat.answer["action"] == "stop":
                self._decide(Stop(beat.answer.get("reason", "stopped")))

    def _decide(self, stop: Stop) -> None:
        """Stop the job; a lost lease outweighs an earlier decision."""
        with self._changed:
            if self._stop is None or stop.is_lost:
                self._stop = stop
            act = self._on_stop
            self._changed.notify_all()
        act()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
