"""Uploads a file to its presigned address, which is the only credential that it needs."""

from collections.abc import Iterator
from typing import Final

import httpx

from taskrunner_cli.api.http_client import exchange, new_http_client
from taskrunner_cli.api.worker_documents import UploadAddress
from taskrunner_cli.errors import RefusedError

_SCHEMES: Final = frozenset({"http", "https"})


def upload(address: UploadAddress, parts: Iterator[bytes], size_bytes: int) -> None:
    """Send a content of *size_bytes* in *parts* to *address*.

    Raises:
        RefusedError: the store answered with an error, or the address is not one.
        UnreachableError: the store did not answer, or broke off.

    """
    headers = {**address.get("headers", {}), "Content-Length": str(size_bytes)}
    with new_http_client() as http:
        try:
            url = httpx.URL(address["url"])
            if url.scheme not in _SCHEMES:
                raise _refused(0, "the service gave an address that is not an HTTP address")
            request = http.build_request("PUT", url, content=parts, headers=headers)
        except httpx.InvalidURL as error:
            raise _refused(0, "the service gave an address that is not one") from error
        response = exchange(http, request)
    if not response.is_success:
        status = response.status_code
        raise _refused(status, f"the artifact store answered HTTP {status} to an upload")


def _refused(status: int, message: str) -> RefusedError:
    return RefusedError(message, status=status, code="upload_failed")
