"""Decide a gate by the clock: it has waited for as long as its approval allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.errors import ApprovalExpiredError, ApprovalRejectedError, TryAgainError
from taskrunner.model import timestamp
from taskrunner.model.approval import Verdict, expire
from taskrunner.runtime import gate_decisions
from taskrunner.runtime.reached_gate import find_gate, unopened

if TYPE_CHECKING:
    from taskrunner.model.approval import ApprovalRecord
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import StepReference
    from taskrunner.ports import World
    from taskrunner.runtime.reached_gate import ReachedGate

# The gate is read again when others decided at the same time, at most this often.
_TRIES: Final = 5


def expire_gate(reference: StepReference, world: World) -> JsonObject:
    """Expire the gate, unless it was decided before.

    A decision that was recorded in time counts, even when the token had expired before the gate was
    woken. An approved gate then lets the run go on from here.

    Raises:
        ApprovalExpiredError: nobody decided in time; the gate has failed.
        ApprovalRejectedError: the gate was rejected.
        ConflictError: the run has ended.
        TryAgainError: others decided at the same time, again and again.
    """
    for _ in range(_TRIES):
        gate = find_gate(reference, world)
        record = gate.record if gate.record.verdict is not None else _expire(gate, world)
        if record is not None:
            # Other gates of the approval wait too, and their own time is not over.
            gate_decisions.deliver(gate.head, record, world, passed_gate=gate.path)
            return _result(record, gate.path)
    raise TryAgainError(f"other callers are deciding the gate {reference.path}")


def _expire(gate: ReachedGate, world: World) -> ApprovalRecord | None:
    """Store the clock's decision, and return its record; None when another decision came first."""
    expired = expire(gate.record, timestamp.to_text(world.clock.now()))
    # A gate that could never be opened has waited in vain too.
    known = world.approvals.gate(gate.run, gate.path) or unopened(gate.path, expired)
    entries = gate_decisions.missing_entries(expired, known)
    return expired if world.approvals.decide(gate.head, expired, [known], entries) else None


def _result(record: ApprovalRecord, path: str) -> JsonObject:
    match record.verdict:
        case Verdict.APPROVED:
            return {"status": Verdict.APPROVED.value}
        case Verdict.REJECTED:
            raise ApprovalRejectedError(f"the gate {path} was rejected")
        case _:
            raise ApprovalExpiredError(f"nobody decided the gate {path} in time")
