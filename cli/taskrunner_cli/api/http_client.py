"""The settings of every HTTP client, and the errors for a server that does not answer."""

from typing import Final

import httpx

from taskrunner_cli.errors import CommandError, UnreachableError, UsageError

_TIMEOUT_S: Final = 30.0
# Loopback addresses are never called through a proxy, even if the environment sets one.
_NO_PROXY: Final = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}


def new_http_client() -> httpx.Client:
    """Return a client that follows no redirect, because a token must not go to another host."""
    return httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, mounts=_NO_PROXY)


def exchange(
    client: httpx.Client, request: httpx.Request, *, auth: httpx.Auth | None = None
) -> httpx.Response:
    """Send *request* and return the whole response, redirects and errors included.

    Raises:
        UnreachableError: the server did not answer.
        UsageError: the address is not an HTTP address.

    """
    try:
        return client.send(request, auth=auth)
    except httpx.TransportError as error:
        raise unreachable(request.url, error) from error


def unreachable(url: httpx.URL, error: httpx.TransportError) -> CommandError:
    """Return the error for a server that did not answer.

    It names the origin only: the query of a presigned address is a credential.
    """
    if isinstance(error, httpx.UnsupportedProtocol):
        return UsageError(
            f"{url.copy_with(query=None)} is not an HTTP address",
            cure="use an address that begins with https:// or http://",
        )
    origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
    return UnreachableError(
        f"cannot reach {origin}: {error or 'no answer'}",
        cure="check that it is running; `taskrunner local status` shows the local stack",
    )
