"""Downloads an artifact from its presigned address, which is the only credential that it needs."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import httpx

from taskrunner_cli.api.http_client import new_http_client, unreachable
from taskrunner_cli.errors import RefusedError, UsageError

Advance: TypeAlias = Callable[[int], None]
_CHUNK_BYTES: Final = 1 << 16
_UNCOMPRESSED: Final = {"Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Download:
    """A downloaded file; *sha256* is in hexadecimal."""

    path: Path
    size_bytes: int
    sha256: str


def download(url: httpx.URL, path: Path, advance: Advance = lambda _: None) -> Download:
    """Save the content of *url* as *path*, atomically: a broken download leaves no file.

    *advance* is called with the number of bytes of each part that arrives.
    An HTTP client of its own sends the request, so that neither token nor tenant goes along.

    Raises:
        RefusedError: the store answered with an error, for example because the address expired.
        UnreachableError: the store did not answer, or broke off.
        UsageError: *path* cannot be written.

    """
    with _replacing(path) as file:
        sha256, size_bytes = _stream(url, file, advance)
    return Download(path, size_bytes, sha256)


def save_text(text: str, path: Path) -> Download:
    """Save *text* as *path*, atomically.

    Raises:
        UsageError: *path* cannot be written.

    """
    content = text.encode()
    with _replacing(path) as file:
        file.write(content)
    return Download(path, len(content), hashlib.sha256(content).hexdigest())


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file that replaces *path* at the end, unless an error is raised before."""
    try:
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    except ValueError as error:  # NUL, or a lone surrogate
        raise UsageError(f"cannot write {str(path)!r}: no file can have this name") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(partial).replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        Path(partial).unlink(missing_ok=True)


def _stream(url: httpx.URL, file: BinaryIO, advance: Advance) -> tuple[str, int]:
    """Copy the content of *url* to *file*; return its SHA-256 and its size in bytes."""
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with (
            new_http_client() as http,
            http.stream("GET", url, headers=_UNCOMPRESSED) as response,
        ):
            if not response.is_success:
                raise RefusedError(
                    f"the artifact store answered HTTP {response.status_code}",
                    status=response.status_code,
                    code="artifact_unavailable",
                )
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                size_bytes += file.write(chunk)
                digest.update(chunk)
                advance(len(chunk))
    except httpx.TransportError as error:
        raise unreachable(url, error) from error
    except httpx.DecodingError as error:
        raise RefusedError(
            "the artifact store sent content that cannot be decoded",
            status=response.status_code,
            code="artifact_unavailable",
        ) from error
    return digest.hexdigest(), size_bytes
