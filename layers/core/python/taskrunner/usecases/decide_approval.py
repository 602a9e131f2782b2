"""Apply a caller's decision to an approval, and wake the gates that wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.errors import ConflictError, NotFoundError, TryAgainError
from taskrunner.model import timestamp
from taskrunner.model.approval import ApprovalGates, Decision, Verdict, decide
from taskrunner.runtime import gate_decisions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.approval import ApprovalRecord, DecisionResult, GateRecord
    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Approval, Plan
    from taskrunner.model.run import Run
    from taskrunner.ports import RunSnapshot, World

_TRIES: Final = 8


def decide_approval(  # noqa: PLR0913 - a decision has this many parts
    tenant: str,
    run_id: str,
    approval_id: str,
    verdict: Verdict,
    *,
    plan_hash: str,
    caller: Caller,
    actor: str | None,
    summary: str | None,
    world: World,
) -> JsonObject:
    """Decide, and return the API's ApprovalDecisionResponse.

    The decision is recorded before the run wakes. After a crash between the two, the caller's retry
    gets the same answer and wakes the gates that still wait. The other order could wake a run by a
    decision that nobody ever recorded.

    An approval or rejection is one for all gates of the approval. `expired` ends the gates that
    wait at the moment.

    Raises:
        NotFoundError: the tenant has no such run, or the run's pack no such approval.
        ForbiddenError: the caller may not decide it.
        ConflictError: `plan_hash_mismatch`, `approval_not_open`, `approval_already_decided`.
        TryAgainError: other callers decided at the same time, again and again.
    """
    for _ in range(_TRIES):
        asked = _read(tenant, run_id, approval_id, plan_hash, world)
        decision = Decision(
            verdict=verdict,
            approver=caller.subject,
            decided_at=timestamp.to_text(world.clock.now()),
            actor=actor,
            summary=summary,
        )
        answer = decide(
            asked.approval,
            asked.record,
            decision,
            gates=_gates(asked, world),
            caller=caller,
            requester=asked.snapshot.run.created_by,
        )
        store = _expire if verdict is Verdict.EXPIRED else _store
        if store(asked, answer, decision, world):
            return {"status": answer.verdict.value, "resumed": answer.resumed}
    raise TryAgainError(f"other callers are deciding the approval {approval_id}")


class _Asked(NamedTuple):
    """An approval to decide, and its gates that wait."""

    snapshot: RunSnapshot
    plan: Plan
    approval: Approval
    record: ApprovalRecord
    waiting: Sequence[GateRecord]


def _read(tenant: str, run_id: str, approval_id: str, plan_hash: str, world: World) -> _Asked:
    snapshot = world.runs.snapshot(tenant, run_id)
    _check_plan_hash(snapshot.run, plan_hash)
    plan = world.plans.get(tenant, snapshot.run.plan_hash)
    approval = next((known for known in plan.approvals if known.id == approval_id), None)
    if approval is None:
        raise NotFoundError(f"approval {approval_id[:80]} of run {run_id}")
    waiting: Sequence[GateRecord] = []
    if snapshot.run.outcome is None:
        waiting = gate_decisions.waiting_gates(snapshot.run, plan, approval_id, world)
    # The record is read last. A decision is stored before its gates are woken, so a caller
    # that finds no gate waiting because of a decision also finds that decision.
    record = world.approvals.get(tenant, run_id, approval_id)
    return _Asked(snapshot, plan, approval, record, waiting)


def _gates(asked: _Asked, world: World) -> ApprovalGates:
    if asked.waiting or asked.record.verdict is not None:
        return ApprovalGates(is_waiting=bool(asked.waiting))
    opened = list(world.approvals.gates(asked.snapshot.run, asked.approval.id))
    expired_by = [gate.expired_by for gate in opened if gate.expired_by is not None]
    return ApprovalGates(
        is_waiting=False,
        expired_by=frozenset(expired_by),
        all_expired=0 < len(opened) == len(expired_by),
    )


def _store(asked: _Asked, answer: DecisionResult, _decision: Decision, world: World) -> bool:
    """Store the decision, in one write with the entries of the first gates, and deliver it."""
    if answer.changed:
        change = next(gate_decisions.changes(asked.plan, answer.record, asked.waiting))
        if not world.approvals.decide(asked.snapshot, answer.record, change):
            return False
    gate_decisions.deliver(asked.snapshot, asked.plan, answer.record, world)
    return True


def _expire(asked: _Asked, answer: DecisionResult, expiry: Decision, world: World) -> bool:
    """Expire the gates that wait, as many in one write as fit, and wake them.

    When a write ends the run or a block, the gates of the next one have ended with it.
    """
    snapshot, record = asked.snapshot, answer.record
    if answer.changed:
        for change in gate_decisions.changes(asked.plan, record, asked.waiting, expiry=expiry):
            if not world.approvals.expire(snapshot, record, change, expiry):
                return False
    gate_decisions.deliver_expiry(snapshot.run, asked.plan, record, world)
    gate_decisions.finish_delivery(snapshot.run, record, expiry, world)
    return True


def _check_plan_hash(run: Run, plan_hash: str) -> None:
    if plan_hash != run.plan_hash:
        message = f"the run's plan is {run.plan_hash}; review that one and decide again"
        raise ConflictError("plan_hash_mismatch", message)
