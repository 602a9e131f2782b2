"""Let a gate wait for its decision, or expire one that waited in vain."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from taskrunner.errors import ApprovalExpiredError, ApprovalRejectedError, TryAgainError
from taskrunner.model import moment, notification, plan_document
from taskrunner.model.approval import ApprovalRecord, Verdict, Waiting, expire
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.plan import ApprovalGate, PolicyGate
from taskrunner.model.run import Reason
from taskrunner.usecases.decided import gate_entries
from taskrunner.usecases.live import check_live, run_started

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Approval
    from taskrunner.model.run import StepReference
    from taskrunner.usecases.ports import Head
    from taskrunner.usecases.world import World

Gate: TypeAlias = ApprovalGate | PolicyGate

# How often a write is tried anew when others decide at the same moment.
_TRIES: Final = 5


def open_gate(reference: StepReference, token: str, world: World) -> JsonObject:
    """Record that the gate waits, under *token*, and tell approvers; one that is decided wakes.

    Opening twice opens once, and the newer token holds: the machine repeats a call whose answer
    it did not see, with a new token. Approvers are told once more, unless it is recorded that they
    have been. A gate that they could not be told of waits all the same.

    Raises:
        ConflictError: the run has ended meanwhile.
        TryAgainError: others decided at the same moment, again and again.
    """
    own = reference.path
    for _ in range(_TRIES):
        head, gate, approval, record = _read(reference, world)
        now = world.clock.now()
        waiting = Waiting(
            path=own,
            opened_at=moment.to_text(now),
            expires_at=moment.to_text(now + timedelta(seconds=approval.expires_after_s)),
        )
        others = tuple(one for one in record.waiting if one.path != own)
        opened = replace(record, waiting=(*others, waiting))
        entries = run_started(head, waiting.opened_at)
        is_new = len(others) == len(record.waiting)
        if is_new:
            # Else it was opened before, which is in the journal, as is a decision since.
            entries.append(_awaiting(gate, waiting))
            if record.verdict is not None:
                entries += gate_entries(replace(opened, waiting=(waiting,)), waiting.opened_at)
        summary = _summary(gate, waiting, approval, head)
        if world.approvals.open(head, opened, waiting, token, entries, summary=summary):
            if record.verdict is not None:
                world.approvals.resume(reference.tenant, reference.run_id, opened)
            elif is_new or not world.approvals.is_notified(head.run, own):
                _notify(head, gate, approval, summary, world)
            return {"status": "open" if record.verdict is None else record.verdict.value}
    raise TryAgainError(f"the gate {own} is being decided by others")


def _read(reference: StepReference, world: World) -> tuple[Head, Gate, Approval, ApprovalRecord]:
    head = world.runs.head(reference.tenant, reference.run_id)
    check_live(head.run)
    document = world.plans.get(reference.tenant, head.run.plan_hash)
    plan = plan_document.from_document(document)
    gate = plan.step(reference.step_id)
    assert isinstance(gate, ApprovalGate | PolicyGate)  # noqa: S101 - nothing else is wired here
    approval = plan.approval(_approval_id(gate))
    record = world.approvals.get(reference.tenant, reference.run_id, approval.id)
    return head, gate, approval, record


def _approval_id(gate: Gate) -> str:
    """The approval that *gate* waits for: its own, or the one that overrides its policy."""
    return gate.approval_id if isinstance(gate, ApprovalGate) else gate.override or ""


def _awaiting(gate: Gate, waiting: Waiting) -> Entry:
    approval_id = _approval_id(gate)
    metadata = {"approvalId": approval_id, "expiresAt": waiting.expires_at}
    if isinstance(gate, PolicyGate):
        metadata["override"] = "true"
    return Entry(
        id=f"{waiting.path}#awaiting",
        at=waiting.opened_at,
        event=Event.GATE_AWAITING,
        level=Level.WARN,
        step=waiting.path,
        message=f"Awaiting approval: {approval_id}",
        metadata=metadata,
    )


def _summary(gate: Gate, waiting: Waiting, approval: Approval, head: Head) -> JsonObject:
    summary: JsonObject = {
        "runId": head.run.run_id,
        "approvalId": approval.id,
        "stepId": waiting.path,
        "grants": list(approval.grants),
        "openedAt": waiting.opened_at,
        "expiresAt": waiting.expires_at,
        "planHash": head.run.plan_hash,
        "pack": {"name": head.run.pack_name, "version": head.run.pack_version},
        "requestedBy": head.run.created_by,
    }
    message = gate.message if isinstance(gate, ApprovalGate) else approval.message
    return summary if message is None else summary | {"message": message}


def _notify(head: Head, gate: Gate, approval: Approval, summary: JsonObject, world: World) -> None:
    """Tell approvers, and then record that they have been told.

    A crash between the two tells them again, under the same id; the other way round it would tell
    nobody. A record that cannot be made now is done without: the gate is open, and may stay so.
    """
    is_override = isinstance(gate, PolicyGate)
    kind = Reason.AWAITING_OVERRIDE if is_override else Reason.AWAITING_APPROVAL
    told = notification.awaiting(head.run, summary, kind, min_approvals=approval.min_approvals)
    if world.notifications.publish(told):
        with suppress(TryAgainError):
            world.approvals.record_notified(head.run, summary["stepId"])


def expire_gate(reference: StepReference, world: World) -> JsonObject:
    """Decide for the clock: the gate has waited as long as its approval allows.

    A decision that was recorded before this one stands, even when its wake-up came too late for
    the token: an approved gate then lets the run go on from here.

    Raises:
        ApprovalExpiredError: nobody had decided; the gate has failed.
        ApprovalRejectedError: it had been rejected.
        ConflictError: the run has ended meanwhile.
    """
    for _ in range(_TRIES):
        head, _, _, record = _read(reference, world)
        if record.verdict is None:
            at = moment.to_text(world.clock.now())
            record = _expired(head, record, reference.path, at, world)
        if record.verdict is not None and any(w.path != reference.path for w in record.waiting):
            # Other gates wait for the same approval, and their own time is not over yet.
            world.approvals.resume(reference.tenant, reference.run_id, record)
        if record.verdict is not None:
            return _stands(record, reference.path)
    raise TryAgainError(f"the gate {reference.path} is being decided by others")


def _expired(
    head: Head, record: ApprovalRecord, path: str, at: str, world: World
) -> ApprovalRecord:
    """*record* once the expiry is stored, or as it was when another writer was quicker."""
    expired = expire(record, at)
    entries = gate_entries(expired, at) or [
        # Opening the gate never succeeded, so that nothing waits; it is this one all the same.
        *gate_entries(
            replace(expired, waiting=(Waiting(path=path, opened_at=at, expires_at=at),)), at
        )
    ]
    if world.approvals.decide(head, expired, entries):
        return expired
    return record


def _stands(record: ApprovalRecord, path: str) -> JsonObject:
    match record.verdict:
        case Verdict.APPROVED:
            return {"status": Verdict.APPROVED.value}
        case Verdict.REJECTED:
            raise ApprovalRejectedError(f"the gate {path} was rejected")
        case _:
            raise ApprovalExpiredError(f"nobody decided the gate {path} in time")
