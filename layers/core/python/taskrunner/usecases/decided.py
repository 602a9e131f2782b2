"""What a settled approval means for the gates that wait for it, as journal entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.model.approval import ApprovalRecord, Verdict
from taskrunner.model.journal import Entry, Event, Level

if TYPE_CHECKING:
    from taskrunner.model.approval import Decision

_EVENTS: Final = {
    Verdict.APPROVED: (Event.GATE_APPROVED, Level.INFO, "Approved"),
    Verdict.REJECTED: (Event.GATE_REJECTED, Level.ERROR, "Rejected"),
    Verdict.EXPIRED: (Event.GATE_EXPIRED, Level.ERROR, "Expired"),
}


def gate_entries(record: ApprovalRecord, at: str) -> list[Entry]:
    """One entry for each gate that waits for *record*, which is settled by its last decision."""
    assert record.verdict is not None  # noqa: S101 - callers settle first
    event, level, word = _EVENTS[record.verdict]
    last = record.decisions[-1]
    return [
        Entry(
            id=f"{waiting.path}#decided",
            at=at,
            event=event,
            level=level,
            step=waiting.path,
            message=f"{word}: {record.approval_id}",
            metadata=decision_metadata(record.approval_id, last),
        )
        for waiting in record.waiting
    ]


def decision_metadata(approval_id: str, decision: Decision) -> dict[str, str]:
    """Who decided what, for the log; the actor is beside the approver, never instead."""
    said = {
        "approvalId": approval_id,
        "approver": decision.by,
        "actorId": decision.actor,
        "summary": decision.summary,
    }
    return {key: value for key, value in said.items() if value is not None}
