"""The one bucket: objects by key. Everything of a tenant is under its own prefix.

Files pass in blocks, so that their size is bounded by the disk and not by the memory.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import unicodedata
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple
from urllib.parse import quote

from botocore.exceptions import ClientError

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.runtime.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_BLOCK_BYTES: Final = 1024 * 1024
# What a quoted file name may not hold, for a reader that does not know RFC 5987.
_UNQUOTABLE: Final = re.compile(r'[^ -~]|["\\%]')


class Stored(NamedTuple):
    """What was stored: its length in bytes, and its SHA-256 as 64 hex digits."""

    size_bytes: int
    sha256: str


class Bucket:
    """The bucket by its name; *client* is boto3's for S3. Tags are those of `retention`."""

    def __init__(self, client: Any, name: str) -> None:  # noqa: ANN401 - boto3 has no static types
        """Hold the client; nothing is called yet."""
        self._client = client
        self._name = name

    def put(self, key: str, content: bytes, media_type: str, tag: str) -> None:
        """Store *content* under *key*, replacing what was there."""
        with translated("write to the bucket"):
            self._client.put_object(
                Bucket=self._name, Key=key, Body=content, ContentType=media_type, **_tagged(tag)
            )

    def put_file(self, key: Callable[[str], str], file: Path, media_type: str, tag: str) -> Stored:
        """Store a plain file's content; *key* makes its key of its SHA-256.

        The file is read twice, for its digest and for S3, which is told the digest and refuses
        anything else: what changed in between cannot be stored under a wrong one.

        Raises:
            NotRegularError: *file* is a link, a pipe or the like.
        """
        with open_regular(file) as body:
            digest = _digest(body)
            size_bytes = body.seek(0, os.SEEK_END)
            body.seek(0)
            with translated("write to the bucket"):
                self._client.put_object(
                    Bucket=self._name,
                    Key=key(digest.hex()),
                    Body=body,
                    ContentType=media_type,
                    ChecksumSHA256=base64.b64encode(digest).decode(),
                    **_tagged(tag),
                )
        return Stored(size_bytes, digest.hex())

    def get(self, key: str) -> bytes | None:
        """The content of *key*, or None."""
        with translated("read from the bucket"):
            answer = self._found(self._client.get_object, key)
            content: bytes | None = None if answer is None else answer["Body"].read()
        return content

    def fetch(self, key: str, into: Path) -> bool:
        """Write the content of *key* to the file *into*, replacing it; False when there is none.

        Raises:
            OSError: the file cannot be written; then there is none.
        """
        with translated("read from the bucket"):
            answer = self._found(self._client.get_object, key)
            if answer is None:
                return False
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(into, flags, 0o644), "wb") as file:
                    for block in answer["Body"].iter_chunks(_BLOCK_BYTES):
                        file.write(block)
            except BaseException:
                into.unlink(missing_ok=True)  # half a file must not pass for one
                raise
            finally:
                answer["Body"].close()
        return True

    def size_bytes(self, key: str) -> int | None:
        """How long the content of *key* is, without reading it, or None."""
        with translated("read from the bucket"):
            answer = self._found(self._client.head_object, key)
        return None if answer is None else int(answer["ContentLength"])

    def url(self, key: str, file_name: str, media_type: str, valid_s: int) -> str:
        """A presigned URL that downloads *key* as *file_name*, and never shows it as a page."""
        url: str = self._client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._name,
                "Key": key,
                "ResponseContentDisposition": _attachment(file_name),
                "ResponseContentType": media_type,
            },
            ExpiresIn=valid_s,
        )
        return url

    def _found(self, call: Callable[..., Any], key: str) -> Any:  # noqa: ANN401 - boto3's own
        try:
            return call(Bucket=self._name, Key=key)
        except ClientError as error:
            if code(error) in _MISSING:
                return None
            raise


def _tagged(tag: str) -> dict[str, str]:
    """No tag is said by saying nothing: an empty one would need the right to tag all the same."""
    return {"Tagging": tag} if tag else {}


def _digest(body: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while block := body.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.digest()


def _attachment(file_name: str) -> str:
    """A Content-Disposition by RFC 6266, with the name as RFC 5987 has it where ASCII ends."""
    plain = unicodedata.normalize("NFKD", file_name)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    header = f'attachment; filename="{_UNQUOTABLE.sub("_", plain)}"'
    if _UNQUOTABLE.search(file_name) is None:
        return header
    return f"{header}; filename*=UTF-8''{quote(file_name, safe='', errors='replace')}"
