"""The journal of a run: an append-only, totally ordered list that gives its steps' states.

An entry's id is derived from what the entry says and is never random. A repeated call writes the
same id again. The journal may then hold the entry twice, and readers ignore the second one.
Metadata values are text, as in the API's log, so that the log shows exactly what states are
computed from.

Only `model/entries` builds entries and interprets their metadata.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import JsonMapping, JsonObject


class Event(StrEnum):
    """An event of a run: the API's `eventType`."""

    RUN_CREATED = "run.created"
    RUN_STARTED = "run.started"
    RUN_COMPLETED = "run.completed"
    RUN_FAILED = "run.failed"
    RUN_CANCEL_REQUESTED = "run.cancel-requested"
    RUN_CANCELLED = "run.cancelled"
    RUN_SCHEDULE_FAILED = "run.schedule-failed"
    RUN_SLO_BREACHED = "run.slo-breached"
    RUN_STEPS_FAILED = "run.steps-failed"
    RUN_STEPS_ENDED = "run.steps-ended"
    STEP_OFFERED = "step.offered"
    STEP_STARTED = "step.started"
    STEP_OUTPUT = "step.output"
    STEP_DEFERRED = "step.deferred"
    STEP_WORKER_LOST = "step.worker-lost"
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
    """The importance of an entry to an operator."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The record of one event.

    *occurred_at* is by the writer's clock: it is for people, and does not order entries.
    *step_path* is None in an entry about the run.
    """

    id: str
    occurred_at: str
    event: Event
    message: str
    level: Level = Level.INFO
    step_path: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Position(NamedTuple):
    """The place of an entry in its journal. Entries are in the order of their positions."""

    chunk: int
    place: int


class PlacedEntry(NamedTuple):
    """An entry and its position."""

    position: Position
    entry: Entry


def to_document(entry: Entry) -> JsonObject:
    """Return the entry as the JSON that is stored."""
    document: JsonObject = {
        "id": entry.id,
        "at": entry.occurred_at,
        "event": entry.event.value,
        "message": entry.message,
        "level": entry.level.value,
    }
    if entry.step_path is not None:
        document["step"] = entry.step_path
    if entry.metadata:
        document["metadata"] = dict(entry.metadata)
    return document


def from_document(document: JsonMapping) -> Entry:
    """Return the entry that `to_document` wrote."""
    return Entry(
        id=document["id"],
        occurred_at=document["at"],
        event=Event(document["event"]),
        message=document["message"],
        level=Level(document["level"]),
        step_path=document.get("step"),
        metadata=document.get("metadata", {}),
    )
