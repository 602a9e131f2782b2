"""The events that a deployment publishes: the transitions of its runs and gates.

Each follows from one entry of a run's journal, so an event that is sent twice has the same id both
times. An event has no outputs, messages or texts of people; docs/events.md has the schema.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from taskrunner.model import timestamp
from taskrunner.model.approval import Verdict
from taskrunner.model.entries import reading
from taskrunner.model.entries.gate_entries import DecisionRecorded, GateOpened
from taskrunner.model.entries.job_entries import JobOffered, WorkerLost
from taskrunner.model.entries.run_entries import (
    CancelRequested,
    RunCreated,
    RunEnded,
    RunStarted,
    SloBreached,
)
from taskrunner.model.run import RunStatus
from taskrunner.model.state import tail
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.entries.reading import Fact
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run

SOURCE: Final = "taskrunner"
VERSION: Final = "1"


class EventName(StrEnum):
    """The names of events: EventBridge's `detail-type`."""

    RUN_CREATED = "run.created"
    RUN_STARTED = "run.started"
    RUN_WAITING = "run.waiting"
    RUN_RESUMED = "run.resumed"
    RUN_SUCCEEDED = "run.succeeded"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    STEP_OFFERED = "step.offered"
    STEP_WORKER_LOST = "step.worker-lost"
    GATE_OPENED = "gate.opened"
    GATE_APPROVED = "gate.approved"
    GATE_REJECTED = "gate.rejected"
    GATE_EXPIRED = "gate.expired"
    SLO_BREACHED = "slo.breached"


_OF_VERDICT: Final = {
    Verdict.APPROVED: EventName.GATE_APPROVED,
    Verdict.REJECTED: EventName.GATE_REJECTED,
    Verdict.EXPIRED: EventName.GATE_EXPIRED,
}
_OF_OUTCOME: Final = {
    RunStatus.SUCCEEDED: EventName.RUN_SUCCEEDED,
    RunStatus.FAILED: EventName.RUN_FAILED,
    RunStatus.CANCELLED: EventName.RUN_CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleEvent:
    """An event: its name, when it occurred (RFC 3339 text), and what it says."""

    name: EventName
    occurred_at: str
    detail: JsonObject


def events_of(run: Run, status: RunStatus, entries: Iterable[Entry]) -> Iterator[LifecycleEvent]:
    """Yield the events of *entries*, which follow in the journal of *run* when it has *status*.

    That is the status of lists, which looks at the last entry alone. So a run with lanes is waiting
    once a gate of any lane opens, and resumed by the next entry of any lane.
    """
    for entry in entries:
        fact = reading.read(entry)
        next_status = tail.after(status, entry)
        yield from _events(run, entry, fact)
        name = _change(status, next_status, fact)
        if name is not None:
            yield _event(run, entry, name)
        status = next_status


def _change(status: RunStatus, next_status: RunStatus, fact: Fact) -> EventName | None:
    """Return the event of a run that begins or ends to wait; a run that ends does neither."""
    if next_status is status or isinstance(fact, CancelRequested | RunEnded):
        return None
    if next_status is RunStatus.WAITING:
        return EventName.RUN_WAITING
    return EventName.RUN_RESUMED if status is RunStatus.WAITING else None


def _events(run: Run, entry: Entry, fact: Fact) -> Iterator[LifecycleEvent]:
    match fact:
        case RunCreated():
            yield _event(run, entry, EventName.RUN_CREATED)
        case RunStarted():
            yield _event(run, entry, EventName.RUN_STARTED)
        case RunEnded(status, ended_at):
            taken_s = seconds(run.created_at, ended_at)
            yield _event(run, entry, _OF_OUTCOME[status], durationSeconds=taken_s)
        case GateOpened(approval_id=approval_id, expires_at=expires_at, is_override=is_override):
            yield _event(
                run,
                entry,
                EventName.GATE_OPENED,
                stepId=entry.step_path,
                approvalId=approval_id,
                expiresAt=expires_at,
                override=is_override,
            )
        case DecisionRecorded(verdict, is_final=True, approval_id=approval_id, approver=approver):
            yield _event(
                run,
                entry,
                _OF_VERDICT[verdict],
                stepId=entry.step_path,
                approvalId=approval_id,
                approver=approver,
            )
        case JobOffered(attempt, pool):
            yield _event(
                run,
                entry,
                EventName.STEP_OFFERED,
                stepId=entry.step_path,
                attempt=attempt,
                pool=pool,
            )
        case WorkerLost(attempt, pool, worker, _):
            yield _event(
                run,
                entry,
                EventName.STEP_WORKER_LOST,
                stepId=entry.step_path,
                attempt=attempt,
                pool=pool,
                worker=worker,
            )
        case SloBreached(objective, limit_s):
            yield _event(
                run,
                entry,
                EventName.SLO_BREACHED,
                stepId=entry.step_path,
                objective=None if objective is None else objective.value,
                limitSeconds=limit_s,
            )
        case _:
            pass


def _event(run: Run, entry: Entry, name: EventName, **more: object) -> LifecycleEvent:
    identity = f"{run.tenant}\0{run.run_id}\0{run.created_at}\0{entry.id}\0{name}"
    detail: JsonObject = {
        "version": VERSION,
        "id": hashlib.sha256(identity.encode()).hexdigest()[:32],
        "time": entry.occurred_at,
        "tenant": run.tenant,
        "runId": run.run_id,
        "pack": {"name": run.pack_name, "version": run.pack_version},
        "planHash": run.plan_hash,
        "createdAt": run.created_at,
        "createdBy": run.created_by,
        **{key: value for key, value in more.items() if value is not None},
    }
    return LifecycleEvent(name=name, occurred_at=entry.occurred_at, detail=detail)


def seconds(start: str, end: str) -> float:
    """Return the seconds from *start* to *end*, and 0 where the clocks of two writers disagree."""
    passed = timestamp.from_text(end) - timestamp.from_text(start)
    return max(0.0, passed.total_seconds())
