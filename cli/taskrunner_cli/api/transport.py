"""HTTP as this service speaks it: a bearer token in, a response or one clear error out.

Every httpx error and every refusal is turned into a `CommandError` here and nowhere else. Tokens
and presigned addresses are credentials: neither is ever part of a message.
"""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from taskrunner_cli.api.profiles import Connection
from taskrunner_cli.errors import (
    CommandError,
    InvalidPackError,
    RefusedError,
    UnreachableError,
    UsageMistakeError,
)
from taskrunner_cli.ports.clock import Clock

_TIMEOUT_S: Final = 30.0
_EARLY_S: Final = 30.0  # a token is renewed this long before it ends, so none ends under way
_PAUSES_S: Final = (0.2, 1.0)  # before the second and the third try of a read
_BUSY: Final = frozenset({429, 502, 503, 504})
# A loopback address is never asked through a proxy, whatever the environment says.
_DIRECT: Final = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}


def new_http() -> httpx.Client:
    """Return an HTTP client that follows no redirect: a token must not travel to another host."""
    return httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, mounts=_DIRECT)


class TokenSource:
    """Bearer tokens by client credentials (RFC 6749 §4.4), kept while good."""

    def __init__(self, connection: Connection, http: httpx.Client, clock: Clock) -> None:
        self._connection = connection
        self._http = http
        self._clock = clock
        self._token = ""
        self._good_until_s = 0.0

    def token(self) -> str:
        """Return a token that is still good; asks the token service only when it must."""
        if not self._token or self._clock.monotonic() >= self._good_until_s:
            self._fetch()
        return self._token

    def forget(self) -> None:
        """Drop the token, because the service refused it."""
        self._token = ""

    def _fetch(self) -> None:
        connection = self._connection
        form = {"grant_type": "client_credentials", "scope": connection.scope}
        response = exchange(
            self._http,
            self._http.build_request(
                "POST", connection.token_url, data={k: v for k, v in form.items() if v}
            ),
            auth=httpx.BasicAuth(connection.client_id, connection.client_secret),
        )
        answer = _object(response)
        token = answer.get("access_token")
        if not response.is_success or not isinstance(token, str) or not token:
            raise RefusedError(
                f"the token service gave client {connection.caller!r} no token"
                f" (HTTP {response.status_code}, {answer.get('error', 'no reason given')})",
                status=response.status_code,
                code="no_token",
                cure="check the client's id, secret and scope; `taskrunner local up` renews them",
            )
        self._token = token
        life_s = max(float(answer.get("expires_in", 0)) - _EARLY_S, 0.0)
        self._good_until_s = self._clock.monotonic() + life_s


class Transport:
    """Sends requests of one connection, with its token and its tenant."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.connection = connection
        self._clock = clock
        self._http = new_http()
        self._tokens = TokenSource(connection, self._http, clock)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request and return its answer, a redirect included.

        A refused token is renewed once. A read is tried again while the service is busy; a write
        never is, since nobody can tell whether it was done.

        Raises:
            RefusedError: the service said no. InvalidPackError: because of the pack.
            UnreachableError: it could not be reached.

        """
        request = self._http.build_request(
            method,
            self.connection.api_url + path,
            json=body,
            params={key: value for key, value in (query or {}).items() if value is not None},
            headers=dict(headers or {}),
        )
        if self.connection.tenant:
            request.headers["X-StellaOps-Tenant"] = self.connection.tenant
        response = self._patiently(request)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._tokens.forget()
            response = self._patiently(request)
        if response.is_error:
            raise refusal(response, self.connection.caller)
        return response

    def _patiently(self, request: httpx.Request) -> httpx.Response:
        for pause_s in _PAUSES_S if request.method == "GET" else ():
            try:
                response = self._once(request)
            except UnreachableError:
                pass
            else:
                if response.status_code not in _BUSY:
                    return response
            self._clock.sleep(pause_s)
        return self._once(request)

    def _once(self, request: httpx.Request) -> httpx.Response:
        request.headers["Authorization"] = f"Bearer {self._tokens.token()}"
        return exchange(self._http, request)


def exchange(
    http: httpx.Client, request: httpx.Request, *, auth: httpx.Auth | None = None
) -> httpx.Response:
    """Send *request* and read the whole answer, with httpx's errors translated."""
    try:
        return http.send(request, auth=auth)
    except httpx.TransportError as error:
        raise unreachable(request.url, error) from error


def unreachable(url: httpx.URL, error: Exception) -> CommandError:
    """Turn a failure to reach *url* into our error, which names its origin and never a query."""
    origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
    if isinstance(error, httpx.UnsupportedProtocol):
        return UsageMistakeError(f"{url.copy_with(query=None)} is not an http address")
    return UnreachableError(
        f"cannot reach {origin}: {error or type(error).__name__}",
        cure="is it up? `taskrunner local status` knows about the local stack",
    )


def refusal(response: httpx.Response, caller: str) -> CommandError:
    """Turn an error answer of the API into our error, envelope or not.

    Plan errors win over an envelope beside them: they say more. A proxy's or a gateway's own
    answer has neither, and is described by its status alone.
    """
    answer = _object(response)
    envelope = answer.get("error")
    envelope = envelope if isinstance(envelope, dict) else {}
    trace_id = str(envelope.get("traceId") or "")
    if problems := _plan_errors(answer):
        return InvalidPackError(problems, trace_id=trace_id)
    status = response.status_code
    if status in _BUSY and not envelope:
        return UnreachableError(f"the service is not available (HTTP {status})", code="busy")
    message = envelope.get("message") or answer.get("message") or response.reason_phrase
    return RefusedError(
        str(message),
        status=status,
        code=str(envelope.get("code") or f"http_{status}"),
        trace_id=trace_id,
        cure=_cure(status, caller),
    )


def _cure(status: int, caller: str) -> str:
    """What helps against a refusal that is about the caller and not about the request."""
    match status:
        case httpx.codes.UNAUTHORIZED:
            return f"the token of {caller!r} is not accepted here; is the stack file current?"
        case httpx.codes.FORBIDDEN:
            return f"{caller!r} may not do this; choose another caller with --as"
        case _:
            return ""


def _plan_errors(answer: Mapping[str, Any]) -> list[Any]:
    """The plan errors of an answer, those without path or message left out."""
    errors = answer.get("errors")
    listed = errors if isinstance(errors, list) else []
    return [e for e in listed if isinstance(e, dict) and {"path", "message"} <= e.keys()]


def _object(response: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object; empty when it is anything else."""
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
