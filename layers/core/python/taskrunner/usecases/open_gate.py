"""Let a gate wait for its decision, or expire one that waited in vain."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from taskrunner.errors import ApprovalExpiredError, ApprovalRejectedError, TryAgainError
from taskrunner.model import moment, notification, plan_document
from taskrunner.model.approval import ApprovalRecord, GateOpening, GateRecord, Verdict, expire
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.plan import ApprovalGate, PolicyGate
from taskrunner.model.run import Reason
from taskrunner.runtime.liveness import check_live, run_started
from taskrunner.runtime.verdicts import gate_entries, spread

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Approval
    from taskrunner.model.run import StepReference
    from taskrunner.ports import Head
    from taskrunner.ports.world import World

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
        known = world.approvals.gate(head.run, own)
        now = world.clock.now()
        waiting = GateOpening(
            step_path=own,
            opened_at=moment.to_text(now),
            expires_at=moment.to_text(now + timedelta(seconds=approval.expires_after_s)),
        )
        entries = run_started(head, waiting.opened_at)
        if known is None:
            entries.append(_awaiting(gate, waiting))
        if record.verdict is not None:
            # Opened before, it may have been decided since, and not have heard of it.
            entries += gate_entries(record, known or _late(own, record), waiting.opened_at)
        summary = _summary(gate, waiting, approval, head)
        if world.approvals.open(head, record, waiting, token, entries, gate=known, summary=summary):
            if record.verdict is not None:
                world.approvals.wake(token, record.verdict)
                return {"status": record.verdict.value}
            if known is None or not known.is_notified:
                _notify(head, gate, approval, summary, world)
            return {"status": "open"}
    raise TryAgainError(f"the gate {own} is being decided by others")


def _late(path: str, record: ApprovalRecord) -> GateRecord:
    """A gate that was not opened before its approval was decided: the last word is for it too."""
    return GateRecord(step_path=path, recorded_decisions=len(record.decisions) - 1)


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


def _awaiting(gate: Gate, waiting: GateOpening) -> Entry:
    approval_id = _approval_id(gate)
    metadata = {"approvalId": approval_id, "expiresAt": waiting.expires_at}
    if isinstance(gate, PolicyGate):
        metadata["override"] = "true"
    return Entry(
        id=f"{waiting.step_path}#awaiting",
        at=waiting.opened_at,
        event=Event.GATE_AWAITING,
        level=Level.WARN,
        step=waiting.step_path,
        message=f"Awaiting approval: {approval_id}",
        metadata=metadata,
    )


def _summary(gate: Gate, waiting: GateOpening, approval: Approval, head: Head) -> JsonObject:
    summary: JsonObject = {
        "runId": head.run.run_id,
        "approvalId": approval.id,
        "stepId": waiting.step_path,
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
    own = reference.path
    for _ in range(_TRIES):
        head, _, _, record = _read(reference, world)
        if record.verdict is None:
            record = _expired(head, record, own, world)
        if record.verdict is not None:
            # Other gates wait for the same approval, and their own time is not over yet.
            spread(head, record, world, passed=own)
            return _stands(record, own)
    raise TryAgainError(f"the gate {own} is being decided by others")


def _expired(head: Head, record: ApprovalRecord, path: str, world: World) -> ApprovalRecord:
    """*record* once the expiry is stored, or as it was when another writer was quicker."""
    expired = expire(record, moment.to_text(world.clock.now()))
    # Where opening the gate never succeeded, it is this one that waited in vain all the same.
    own = world.approvals.gate(head.run, path) or _late(path, expired)
    gates, entries = [own], gate_entries(expired, own)
    return expired if world.approvals.decide(head, expired, gates, entries) else record


def _stands(record: ApprovalRecord, path: str) -> JsonObject:
    match record.verdict:
        case Verdict.APPROVED:
            return {"status": Verdict.APPROVED.value}
        case Verdict.REJECTED:
            raise ApprovalRejectedError(f"the gate {path} was rejected")
        case _:
            raise ApprovalExpiredError(f"nobody decided the gate {path} in time")
