"""Artifacts: what a run captured, as the API lists it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from taskrunner.values import dataclass

# The artifact that holds a run's evidence. Packs must not give an output this name.
EVIDENCE_BUNDLE: Final = "evidence-bundle"


class ArtifactType(StrEnum):
    """A stored file, or the value of an expression."""

    FILE = "file"
    OBJECT = "object"


class ArtifactStatus(StrEnum):
    """The state of an artifact: captured or not."""

    PENDING = "pending"
    CAPTURED = "captured"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One artifact of a run; *sha256* is 64 hex digits, *expression_json* JSON text.

    *step_path* is that of the step that wrote it, or None if the end of the run added it. Two
    artifacts of one step have different *name*s. Those of several steps may share one, and are
    listed under `artifact_names.distinct_names`.
    """

    name: str
    type: ArtifactType
    status: ArtifactStatus
    step_path: str | None = None
    source_path: str | None = None
    stored_path: str | None = None
    captured_at: str | None = None
    size_bytes: int | None = None
    media_type: str | None = None
    sha256: str | None = None
    notes: str | None = None
    expression_json: str | None = None
