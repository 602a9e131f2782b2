"""Artifacts: their items in the table, their files in the bucket."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.table import Table, run_key
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskrunner.adapters.bucket import Bucket
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run

_URL_VALID_S: Final = 300
_READ_BYTES: Final = 1024 * 1024


class ArtifactItems:
    """How an artifact is an item of its run's partition."""

    def item(self, run: Run, artifact: Artifact) -> JsonObject:
        """The item, without its expiry."""
        return {
            "pk": run_key(run.tenant, run.run_id),
            "sk": f"F#{artifact.name}",
            "name": artifact.name,
            "type": artifact.type.value,
            "status": artifact.status.value,
            "source_path": artifact.source_path,
            "stored_path": artifact.stored_path,
            "captured_at": artifact.captured_at,
            "size_bytes": artifact.size_bytes,
            "media_type": artifact.media_type,
            "sha256": artifact.sha256,
            "notes": artifact.notes,
            "expression_json": artifact.expression_json,
        }

    def artifact(self, item: JsonObject) -> Artifact:
        """The reverse."""
        return Artifact(
            name=item["name"],
            type=ArtifactType(item["type"]),
            status=ArtifactStatus(item["status"]),
            source_path=item.get("source_path"),
            stored_path=item.get("stored_path"),
            captured_at=item.get("captured_at"),
            size_bytes=item.get("size_bytes"),
            media_type=item.get("media_type"),
            sha256=item.get("sha256"),
            notes=item.get("notes"),
            expression_json=item.get("expression_json"),
        )


class StoredArtifacts:
    """`usecases.ports.Artifacts` over table and bucket."""

    def __init__(self, table: Table, bucket: Bucket, items: ArtifactItems) -> None:
        """Hold both stores."""
        self._table = table
        self._bucket = bucket
        self._items = items

    def list(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        """See the port."""
        items = self._table.query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": run_key(tenant, run_id), ":prefix": "F#"},
        )
        return [self._items.artifact(item) for item in items]

    def store(self, tenant: str, run_id: str, artifact: Artifact, file: Path) -> Artifact:
        """See the port."""
        stored_path = f"runs/{run_id}/artifacts/{artifact.name}"
        media_type = artifact.media_type or "application/octet-stream"
        self._bucket.put_file(f"{tenant}/{stored_path}", file, media_type)
        return replace(
            artifact,
            stored_path=stored_path,
            media_type=media_type,
            size_bytes=file.stat().st_size,
            sha256=_digest(file),
        )

    def download_url(self, tenant: str, artifact: Artifact) -> str:
        """See the port."""
        source = artifact.source_path or artifact.stored_path or artifact.name
        return self._bucket.url(
            f"{tenant}/{artifact.stored_path}",
            source.rsplit("/", 1)[-1].replace('"', ""),
            artifact.media_type or "application/octet-stream",
            _URL_VALID_S,
        )

    def contents(self, tenant: str, run_id: str) -> RunContents:
        """See the port."""
        return RunContents(self._bucket, f"{tenant}/runs/{run_id}/artifacts/")


class RunContents:
    """`executors.work.Artifacts`: the files of one run, for its own executors."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        """Read under *prefix* alone."""
        self._bucket = bucket
        self._prefix = prefix

    def read(self, name: str) -> bytes | None:
        """See the port."""
        return self._bucket.get(self._prefix + name)


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
