"""The journal of a run: append-only, totally ordered, the only place where a step's state is kept.

An entry's id is derived from what it says, never random: whoever repeats a call writes the same id,
and the journal keeps one. Metadata is text by text, as the API's log has it, so that what is folded
is exactly what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import JsonMapping, JsonObject


class Event(StrEnum):
    """What can happen to a run; the API's `eventType`."""

    RUN_CREATED = "run.created"
    RUN_STARTED = "run.started"
    RUN_COMPLETED = "run.completed"
    RUN_FAILED = "run.failed"
    RUN_CANCEL_REQUESTED = "run.cancel-requested"
    RUN_CANCELLED = "run.cancelled"
    RUN_SCHEDULE_FAILED = "run.schedule-failed"
    STEP_STARTED = "step.started"
    STEP_COMPLETED = "step.completed"
    STEP_FAILED = "step.failed"
    STEP_SKIPPED = "step.skipped"
    FLOW_DECIDED = "flow.decided"
    GATE_AWAITING = "gate.awaiting"
    GATE_APPROVAL_RECORDED = "gate.approval-recorded"
    GATE_APPROVED = "gate.approved"
    GATE_REJECTED = "gate.rejected"
    GATE_EXPIRED = "gate.expired"


class Level(StrEnum):
    """How much an entry matters to an operator."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened. *at* is by the writer's clock: for people, not for order."""

    id: str
    at: str
    event: Event
    message: str
    level: Level = Level.INFO
    step: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Position(NamedTuple):
    """Where an entry stands: the order of the journal is the order of its positions."""

    chunk: int
    place: int


class Placed(NamedTuple):
    """An entry and where it stands."""

    position: Position
    entry: Entry


def to_document(entry: Entry) -> JsonObject:
    """The entry as JSON, for storing."""
    document: JsonObject = {
        "id": entry.id,
        "at": entry.at,
        "event": entry.event.value,
        "message": entry.message,
        "level": entry.level.value,
    }
    if entry.step is not None:
        document["step"] = entry.step
    if entry.metadata:
        document["metadata"] = dict(entry.metadata)
    return document


def from_document(document: JsonMapping) -> Entry:
    """Read what `to_document` wrote."""
    return Entry(
        id=document["id"],
        at=document["at"],
        event=Event(document["event"]),
        message=document["message"],
        level=Level(document["level"]),
        step=document.get("step"),
        metadata=document.get("metadata", {}),
    )
