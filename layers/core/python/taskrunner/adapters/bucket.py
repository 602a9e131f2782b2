"""The one bucket: objects by key. All objects of a tenant have its name as their first folder.

Files are read and written in blocks, so the disk limits their size and memory does not.
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
# A quoted file name must not contain these, for readers that do not know RFC 5987.
_UNQUOTABLE: Final = re.compile(r'[^ -~]|["\\%]')


class Stored(NamedTuple):
    """The size of a stored file, and its SHA-256 as 64 hex digits."""

    size_bytes: int
    sha256: str


class Bucket:
    """The bucket called *name*; *client* is boto3's for S3. The tags are those of `retention`."""

    def __init__(self, client: Any, name: str) -> None:  # noqa: ANN401 - boto3 has no static types
        """Call nothing yet."""
        self._client = client
        self._name = name

    def put(self, key: str, content: bytes, media_type: str, tag: str) -> None:
        """Store *content* under *key*, replacing an object that is there."""
        with translated("write to the bucket"):
            self._client.put_object(
                Bucket=self._name, Key=key, Body=content, ContentType=media_type, **_tagged(tag)
            )

    def put_file(self, key: Callable[[str], str], file: Path, media_type: str, tag: str) -> Stored:
        """Store a plain file under the key that *key* makes of its SHA-256.

        The file is read twice, once for its digest and once for S3. S3 gets the digest and refuses
        other content, so a file that changes in between cannot be stored under a wrong digest.

        Raises:
            NotRegularError: *file* is a link, a pipe or another special file.
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
        """Return the content of *key*, or None if the object does not exist."""
        with translated("read from the bucket"):
            response = self._call_or_none(self._client.get_object, key)
            content: bytes | None = None if response is None else response["Body"].read()
        return content

    def fetch(self, key: str, into: Path) -> bool:
        """Write the content of *key* to the file *into*; return False if the object does not exist.

        Raises:
            OSError: the file cannot be written. It does not exist then.
        """
        with translated("read from the bucket"):
            response = self._call_or_none(self._client.get_object, key)
            if response is None:
                return False
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(into, flags, 0o644), "wb") as file:
                    for block in response["Body"].iter_chunks(_BLOCK_BYTES):
                        file.write(block)
            except BaseException:
                into.unlink(missing_ok=True)  # nobody may take half a file for a whole one
                raise
            finally:
                response["Body"].close()
        return True

    def size_bytes(self, key: str) -> int | None:
        """Return the size of *key*'s content, or None if the object does not exist."""
        with translated("read from the bucket"):
            response = self._call_or_none(self._client.head_object, key)
        return None if response is None else int(response["ContentLength"])

    def url(self, key: str, file_name: str, media_type: str, valid_s: int) -> str:
        """Return a presigned URL that downloads *key* as *file_name* and never shows it as a page.

        Anyone may use it for *valid_s* seconds.
        """
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

    def upload_url(
        self, key: str, stored: Stored, media_type: str, tag: str, valid_s: int
    ) -> tuple[str, dict[str, str]]:
        """Return a presigned URL that stores *key* by PUT, and the headers to send with it.

        Anyone may use it for *valid_s* seconds. The length, the digest, the media type and the tag
        are signed, so S3 refuses any other content. `Content-Length` is not among the headers,
        because clients send it by themselves.
        """
        checksum = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
        url: str = self._client.generate_presigned_url(
            "put_object",
            Params={
                "Bucket": self._name,
                "Key": key,
                "ContentLength": stored.size_bytes,
                "ContentType": media_type,
                "ChecksumSHA256": checksum,
                **_tagged(tag),
            },
            ExpiresIn=valid_s,
        )
        headers = {"Content-Type": media_type, "x-amz-checksum-sha256": checksum}
        return url, headers | ({"x-amz-tagging": tag} if tag else {})

    def _call_or_none(self, call: Callable[..., Any], key: str) -> Any:  # noqa: ANN401 - boto3's own
        try:
            return call(Bucket=self._name, Key=key)
        except ClientError as error:
            if code(error) in _MISSING:
                return None
            raise


def _tagged(tag: str) -> dict[str, str]:
    """Return the argument for *tag*. An empty argument would need the permission to tag, too."""
    return {"Tagging": tag} if tag else {}


def _digest(body: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while block := body.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.digest()


def _attachment(file_name: str) -> str:
    """Return a Content-Disposition header (RFC 6266), with non-ASCII names encoded by RFC 5987."""
    plain = unicodedata.normalize("NFKD", file_name)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    header = f'attachment; filename="{_UNQUOTABLE.sub("_", plain)}"'
    if _UNQUOTABLE.search(file_name) is None:
        return header
    return f"{header}; filename*=UTF-8''{quote(file_name, safe='', errors='replace')}"
