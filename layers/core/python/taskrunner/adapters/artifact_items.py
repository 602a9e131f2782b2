"""An artifact as an item of the table.

The item names the attempt that wrote it, and counts while that is the latest attempt of its step.
An artifact that a retry does not write again is therefore gone once the retry is recorded, in the
same write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.adapters.table_layout import artifact_key, outcome_key, partition_of
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.adapters.table import Table
    from taskrunner.adapters.table_requests import Item
    from taskrunner.model.run import Run, StepOutcome


def artifact_item(
    run: Run, artifact: Artifact, writer: StepOutcome | None, expires_at: int
) -> Item:
    """Return the item of *artifact*; *writer* is None if the end of the run adds it."""
    step_path = None if writer is None else writer.path
    return {
        **artifact_key(partition_of(run), artifact.name, step_path)._asdict(),
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
        "step": step_path,
        "attempt": None if writer is None else writer.attempt,
        "expires_at": expires_at,
    }


def artifact_from_item(item: Item) -> Artifact:
    """Return the artifact that *item* stores."""
    return Artifact(
        name=item["name"],
        type=ArtifactType(item["type"]),
        status=ArtifactStatus(item["status"]),
        step_path=item.get("step"),
        source_path=item.get("source_path"),
        stored_path=item.get("stored_path"),
        captured_at=item.get("captured_at"),
        size_bytes=item.get("size_bytes"),
        media_type=item.get("media_type"),
        sha256=item.get("sha256"),
        notes=item.get("notes"),
        expression_json=item.get("expression_json"),
    )


def current_artifacts(table: Table, partition: str, items: Sequence[Item]) -> list[Artifact]:
    """Return the artifacts of a run that its steps' latest attempts wrote, or the run's end."""
    steps = sorted({item["step"] for item in items if "step" in item})
    outcomes = table.batch([outcome_key(partition, path) for path in steps])
    latest_attempts = {outcome["path"]: outcome["attempt"] for outcome in outcomes}
    return [
        artifact_from_item(item)
        for item in items
        if item.get("attempt") == latest_attempts.get(item.get("step"))
    ]
