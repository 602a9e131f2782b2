"""Let a gate wait for its decision, and notify approvers of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskrunner.errors import ApprovalRejectedError, TryAgainError
from taskrunner.expressions import messages
from taskrunner.model import timestamp
from taskrunner.model.approval import GateOpening, Verdict
from taskrunner.model.due_work import breached_at
from taskrunner.model.entries import gate_entries
from taskrunner.model.plan import ApprovalScope
from taskrunner.ports.runs import NOTHING
from taskrunner.runtime.delivery import deliver_ended
from taskrunner.runtime.failures import stopped_by
from taskrunner.runtime.gate_announcement import announce
from taskrunner.runtime.gate_decisions import missing_entries
from taskrunner.runtime.reached_gate import find_gate
from taskrunner.runtime.run_lifecycle import start_entries

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import World
    from taskrunner.runtime.reached_gate import ReachedGate
    from taskrunner.runtime.running_step import RunningStep

# The gate is read again when others decided at the same time, at most this often.
_TRIES: Final = 5


def open_gate(gate: ReachedGate, token: str, world: World) -> JsonObject:
    """Record that *gate* waits with *token*, and notify approvers; wake one that is decided.

    A repeated call opens nothing more, and the newer token counts: a machine that did not see the
    answer of a call repeats it with a new token. Approvers are notified again, unless it is
    recorded that they were. A gate waits even if its approvers cannot be notified.

    Raises:
        ConflictError: the run, or a block around the gate, has ended.
        TryAgainError: others decided at the same time, again and again.
    """
    for _ in range(_TRIES):
        if gate.verdict is not None:
            return _wake(gate, gate.verdict, token, world)
        waiting = _waiting(gate, world)
        summary = _summary(gate, waiting)
        if not _open(gate, waiting, token, summary, world):
            gate = find_gate(gate.reference, world)
            continue
        if gate.record.verdict is not None:
            return _wake(gate, gate.record.verdict, token, world)
        if gate.gate is None or not gate.gate.is_notified:
            announce(gate, summary, world)
        return {"status": "open"}
    raise TryAgainError(f"other callers are deciding the gate {gate.path}")


def _wake(gate: ReachedGate, verdict: Verdict, token: str, world: World) -> JsonObject:
    """Wake the gate, whose decision is in the journal, and end what it has ended."""
    world.approvals.wake(token, verdict)
    if verdict is not Verdict.APPROVED:
        deliver_ended(gate.run, gate.plan, world)
    return {"status": verdict.value}


def _open(
    gate: ReachedGate, waiting: GateOpening, token: str, summary: JsonObject, world: World
) -> bool:
    """Record the gate, with the decisions that were made before; False when others write it."""
    entries = start_entries(gate.snapshot, waiting.opened_at)
    if gate.gate is None:
        entries.append(
            gate_entries.gate_awaiting(waiting, gate.approval.id, is_override=gate.is_override)
        )
    stops = NOTHING
    if gate.record.verdict is not None:
        # A gate that was opened before may have been decided since, without its entries.
        entries += missing_entries(gate.record, gate.known, waiting.opened_at)
    if gate.record.verdict is Verdict.REJECTED:
        stops = stopped_by(
            [gate.path], gate.plan, waiting.opened_at, ApprovalRejectedError.__name__
        )
    return world.approvals.open(
        gate.snapshot,
        gate.record,
        waiting,
        token,
        entries,
        gate=gate.gate,
        summary=summary,
        inside=gate.inside,
        stops=stops,
        watch_at=breached_at(waiting.opened_at, gate.plan.slo.approval_p95_s),
    )


def _waiting(gate: ReachedGate, world: World) -> GateOpening:
    now = world.clock.now()
    expires_at = now + timedelta(seconds=gate.approval.expires_after_s)
    return GateOpening(
        step_path=gate.path,
        opened_at=timestamp.to_text(now),
        expires_at=timestamp.to_text(expires_at),
        message=_filled(gate.message, gate.running),
    )


def _filled(message: str | None, running: RunningStep) -> str | None:
    """Return the message of a gate with its expressions evaluated; None if it has none."""
    if message is None or not messages.is_template(message):
        return None
    return messages.filled(message, running.context(messages.references(message)))


def _summary(gate: ReachedGate, waiting: GateOpening) -> JsonObject:
    """The gate as the API lists it among the open approvals."""
    run, approval = gate.run, gate.approval
    summary: JsonObject = {
        "runId": run.run_id,
        "approvalId": approval.id,
        "stepId": waiting.step_path,
        "grants": list(approval.grants),
        "minApprovals": approval.min_approvals,
        "distinctFromRequester": approval.distinct_from_requester,
        "openedAt": waiting.opened_at,
        "expiresAt": waiting.expires_at,
        "planHash": run.plan_hash,
        "pack": {"name": run.pack_name, "version": run.pack_version},
        "requestedBy": run.created_by,
    }
    if run.created_by_name is not None:
        summary["requestedByName"] = run.created_by_name
    if approval.scope is ApprovalScope.GATE:
        summary["scope"] = approval.scope.value
    message = waiting.message or gate.message
    return summary if message is None else summary | {"message": message}
