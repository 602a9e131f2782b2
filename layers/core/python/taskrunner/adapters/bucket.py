"""The one bucket: objects by key. Everything of a tenant is under its own prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from taskrunner.adapters.aws_errors import code, translated

if TYPE_CHECKING:
    from pathlib import Path

# The bucket's lifecycle removes what carries this tag; the tenant comes first in a key, so that no
# prefix could tell what belongs to a run from what an environment still needs.
OF_A_RUN = "retention=run"
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


class Bucket:
    """The bucket by its name; *client* is boto3's for S3."""

    def __init__(self, client: Any, name: str) -> None:  # noqa: ANN401 - boto3 has no static types
        """Hold the client; nothing is called yet."""
        self._client = client
        self._name = name

    def put(self, key: str, content: bytes, media_type: str, *, keep: bool = False) -> None:
        """Store *content* under *key*, replacing what was there; *keep* it beyond retention."""
        with translated("write to the bucket"):
            self._client.put_object(
                Bucket=self._name,
                Key=key,
                Body=content,
                ContentType=media_type,
                Tagging="" if keep else OF_A_RUN,
            )

    def put_file(self, key: str, file: Path, media_type: str) -> None:
        """Store a file's content, streamed; its type is what a download will say."""
        with translated("write to the bucket"), file.open("rb") as body:
            self._client.put_object(
                Bucket=self._name, Key=key, Body=body, ContentType=media_type, Tagging=OF_A_RUN
            )

    def get(self, key: str) -> bytes | None:
        """The content of *key*, or None."""
        try:
            with translated("read from the bucket"):
                content: bytes = self._client.get_object(Bucket=self._name, Key=key)["Body"].read()
        except ClientError as error:
            if code(error) in _MISSING:
                return None
            raise
        return content

    def url(self, key: str, file_name: str, media_type: str, valid_s: int) -> str:
        """A presigned URL to download *key* as *file_name*."""
        url: str = self._client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._name,
                "Key": key,
                "ResponseContentDisposition": f'attachment; filename="{file_name}"',
                "ResponseContentType": media_type,
            },
            ExpiresIn=valid_s,
        )
        return url
