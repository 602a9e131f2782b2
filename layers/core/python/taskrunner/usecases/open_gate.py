"""Let a gate wait for its decision, and notify approvers of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskrunner.errors import TryAgainError
from taskrunner.model import timestamp
from taskrunner.model.approval import GateOpening
from taskrunner.model.entries import gate_entries
from taskrunner.runtime.gate_announcement import announce
from taskrunner.runtime.gate_decisions import missing_entries
from taskrunner.runtime.reached_gate import find_gate, unopened
from taskrunner.runtime.run_lifecycle import start_entries

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import StepReference
    from taskrunner.ports import World
    from taskrunner.runtime.reached_gate import ReachedGate

# The gate is read again when others decided at the same time, at most this often.
_TRIES: Final = 5


def open_gate(reference: StepReference, token: str, world: World) -> JsonObject:
    """Record that the gate waits with *token*, and notify approvers; wake one that is decided.

    Opening twice opens once, and the newer token counts: when the machine did not see the answer of
    a call, it repeats the call with a new token. Approvers are notified again, unless it is
    recorded that they were. A gate whose approvers cannot be notified waits all the same.

    Raises:
        ConflictError: the run has ended.
        TryAgainError: others decided at the same time, again and again.
    """
    for _ in range(_TRIES):
        gate = find_gate(reference, world)
        opened = world.approvals.gate(gate.run, gate.path)
        waiting = _waiting(gate, world)
        entries = start_entries(gate.head, waiting.opened_at)
        if opened is None:
            entries.append(
                gate_entries.gate_awaiting(waiting, gate.approval.id, is_override=gate.is_override)
            )
        verdict = gate.record.verdict
        if verdict is not None:
            # A gate that was opened before may have been decided since, without its entries.
            known = opened or unopened(gate.path, gate.record)
            entries += missing_entries(gate.record, known, waiting.opened_at)
        summary = _summary(gate, waiting)
        if world.approvals.open(
            gate.head, gate.record, waiting, token, entries, gate=opened, summary=summary
        ):
            if verdict is not None:
                world.approvals.wake(token, verdict)
                return {"status": verdict.value}
            if opened is None or not opened.is_notified:
                announce(gate, summary, world)
            return {"status": "open"}
    raise TryAgainError(f"other callers are deciding the gate {reference.path}")


def _waiting(gate: ReachedGate, world: World) -> GateOpening:
    now = world.clock.now()
    expires_at = now + timedelta(seconds=gate.approval.expires_after_s)
    return GateOpening(
        step_path=gate.path,
        opened_at=timestamp.to_text(now),
        expires_at=timestamp.to_text(expires_at),
    )


def _summary(gate: ReachedGate, waiting: GateOpening) -> JsonObject:
    """The gate as the API lists it among the open approvals."""
    run, approval = gate.run, gate.approval
    summary: JsonObject = {
        "runId": run.run_id,
        "approvalId": approval.id,
        "stepId": waiting.step_path,
        "grants": list(approval.grants),
        "openedAt": waiting.opened_at,
        "expiresAt": waiting.expires_at,
        "planHash": run.plan_hash,
        "pack": {"name": run.pack_name, "version": run.pack_version},
        "requestedBy": run.created_by,
    }
    return summary if gate.message is None else summary | {"message": gate.message}
