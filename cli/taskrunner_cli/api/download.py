"""Fetches what a presigned address points to, without any credential but the address itself."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import httpx

from taskrunner_cli.api.transport import new_http, unreachable
from taskrunner_cli.errors import RefusedError, UsageMistakeError

_CHUNK_BYTES: Final = 1 << 16
_AS_STORED: Final = {"Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Download:
    """A file that arrived whole."""

    path: Path
    size_bytes: int
    sha256: str


def fetch(url: httpx.URL, path: Path) -> Download:
    """Save what *url* answers as *path*.

    A client of its own asks, so that neither token nor tenant can travel along. The bytes go to a
    neighbouring file that takes its name at the end: a broken download leaves nothing behind that
    looks like the artifact.

    Raises:
        RefusedError: the store said no, as when the address is no longer valid.
        UnreachableError: the store could not be reached, or broke off.
        UsageMistakeError: *path* cannot be written.

    """
    try:
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise UsageMistakeError(f"cannot write {path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            digest, size_bytes = _stream(url, file)
        Path(partial).replace(path)
    except OSError as error:
        raise UsageMistakeError(f"cannot write {path}: {error.strerror}") from error
    finally:
        Path(partial).unlink(missing_ok=True)
    return Download(path, size_bytes, digest)


def _stream(url: httpx.URL, file: BinaryIO) -> tuple[str, int]:
    """Write the answer's body to *file*; its SHA-256 and its size."""
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with new_http() as http, http.stream("GET", url, headers=_AS_STORED) as response:
            if not response.is_success:
                raise RefusedError(
                    f"the artifact store answered HTTP {response.status_code}",
                    status=response.status_code,
                    code="artifact_unavailable",
                )
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                size_bytes += file.write(chunk)
                digest.update(chunk)
    except httpx.TransportError as error:
        raise unreachable(url, error) from error
    return digest.hexdigest(), size_bytes
