"""Reports the end of an attempt, again and again until the service knows it."""

import threading
from collections.abc import Callable
from typing import Final

from taskrunner_cli.api.worker_client import WorkerClient
from taskrunner_cli.api.worker_documents import LEASE_LOST, Completion, Lease
from taskrunner_cli.errors import CommandError, RefusedError, UsageError
from taskrunner_cli.ports.clock import Clock
from taskrunner_cli.worker.endings import failed
from taskrunner_cli.worker.reports import Reports

_FIRST_DELAY_S: Final = 0.5
_MAX_DELAY_S: Final = 5.0
_LEAST_TIMEOUT_S: Final = 2.0
_REFUSED_RESULTS: Final = frozenset({400, 413, 422})


class FinalReport:
    """The completion of one lease.

    Args:
        client: the API.
        lease: the job's lease.
        clock: the time.
        reports: the reports of the job.

    """

    def __init__(self, client: WorkerClient, lease: Lease, clock: Clock, reports: Reports) -> None:
        self._client = client
        self._lease = lease
        self._clock = clock
        self._reports = reports
        self._pause = threading.Event().wait

    def send(self, completion: Completion, until_s: Callable[[], float]) -> str:
        """Return the status that the service gave the attempt; empty if the lease was lost.

        *until_s* returns the time, by the monotonic clock, after which nothing is reported. If the
        service refuses the results, the attempt fails with its message.
        """
        delay_s = _FIRST_DELAY_S
        while True:
            timeout_s = max(until_s() - self._clock.monotonic(), _LEAST_TIMEOUT_S)
            try:
                status = self._client.complete(self._lease, completion, timeout_s)["status"]
            except CommandError as error:
                if _is_lost(error):
                    return ""
                if _refuses_results(error) and not _is_bare(completion):
                    completion = _without_results(completion, error)
                    continue
                self._reports.failed(error)
            else:
                self._reports.succeeded()
                return status
            left_s = until_s() - self._clock.monotonic()
            if left_s <= 0:
                return ""
            self._pause(min(delay_s, left_s))
            delay_s = min(2 * delay_s, _MAX_DELAY_S)


def _is_lost(error: CommandError) -> bool:
    return isinstance(error, RefusedError) and error.code == LEASE_LOST


def _refuses_results(error: CommandError) -> bool:
    if isinstance(error, UsageError):  # they cannot be sent
        return True
    return isinstance(error, RefusedError) and error.status in _REFUSED_RESULTS


def _without_results(completion: Completion, error: CommandError) -> Completion:
    """Return the completion to send instead of one that the service refuses."""
    if completion.get("reason") == "stopped":  # it stays one, so that the job is offered again
        return failed(completion.get("message", ""), "stopped")
    return failed(f"the service refused the results: {error.message}")


def _is_bare(completion: Completion) -> bool:
    """Return whether a completion has nothing that could be omitted."""
    return completion.keys() <= {"status", "reason", "message"}
