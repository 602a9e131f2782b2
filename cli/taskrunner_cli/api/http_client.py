"""The settings of every HTTP client, and the errors for a server that does not answer."""

import ssl
from functools import cache
from typing import Final

import httpx

from taskrunner_cli.errors import CommandError, RefusedError, UnreachableError, UsageError

_TIMEOUT_S: Final = 30.0
# Loopback addresses are never called through a proxy, even if the environment sets one.
_NO_PROXY: Final = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_MAX_ANSWER_BYTES: Final = 32 << 20  # Lambda answers with 6 MB at most
_FRAMING_HEADERS: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def new_http_client(timeout_s: float = _TIMEOUT_S) -> httpx.Client:
    """Return a client that follows no redirect, because a token must not go to another host."""
    return httpx.Client(
        timeout=timeout_s, follow_redirects=False, mounts=_NO_PROXY, verify=_tls_context()
    )


@cache
def _tls_context() -> ssl.SSLContext:
    """Return the settings of TLS, with the certificates that take 20 ms to read."""
    return httpx.create_ssl_context()


def exchange(
    client: httpx.Client, request: httpx.Request, *, auth: httpx.Auth | None = None
) -> httpx.Response:
    """Send *request* and return the whole response, redirects and errors included.

    Raises:
        UnreachableError: the server did not answer.
        RefusedError: the answer cannot be decoded, or is larger than any answer of the API.
        UsageError: the address is not an HTTP address.

    """
    try:
        response = client.send(request, auth=auth, stream=True)
        try:
            content = _read_content(response)
        finally:
            response.close()
    except httpx.TransportError as error:
        raise unreachable(request.url, error) from error
    except httpx.DecodingError as error:
        raise unexpected_answer(response, "with content that cannot be decoded") from error
    headers = [
        (name, value)
        for name, value in response.headers.multi_items()
        if name not in _FRAMING_HEADERS
    ]  # they describe the content before its decoding
    return httpx.Response(response.status_code, headers=headers, content=content, request=request)


def unexpected_answer(response: httpx.Response, fault: str) -> RefusedError:
    """Return the error for an answer with a *fault* that the API's answers do not have."""
    request = response.request
    return RefusedError(
        f"{request.method} {request.url.path} answered HTTP {response.status_code} {fault}",
        status=response.status_code,
        code="unexpected_answer",
        cure="check that the address is that of a TaskRunner API",
    )


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
        may_have_begun=not isinstance(error, _NOT_SENT),
    )


def _read_content(response: httpx.Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > _MAX_ANSWER_BYTES:
            raise unexpected_answer(response, f"with more than {_MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(content)
