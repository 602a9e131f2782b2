"""Decide a gate by the clock: it has waited for as long as its approval allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.errors import ApprovalExpiredError, ApprovalRejectedError, TryAgainError
from taskrunner.model import approval, timestamp
from taskrunner.model.approval import Verdict
from taskrunner.runtime import gate_decisions
from taskrunner.runtime.reached_gate import find_gate

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import StepReference
    from taskrunner.ports import World
    from taskrunner.runtime.reached_gate import ReachedGate

# The gate is read again when others decided at the same time, at most this often.
_TRIES: Final = 5


def expire_gate(reference: StepReference, world: World) -> JsonObject:
    """Expire the gate, unless it was decided before. An expiry is the gate's own.

    A decision that was recorded in time counts, even when the token had expired before the gate was
    woken. An approved gate then lets the run go on from here.

    Raises:
        ApprovalExpiredError: nobody decided in time; the gate has failed.
        ApprovalRejectedError: the gate was rejected.
        ConflictError: the run, or a block around the gate, has ended.
        TryAgainError: others decided at the same time, again and again.
    """
    for _ in range(_TRIES):
        gate = find_gate(reference, world)
        decided = gate.record.verdict
        if decided is not None and gate.verdict is not Verdict.EXPIRED:
            # Other gates of the approval wait too, and their own time is not over.
            gate_decisions.deliver(gate.snapshot, gate.plan, gate.record, world)
            return _result(decided, gate.path)
        if gate.verdict is Verdict.EXPIRED or _expire(gate, world):
            gate_decisions.deliver_expiry(gate.run, gate.plan, gate.record, world)
            return _result(Verdict.EXPIRED, gate.path)
    raise TryAgainError(f"other callers are deciding the gate {reference.path}")


def _expire(gate: ReachedGate, world: World) -> bool:
    """Record that the gate has expired; False when a decision came first.

    A gate that could never be opened expires too.
    """
    expiry = approval.expiry(timestamp.to_text(world.clock.now()))
    (change,) = gate_decisions.changes(gate.plan, gate.record, [gate.known], expiry=expiry)
    return world.approvals.expire(gate.snapshot, gate.record, change, expiry)


def _result(verdict: Verdict, path: str) -> JsonObject:
    match verdict:
        case Verdict.APPROVED:
            return {"status": Verdict.APPROVED.value}
        case Verdict.REJECTED:
            raise ApprovalRejectedError(f"the gate {path} was rejected")
        case Verdict.EXPIRED:
            raise ApprovalExpiredError(f"nobody decided the gate {path} in time")
        case _:
            assert_never(verdict)
