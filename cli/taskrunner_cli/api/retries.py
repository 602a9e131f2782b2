"""Repeats a request that the service put off, or that it can take twice.

An answer 429 or 503 with `Retry-After` says that the request has not begun: any request is repeated
after that time and a random part more, so that clients which were refused together do not come back
together. Nobody is left in doubt: each such wait is announced.

A service that is busy without saying for how long, or that does not answer, gets two more tries at
once, if the request may be carried out twice or did not leave this machine.

stamina, a layer on tenacity, ignores the clock port, retries errors but not answers, and takes
26 ms to import instead of 15 ms.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx

from taskrunner_cli.api.refusals import BUSY_STATUSES, read_object, retry_after_s
from taskrunner_cli.errors import UnreachableError
from taskrunner_cli.ports.clock import Clock
from taskrunner_cli.ports.randomness import Randomness

if TYPE_CHECKING:
    from tenacity import RetryCallState

Notify = Callable[[str], None]
"""A function that shows a line of text to the person who waits."""

_FAILURE_DELAYS_S: Final = (0.2, 1.0)
_LARGEST_SPREAD_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits of waiting for a service.

    Args:
        timeout_s: how long one request may take to connect, and then each part of its answer.
        max_wait_s: how long to wait in total when the service puts a request off.
        tries_again: whether a request is repeated if the service is busy or does not answer.

    """

    timeout_s: float = 30.0
    max_wait_s: float = 300.0
    tries_again: bool = True


@dataclass(slots=True)
class Retries:
    """The tries of one request.

    Args:
        is_repeatable: whether the service can take the request twice.

    """

    clock: Clock
    randomness: Randomness
    notify: Notify
    patience: Patience
    is_repeatable: bool
    _waited_s: float = field(default=0.0, init=False)
    _put_off: int = field(default=0, init=False)
    _failures: int = field(default=0, init=False)

    def send(self, send_once: Callable[[], httpx.Response]) -> httpx.Response:
        """Return the answer of *send_once*, called again as long as that can help.

        Raises:
            UnreachableError: the service did not answer.

        """
        import tenacity  # noqa: PLC0415 -- only commands of the API need it

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(UnreachableError)
            | tenacity.retry_if_result(_is_busy),
            wait=self._delay_s,
            stop=self._is_over,
            before_sleep=self._announce,
            sleep=self.clock.sleep,
            retry_error_callback=_last_outcome,
        )
        return retrying(send_once)

    def _delay_s(self, state: "RetryCallState") -> float:
        """Return the time until the next try."""
        asked_s = self._asked_s(state)
        if asked_s is None:
            return _FAILURE_DELAYS_S[min(self._failures, len(_FAILURE_DELAYS_S) - 1)]
        spread_s = min(max(asked_s, 1.0) * 2.0**self._put_off, _LARGEST_SPREAD_S)
        return asked_s + self.randomness.fraction() * spread_s

    def _is_over(self, state: "RetryCallState") -> bool:
        """Return whether there is no next try."""
        if not self.patience.tries_again:
            return True
        if self._asked_s(state) is not None:
            return self._waited_s + state.upcoming_sleep > self.patience.max_wait_s
        has_begun = _may_have_begun(state)
        return self._failures >= len(_FAILURE_DELAYS_S) or (has_begun and not self.is_repeatable)

    def _announce(self, state: "RetryCallState") -> None:
        """Count the try, and say how long the wait is if the service asked for it."""
        if self._asked_s(state) is None:
            self._failures += 1
            return
        self._put_off += 1
        self._waited_s += state.upcoming_sleep
        self.notify(f"{_reason(state)}; trying again in {state.upcoming_sleep:.0f} s")

    def _asked_s(self, state: "RetryCallState") -> float | None:
        """Return the seconds that the service asked to wait; None if it did not."""
        outcome = _outcome(state)
        if isinstance(outcome, UnreachableError):
            return outcome.retry_after_s
        return retry_after_s(outcome, self.clock.now())


def _is_busy(response: httpx.Response) -> bool:
    return response.status_code in BUSY_STATUSES


def _may_have_begun(state: "RetryCallState") -> bool:
    outcome = _outcome(state)
    return outcome.may_have_begun if isinstance(outcome, UnreachableError) else True


def _reason(state: "RetryCallState") -> str:
    """Return why the service put the request off, in its own words if it gave any."""
    outcome = _outcome(state)
    if isinstance(outcome, UnreachableError):
        return outcome.message
    match read_object(outcome):
        case {"error": {"message": str(message), "code": str(code)}}:
            return f"{message.rstrip('.')} ({code})"
        case _:
            return f"the service is busy (HTTP {outcome.status_code})"


def _outcome(state: "RetryCallState") -> httpx.Response | UnreachableError:
    """Return the answer of the last try, or the error that it ended with."""
    if state.outcome is None:
        raise AssertionError("tenacity asks only after a try")
    error = state.outcome.exception()
    if isinstance(error, UnreachableError):
        return error
    response: httpx.Response = state.outcome.result()
    return response


def _last_outcome(state: "RetryCallState") -> httpx.Response:
    """Return the last answer, or raise the last error."""
    outcome = _outcome(state)
    if isinstance(outcome, UnreachableError):
        raise outcome
    return outcome
