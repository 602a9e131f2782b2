"""The port Artifacts: a list in the table, files in the bucket.

The file of an artifact that a retry did not write again stays until the bucket's lifecycle removes
it. Nothing refers to it any more, and deleting it could hit the same file that another step stores
at this moment.

The key of a file contains its digest, because a file is stored before it is recorded, and some are
never recorded: of two calls that make the same attempt one is refused, and so is a step that ends
after its run. Their files must not replace a file that is recorded under that name, and signed.
Several steps may write one name.
"""

from __future__ import annotations

import errno
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.artifact_items import current_artifacts
from taskrunner.adapters.bucket import Stored
from taskrunner.adapters.table_layout import ARTIFACTS, Key, run_partition
from taskrunner.adapters.table_requests import by_prefix
from taskrunner.ports.artifacts import DOWNLOAD_S, UPLOAD_S, Upload

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.table import Table
    from taskrunner.model.artifact import Artifact
    from taskrunner.model.run import Run

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DEFAULT_MEDIA_TYPE: Final = "application/octet-stream"
_VALUE_MEDIA_TYPE: Final = "application/json"


class StoredArtifacts:
    """`ports.Artifacts` over table and bucket."""

    def __init__(self, table: Table, bucket: Bucket, retention: Retention) -> None:
        """Tag stored files by *retention*."""
        self._table = table
        self._bucket = bucket
        self._retention = retention

    def list(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        """See the port."""
        partition = run_partition(tenant, run_id)
        items = list(self._table.query(by_prefix(Key(partition, ARTIFACTS))))
        return current_artifacts(self._table, partition, items)

    def store(self, run: Run, artifact: Artifact, file: Path) -> Artifact:
        """See the port."""
        media_type = artifact.media_type or _DEFAULT_MEDIA_TYPE
        size_bytes, sha256 = self._bucket.put_file(
            lambda sha256: f"{run.tenant}/{_stored_path(run, artifact, sha256)}",
            file,
            media_type,
            self._retention.tag(run.longest_s),
        )
        return replace(
            artifact,
            stored_path=_stored_path(run, artifact, sha256),
            media_type=media_type,
            size_bytes=size_bytes,
            sha256=sha256,
        )

    def store_value(self, run: Run, artifact: Artifact, text: str) -> Artifact:
        """See the port."""
        content = text.encode()
        sha256 = hashlib.sha256(content).hexdigest()
        stored_path = _stored_path(run, artifact, sha256)
        tag = self._retention.tag(run.longest_s)
        self._bucket.put(f"{run.tenant}/{stored_path}", content, _VALUE_MEDIA_TYPE, tag)
        return replace(
            artifact,
            stored_path=stored_path,
            media_type=_VALUE_MEDIA_TYPE,
            size_bytes=len(content),
            sha256=sha256,
            expression_json=text,
        )

    def download_url(self, tenant: str, artifact: Artifact, valid_s: int = DOWNLOAD_S) -> str:
        """See the port."""
        return self._bucket.url(
            f"{tenant}/{artifact.stored_path}",
            _file_name(artifact),
            artifact.media_type or _DEFAULT_MEDIA_TYPE,
            valid_s,
        )

    def upload_url(self, run: Run, artifact: Artifact) -> Upload:
        """See the port. S3 checks the digest, so the key cannot have other content."""
        size_bytes, sha256 = _size_and_digest(artifact)
        url, headers = self._bucket.upload_url(
            f"{run.tenant}/{_stored_path(run, artifact, sha256)}",
            Stored(size_bytes, sha256),
            artifact.media_type or _DEFAULT_MEDIA_TYPE,
            self._retention.tag(run.longest_s),
            UPLOAD_S,
        )
        return Upload(url, headers)

    def uploaded(self, run: Run, artifact: Artifact) -> Artifact | None:
        """See the port. The key contains the digest, so only the size needs a look."""
        size_bytes, sha256 = _size_and_digest(artifact)
        stored_path = _stored_path(run, artifact, sha256)
        if self._bucket.size_bytes(f"{run.tenant}/{stored_path}") != size_bytes:
            return None
        media_type = artifact.media_type or _DEFAULT_MEDIA_TYPE
        return replace(artifact, stored_path=stored_path, media_type=media_type)

    def content(self, tenant: str, artifact: Artifact) -> bytes | None:
        """See the port."""
        return self._bucket.get(f"{tenant}/{artifact.stored_path}")

    def fetch(self, tenant: str, artifact: Artifact, into: Path) -> bool:
        """See the port."""
        try:
            return self._bucket.fetch(f"{tenant}/{artifact.stored_path}", into)
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
            # Imported here, because it imports pydantic.
            from taskrunner.executors.work import ExecutorFailure  # noqa: PLC0415

            message = f"the artifact '{artifact.name}' does not fit on the step's disk any more"
            raise ExecutorFailure(message) from error


def _size_and_digest(artifact: Artifact) -> tuple[int, str]:
    """Return the size and the digest of a file that has both before it is stored."""
    if artifact.size_bytes is None or artifact.sha256 is None:
        message = f"the artifact {artifact.name} has no size or no digest"
        raise ValueError(message)
    return artifact.size_bytes, artifact.sha256


def _stored_path(run: Run, artifact: Artifact, sha256: str) -> str:
    return f"runs/{run.run_id}/artifacts/{sha256}/{artifact.name}"


def _file_name(artifact: Artifact) -> str:
    """Return the name that a download is saved under."""
    source = artifact.source_path or artifact.stored_path or artifact.name
    name = source.rsplit("/", 1)[-1]
    is_value = artifact.media_type == _VALUE_MEDIA_TYPE and artifact.source_path is None
    return f"{name}.json" if is_value else name
