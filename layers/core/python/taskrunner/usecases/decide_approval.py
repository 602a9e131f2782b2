"""Apply a caller's decision to an approval, and wake the gates that wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.errors import ConflictError, TryAgainError
from taskrunner.model import timestamp
from taskrunner.model.approval import (
    ApprovalGates,
    ApprovalRecord,
    Decision,
    Verdict,
    decide,
    refusal_of,
)
from taskrunner.model.plan import ApprovalScope
from taskrunner.model.refusal import RefusalCode
from taskrunner.runtime import gate_decisions
from taskrunner.runtime.gate_choice import GateChoice, find_approval
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.approval import DecisionResult, GateRecord
    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Approval, Plan
    from taskrunner.model.refusal import Refusal
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
    step_ids: Sequence[str] | None = None,
) -> JsonObject:
    """Decide, and return the API's ApprovalDecisionResponse.

    The decision is recorded before the run wakes. After a crash between the two, the caller's retry
    gets the same answer and wakes the gates that still wait. The other order could wake a run by a
    decision that nobody ever recorded.

    An approval or rejection is one for all gates of the approval, or with the scope `gate` one for
    each gate in *step_ids*. `expired` ends the gates that wait at the moment. None for *step_ids*
    stands for the only gate that waits.

    Several gates of the scope `gate` are decided one after the other. Nothing is decided unless all
    of them may be. A rejection may end the run, and the gates after it with the run.

    Raises:
        NotFoundError: the tenant has no such run, or the run's pack no such approval or gate.
        ForbiddenError: the caller may not decide it.
        ConflictError: `plan_hash_mismatch`, `approval_not_open`, `approval_already_decided`,
            `approval_ambiguous`.
        TryAgainError: other callers decided at the same time, again and again.
    """
    snapshot = world.runs.snapshot(tenant, run_id)
    _check_plan_hash(snapshot.run, plan_hash)
    plan = world.plans.get(tenant, snapshot.run.plan_hash)
    approval = find_approval(plan, approval_id, run_id)
    paths = GateChoice(plan, approval, snapshot.run, caller, verdict, world).paths(step_ids)
    is_by_gate = approval.scope is ApprovalScope.GATE
    names_gate = step_ids is not None or not is_by_gate
    request = _Request(
        tenant, run_id, approval, verdict, caller, actor, summary, names_gate=names_gate
    )
    if len(paths) > 1:
        _check_all(request, snapshot, plan, paths, world)
    results: list[DecisionResult] = []
    for path in paths:
        try:
            # The next gate finds in a newer snapshot what a gate's decision ended.
            snapshot = snapshot if not results else world.runs.snapshot(tenant, run_id)
            results.append(_decide(request, snapshot, plan, path, world))
        except ConflictError as error:
            if not (results and _has_ended_with(request, error.code)):
                raise
    return {"status": verdict.value, "resumed": any(result.resumed for result in results)}


@dataclass(frozen=True, slots=True)
class _Request:
    """A caller's decision, before it is checked."""

    tenant: str
    run_id: str
    approval: Approval
    verdict: Verdict
    caller: Caller
    actor: str | None
    summary: str | None
    names_gate: bool


def _has_ended_with(request: _Request, code: str) -> bool:
    """Return whether a gate does not wait because a rejection of the same request ended it."""
    return request.verdict is not Verdict.APPROVED and code == RefusalCode.NOT_OPEN.value


def _check_all(
    request: _Request,
    snapshot: RunSnapshot,
    plan: Plan,
    paths: Sequence[str | None],
    world: World,
) -> None:
    """Check that the caller may decide all gates before the first one is decided.

    Gates that the rejection of another one has ended are left out, so that a call can be repeated.

    Raises:
        ForbiddenError, ConflictError: as `decide`.
    """
    asked = (_read(request, snapshot, plan, path, world) for path in paths)
    refusals = [_refusal(request, record, world) for record in asked]
    is_repeated = None in refusals
    for refusal in refusals:
        has_ended = refusal is not None and _has_ended_with(request, refusal.code.value)
        if refusal is not None and not (is_repeated and has_ended):
            raise refusal.error


def _refusal(request: _Request, asked: _Asked, world: World) -> Refusal | None:
    return refusal_of(
        request.approval,
        asked.record,
        request.verdict,
        gates=_gates(asked, world),
        caller=request.caller,
        requester=asked.snapshot.run.created_by,
    )


def _decide(
    request: _Request, snapshot: RunSnapshot, plan: Plan, path: str | None, world: World
) -> DecisionResult:
    """Decide the record of the gate at *path*, or that of the whole approval."""
    for _ in range(_TRIES):
        asked = _read(request, snapshot, plan, path, world)
        decision = Decision(
            verdict=request.verdict,
            approver=request.caller.subject,
            approver_name=request.caller.name,
            decided_at=timestamp.to_text(world.clock.now()),
            actor=request.actor,
            summary=request.summary,
            names_gate=request.names_gate,
        )
        answer = decide(
            request.approval,
            asked.record,
            decision,
            gates=_gates(asked, world),
            caller=request.caller,
            requester=asked.snapshot.run.created_by,
        )
        store = _expire if request.verdict is Verdict.EXPIRED else _store
        if store(asked, answer, decision, world):
            return answer
        snapshot = world.runs.snapshot(request.tenant, request.run_id)
    raise TryAgainError(f"other callers are deciding the approval {request.approval.id}")


class _Asked(NamedTuple):
    """A record to decide, and its gates that wait."""

    snapshot: RunSnapshot
    plan: Plan
    record: ApprovalRecord
    waiting: Sequence[GateRecord]


def _read(
    request: _Request, snapshot: RunSnapshot, plan: Plan, path: str | None, world: World
) -> _Asked:
    approval_id = request.approval.id
    waiting: Sequence[GateRecord] = []
    if snapshot.run.outcome is None:
        asked = ApprovalRecord(approval_id=approval_id, gate_path=path)
        waiting = gate_decisions.waiting_gates(snapshot.run, plan, asked, world)
    # The record is read last. A decision is stored before its gates are woken, so a caller
    # that finds no gate waiting because of a decision also finds that decision.
    record = world.approvals.get(request.tenant, request.run_id, approval_id, path)
    return _Asked(snapshot, plan, record, waiting)


def _gates(asked: _Asked, world: World) -> ApprovalGates:
    if asked.waiting or asked.record.verdict is not None:
        return ApprovalGates(is_waiting=bool(asked.waiting))
    run, path = asked.snapshot.run, asked.record.gate_path
    if path is None:
        opened = list(world.approvals.gates(run, asked.record.approval_id))
    else:
        opened = [gate for gate in [world.approvals.gate(run, path)] if gate is not None]
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
