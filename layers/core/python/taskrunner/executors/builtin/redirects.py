"""A request and where its answers send it, as the Fetch standard has it ("HTTP-redirect fetch").

Every hop is a connection of its own, so that who guards the network looks at each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.executors.builtin.exchange import Request, exchange
from taskrunner.executors.work import EgressDenied, ExecutorFailure
from taskrunner.model import web_address
from taskrunner.model.web_address import WebAddressError

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Container, Sequence
    from pathlib import Path

    from taskrunner.executors.builtin.exchange import Answer, Deadline
    from taskrunner.executors.work import Network

MOST: Final = 5

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER: Final = 303
_MAY_CHANGE_A_POST: Final = frozenset({301, 302})
# What tells of a body, and goes with it.
_OF_THE_BODY: Final = frozenset(
    {"content-type", "content-encoding", "content-language", "content-location"}
)
# All that another origin gets to see; of the rest nobody can tell which is a credential.
_HARMLESS: Final = frozenset({"accept", "accept-language", "user-agent"}) | _OF_THE_BODY


def request_and_follow(  # noqa: PLR0913 - one for each thing that a hop needs
    request: Request,
    kept: Container[int],
    *,
    body: Path,
    network: Network,
    deadline: Deadline,
    tls: Callable[[], ssl.SSLContext],
) -> tuple[Request, Answer]:
    """Send *request* and follow redirects, but for those with a status of *kept*.

    Returns the last request and its answer, whose body is in the file *body*.

    Raises:
        ExecutorFailure: one of the exchanges failed, or the redirects lead too far or nowhere.
        EgressDenied: the sandbox does not allow one of the hosts.
    """
    hops: list[str] = []
    while len(hops) <= MOST:
        connection = _connected(request, hops, network, deadline)
        answer = exchange(request, connection, body, deadline, tls)
        location = answer.header("location")
        if answer.status not in _REDIRECTS or answer.status in kept or location is None:
            return request, answer
        hops.append(request.address.origin)
        request = redirected(request, answer.status, location)
    raise ExecutorFailure(f"redirected more than {MOST} times, the last time by {hops[-1]}")


def _connected(
    request: Request, hops: Sequence[str], network: Network, deadline: Deadline
) -> socket.socket:
    address = request.address
    try:
        return network.connect(address.host, address.port, deadline.left_s())
    except EgressDenied as denial:
        by = f"{hops[-1]} redirects, and " if hops else ""
        raise EgressDenied(f"{by}{denial}") from None
    except TimeoutError:
        why = f"{address.origin} gave no whole answer within {deadline}"
        raise ExecutorFailure(why) from None


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that follows an answer with that status and Location.

    Raises:
        ExecutorFailure: it leads nowhere, or from https to http.
    """
    try:
        address = web_address.follow(request.address, location)
    except WebAddressError as error:
        origin = request.address.origin
        raise ExecutorFailure(f"the redirect by {origin} is not followed: {error}") from None
    method, body, headers = request.method, request.body, request.headers
    becomes_a_get = (status == _SEE_OTHER and method not in {"GET", "HEAD"}) or (
        status in _MAY_CHANGE_A_POST and method == "POST"
    )
    if becomes_a_get:
        method, body = "GET", b""
        headers = tuple(one for one in headers if one[0].lower() not in _OF_THE_BODY)
    if address.origin != request.address.origin:
        headers = tuple(one for one in headers if one[0].lower() in _HARMLESS)
    return Request(method, address, headers, body)
