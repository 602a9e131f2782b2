"""Sends a request and follows its redirects, as the Fetch standard does ("HTTP-redirect fetch").

Every hop is a connection of its own, so the network's guard checks each host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.executors.builtin.http import web_address
from taskrunner.executors.builtin.http.exchange import Request, exchange
from taskrunner.executors.builtin.http.web_address import WebAddressError
from taskrunner.executors.work import EgressDenied, ExecutorFailure

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Container, Sequence
    from pathlib import Path

    from taskrunner.executors.builtin.http.exchange import Deadline, Response
    from taskrunner.executors.work import Network

MAX_REDIRECTS: Final = 5

_REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER: Final = 303
_STATUSES_THAT_CHANGE_POST: Final = frozenset({301, 302})
# Headers that describe the body, and are dropped with it.
_BODY_HEADERS: Final = frozenset(
    {"content-type", "content-encoding", "content-language", "content-location"}
)
# The only headers that another origin receives: any other might be a credential.
_HARMLESS_HEADERS: Final = frozenset({"accept", "accept-language", "user-agent"}) | _BODY_HEADERS


def follow_redirects(  # noqa: PLR0913 - a hop needs each of them
    request: Request,
    expected_statuses: Container[int],
    *,
    body_file: Path,
    network: Network,
    deadline: Deadline,
    make_tls: Callable[[], ssl.SSLContext],
) -> tuple[Request, Response]:
    """Send *request* and follow its redirects; a status in *expected_statuses* is not followed.

    Returns the last request and its response, whose body is in *body_file*.

    Raises:
        ExecutorFailure: an exchange failed, or the redirects are too many or cannot be followed.
        EgressDenied: the sandbox does not allow one of the hosts.
    """
    origins: list[str] = []
    while len(origins) <= MAX_REDIRECTS:
        connection = _connect(request, origins, network, deadline)
        response = exchange(request, connection, body_file, deadline, make_tls)
        location = response.header("location")
        is_redirect = response.status in _REDIRECT_STATUSES and location is not None
        if not is_redirect or response.status in expected_statuses:
            return request, response
        origins.append(request.address.origin)
        request = _redirected(request, response.status, location or "")
    raise ExecutorFailure(
        f"redirected more than {MAX_REDIRECTS} times, the last time by {origins[-1]}"
    )


def _connect(
    request: Request, origins: Sequence[str], network: Network, deadline: Deadline
) -> socket.socket:
    address = request.address
    try:
        return network.connect(address.host, address.port, deadline.left_s())
    except EgressDenied as denial:
        prefix = f"{origins[-1]} redirects, and " if origins else ""
        raise EgressDenied(f"{prefix}{denial}") from None
    except TimeoutError:
        problem = f"{address.origin} sent no complete response within {deadline}"
        raise ExecutorFailure(problem) from None


def _redirected(request: Request, status: int, location: str) -> Request:
    """Return the request that follows a response with that *status* and *location*.

    Raises:
        ExecutorFailure: the location is not a web address, or leads from https to http.
    """
    try:
        address = web_address.follow(request.address, location)
    except WebAddressError as error:
        origin = request.address.origin
        raise ExecutorFailure(f"the redirect by {origin} is not followed: {error}") from None
    method, body, headers = request.method, request.body, request.headers
    becomes_get = (status == _SEE_OTHER and method not in {"GET", "HEAD"}) or (
        status in _STATUSES_THAT_CHANGE_POST and method == "POST"
    )
    if becomes_get:
        method, body = "GET", b""
        headers = tuple(header for header in headers if header[0].lower() not in _BODY_HEADERS)
    if address.origin != request.address.origin:
        headers = tuple(header for header in headers if header[0].lower() in _HARMLESS_HEADERS)
    return Request(method, address, headers, body)
