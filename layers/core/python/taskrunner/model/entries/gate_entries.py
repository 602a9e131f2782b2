"""Entries about gates: that one waits for its approval, and what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.model.approval import Verdict
from taskrunner.model.entries import fields
from taskrunner.model.journal import Entry, Event, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.model.approval import Decision, GateOpening

_EVENTS: Final = {
    Verdict.APPROVED: Event.GATE_APPROVED,
    Verdict.REJECTED: Event.GATE_REJECTED,
    Verdict.EXPIRED: Event.GATE_EXPIRED,
}
_VERDICTS: Final = {event: verdict for verdict, event in _EVENTS.items()}


class GateOpened(NamedTuple):
    """A gate waits for an approval: its own, or the one that may override its policy.

    *message* is what its template gave; None for a message that is not one, which the plan has.
    """

    approval_id: str | None
    expires_at: str | None
    is_override: bool
    message: str | None = None


class DecisionRecorded(NamedTuple):
    """A decision on the approval that a gate waits for.

    *is_final* is false for an approval that counts, while more approvers are needed.
    *recorded_at* is when it was made, or when the gate opened if that was later.
    *approver_name* is what the registry calls *approver*.
    """

    verdict: Verdict
    is_final: bool
    approval_id: str | None
    approver: str | None
    actor: str | None
    summary: str | None
    recorded_at: str = ""
    approver_name: str | None = None


GateFact = GateOpened | DecisionRecorded


def gate_awaiting(opening: GateOpening, approval_id: str, *, is_override: bool) -> Entry:
    """The entry of a gate that begins to wait."""
    return Entry(
        id=f"{opening.step_path}#awaiting",
        occurred_at=opening.opened_at,
        event=Event.GATE_AWAITING,
        level=Level.WARN,
        step_path=opening.step_path,
        message=f"Awaiting approval: {approval_id}",
        metadata=fields.without_none(
            {
                "approvalId": approval_id,
                "expiresAt": opening.expires_at,
                "override": "true" if is_override else None,
                "message": opening.message,
            }
        ),
    )


def approval_recorded(
    step_path: str, approval_id: str, decision: Decision, occurred_at: str
) -> Entry:
    """The entry of an approval after which the gate still waits for more approvers."""
    return Entry(
        id=f"{step_path}#approval#{decision.approver}",
        occurred_at=occurred_at,
        event=Event.GATE_APPROVAL_RECORDED,
        step_path=step_path,
        message=f"Approval recorded: {approval_id}",
        metadata=_metadata(approval_id, decision),
    )


def gate_decided(
    step_path: str, approval_id: str, verdict: Verdict, decision: Decision, occurred_at: str
) -> Entry:
    """The entry of the *decision* by which a gate ends, with *verdict*."""
    return Entry(
        id=f"{step_path}#decided",
        occurred_at=occurred_at,
        event=_EVENTS[verdict],
        level=Level.INFO if verdict is Verdict.APPROVED else Level.ERROR,
        step_path=step_path,
        message=f"{verdict.value.capitalize()}: {approval_id}",
        metadata=_metadata(approval_id, decision),
    )


def _metadata(approval_id: str, decision: Decision) -> dict[str, str]:
    """The people of a decision: the actor is beside the approver, and never instead."""
    return fields.without_none(
        {
            "approvalId": approval_id,
            "approver": decision.approver,
            "approverName": decision.approver_name,
            "actorId": decision.actor,
            "summary": decision.summary,
        }
    )


def _read_awaiting(entry: Entry) -> GateOpened:
    return GateOpened(
        approval_id=entry.metadata.get("approvalId"),
        expires_at=entry.metadata.get("expiresAt"),
        is_override=entry.metadata.get("override") == "true",
        message=entry.metadata.get("message"),
    )


def _read_decided(entry: Entry) -> DecisionRecorded:
    return DecisionRecorded(
        verdict=_VERDICTS.get(entry.event, Verdict.APPROVED),
        is_final=entry.event in _VERDICTS,
        approval_id=entry.metadata.get("approvalId"),
        approver=entry.metadata.get("approver"),
        actor=entry.metadata.get("actorId"),
        summary=entry.metadata.get("summary"),
        recorded_at=entry.occurred_at,
        approver_name=entry.metadata.get("approverName"),
    )


READERS: Final[Mapping[Event, Callable[[Entry], GateFact]]] = {
    Event.GATE_AWAITING: _read_awaiting,
    Event.GATE_APPROVAL_RECORDED: _read_decided,
    **dict.fromkeys(_VERDICTS, _read_decided),
}
