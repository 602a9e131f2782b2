"""Sends requests to the API: with the caller's token and tenant, retried where that is safe.

Every refusal and every failure to connect becomes a `CommandError` here. Tokens and presigned
addresses are credentials, so they are never part of a message.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import httpx

from taskrunner_cli.api.http_client import exchange, new_http_client
from taskrunner_cli.api.profiles import Profile
from taskrunner_cli.api.refusals import BUSY_STATUSES, refusal
from taskrunner_cli.api.tokens import TokenSource
from taskrunner_cli.errors import UnreachableError
from taskrunner_cli.json_types import JsonObject
from taskrunner_cli.ports.clock import Clock

if TYPE_CHECKING:
    from tenacity import RetryCallState

_RETRY_DELAYS_S: Final = (0.2, 1.0)


class Transport:
    """The connection of one caller to the API."""

    def __init__(self, profile: Profile, clock: Clock) -> None:
        self._profile = profile
        self._clock = clock
        self._http = new_http_client()
        self._tokens = TokenSource(profile, self._http, clock)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: JsonObject | None = None,
        query: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request and return the answer, which may be a redirect.

        A rejected token is renewed once. A read is retried while the service is busy or does not
        answer. A write is never retried, because it may have been carried out.

        Raises:
            RefusedError: the service answered with an error.
            RefusedPackError: the same, with the plan errors of a pack.
            UnreachableError: the service did not answer.

        """
        request = self._http.build_request(
            method,
            self._profile.api_url + path,
            json=body,
            params={name: value for name, value in (query or {}).items() if value is not None},
            headers=dict(headers or {}),
        )
        if self._profile.tenant:
            request.headers["X-StellaOps-Tenant"] = self._profile.tenant
        send = self._send_with_retries if method == "GET" else self._send_once
        response = send(request)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._tokens.discard()
            response = send(request)
        if response.is_error:
            raise refusal(response, self._profile.caller)
        return response

    def _send_once(self, request: httpx.Request) -> httpx.Response:
        request.headers["Authorization"] = f"Bearer {self._tokens.token()}"
        return exchange(self._http, request)

    def _send_with_retries(self, request: httpx.Request) -> httpx.Response:
        """Send a read, and return the last answer if the service stays busy.

        stamina, a layer on tenacity, ignores the clock port, retries errors but not answers, and
        takes 26 ms to import instead of 15 ms. Only reads pay for it.
        """
        import tenacity  # noqa: PLC0415 -- see above

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(UnreachableError)
            | tenacity.retry_if_result(_is_busy),
            wait=tenacity.wait_chain(*map(tenacity.wait_fixed, _RETRY_DELAYS_S)),
            stop=tenacity.stop_after_attempt(len(_RETRY_DELAYS_S) + 1),
            sleep=self._clock.sleep,
            retry_error_callback=_last_outcome,
        )
        return retrying(self._send_once, request)


def _is_busy(response: httpx.Response) -> bool:
    return response.status_code in BUSY_STATUSES


def _last_outcome(state: "RetryCallState") -> httpx.Response:
    """Return the last answer, or raise the last error."""
    if state.outcome is None:
        raise AssertionError("tenacity gives up only after an attempt")
    response: httpx.Response = state.outcome.result()
    return response
