"""Artifacts: what a run captured, as it is listed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# The run's own: no pack may name an output so.
EVIDENCE_BUNDLE: Final = "evidence-bundle"


class ArtifactType(StrEnum):
    """A file in the store, or the value of an expression."""

    FILE = "file"
    OBJECT = "object"


class ArtifactStatus(StrEnum):
    """Whether it is there."""

    PENDING = "pending"
    CAPTURED = "captured"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One artifact of a run; *sha256* is 64 hex digits, *expression_json* JSON text."""

    name: str
    type: ArtifactType
    status: ArtifactStatus
    source_path: str | None = None
    stored_path: str | None = None
    captured_at: str | None = None
    size_bytes: int | None = None
    media_type: str | None = None
    sha256: str | None = None
    notes: str | None = None
    expression_json: str | None = None
