"""Artifacts: their items in the table, their files in the bucket.

An item knows the attempt that wrote it, and counts for as long as that is the latest attempt of its
step: what a retry does not write again is gone with the record of the retry, in the same write. Its
file is left to the bucket's lifecycle, since no way leads to it any more: deleting it could hit the
same file that another step is storing at this moment.

A file's key has its digest, because a file is stored before it is recorded, and not all are: of two
calls that make the same attempt one is refused, and so is a step that ends after its run. What they
store must not come into the place of what is recorded under that name, and signed.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.table import Table, run_key
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.retention import Retention
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run, StepOutcome

_URL_VALID_S: Final = 300
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ArtifactItems:
    """How an artifact is an item of its run's partition."""

    def item(self, run: Run, artifact: Artifact, writer: StepOutcome | None) -> JsonObject:
        """The item, without its expiry; *writer* is None for what the end of the run adds."""
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
            "step": None if writer is None else writer.path,
            "attempt": None if writer is None else writer.attempt,
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

    def __init__(
        self, table: Table, bucket: Bucket, items: ArtifactItems, retention: Retention
    ) -> None:
        """Hold both stores."""
        self._table = table
        self._bucket = bucket
        self._items = items
        self._retention = retention

    def list(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        """See the port."""
        pk = run_key(tenant, run_id)
        items = self._table.query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": pk, ":prefix": "F#"},
        )
        return self._that_count(pk, list(items))

    def _that_count(self, pk: str, items: Sequence[JsonObject]) -> Sequence[Artifact]:
        """Those that the latest attempts of their steps have written."""
        steps = sorted({item["step"] for item in items if "step" in item})
        outcomes = self._table.batch([(pk, f"S#{path}") for path in steps])
        latest = {outcome["path"]: outcome["attempt"] for outcome in outcomes}
        return [
            self._items.artifact(item)
            for item in items
            if item.get("attempt") == latest.get(item.get("step"))
        ]

    def store(self, run: Run, artifact: Artifact, file: Path) -> Artifact:
        """See the port."""
        media_type = artifact.media_type or "application/octet-stream"
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

    def download_url(self, tenant: str, artifact: Artifact) -> str:
        """See the port."""
        source = artifact.source_path or artifact.stored_path or artifact.name
        return self._bucket.url(
            f"{tenant}/{artifact.stored_path}",
            source.rsplit("/", 1)[-1],
            artifact.media_type or "application/octet-stream",
            _URL_VALID_S,
        )

    def contents(self, tenant: str, run_id: str) -> RunContents:
        """See the port."""
        pk = run_key(tenant, run_id)

        def stored_path(name: str) -> str | None:
            item = self._table.get(pk, f"F#{name}")
            found: Iterable[Artifact] = self._that_count(pk, [item]) if item else ()
            return next((one.stored_path for one in found), None)

        return RunContents(self._bucket, tenant, stored_path)


def _stored_path(run: Run, artifact: Artifact, sha256: str) -> str:
    return f"runs/{run.run_id}/artifacts/{sha256}/{artifact.name}"


class RunContents:
    """`executors.work.Artifacts`: the files of one run, for its own executors."""

    def __init__(
        self, bucket: Bucket, tenant: str, stored_path: Callable[[str], str | None]
    ) -> None:
        """*stored_path* knows the artifacts that the run has recorded, by name."""
        self._bucket = bucket
        self._tenant = tenant
        self._stored_path = stored_path

    def fetch(self, name: str, into: Path) -> bool:
        """See the port.

        Raises:
            ExecutorFailure: there is no room for it on the step's disk.
        """
        path = self._stored_path(name)
        if path is None:
            return False
        try:
            return self._bucket.fetch(f"{self._tenant}/{path}", into)
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
            from taskrunner.executors.work import ExecutorFailure  # noqa: PLC0415 - pydantic's cost

            message = f"the artifact '{name}' does not fit on the step's disk any more"
            raise ExecutorFailure(message) from error
