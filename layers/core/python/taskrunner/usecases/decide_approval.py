"""Apply a caller's decision to an approval, and wake the gates that wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.errors import ConflictError, NotFoundError, TryAgainError
from taskrunner.model import timestamp
from taskrunner.model.approval import Decision, DecisionResult, Verdict, decide
from taskrunner.runtime import gate_decisions

if TYPE_CHECKING:
    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports import Head, World

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

    Raises:
        NotFoundError: the tenant has no such run, or the run's pack no such approval.
        ForbiddenError: the caller may not decide it.
        ConflictError: `plan_hash_mismatch`, `approval_not_open`, `approval_already_decided`.
        TryAgainError: other callers decided at the same time, again and again.
    """
    for _ in range(_TRIES):
        head = world.runs.head(tenant, run_id)
        _check_plan_hash(head.run, plan_hash)
        plan = world.plans.get(tenant, head.run.plan_hash)
        approval = next((known for known in plan.approvals if known.id == approval_id), None)
        if approval is None:
            raise NotFoundError(f"approval {approval_id[:80]} of run {run_id}")
        now = timestamp.to_text(world.clock.now())
        answer = decide(
            approval,
            world.approvals.get(tenant, run_id, approval_id),
            Decision(
                verdict=verdict,
                approver=caller.subject,
                decided_at=now,
                actor=actor,
                summary=summary,
            ),
            caller=caller,
            requester=head.run.created_by,
            run_ended=head.run.outcome is not None,
        )
        if not answer.changed or _store(head, answer, world):
            gate_decisions.deliver(head, answer.record, world)
            return {"status": answer.verdict.value, "resumed": answer.resumed}
    raise TryAgainError(f"other callers are deciding the approval {approval_id}")


def _store(head: Head, answer: DecisionResult, world: World) -> bool:
    """Store the decision, in one write with the entries of the first gates."""
    waiting = world.approvals.waiting(head.run, answer.record.approval_id)
    gates, entries = next(gate_decisions.batches(answer.record, waiting), ([], []))
    return world.approvals.decide(head, answer.record, gates, entries)


def _check_plan_hash(run: Run, plan_hash: str) -> None:
    if plan_hash != run.plan_hash:
        message = f"the run's plan is {run.plan_hash}; review that one and decide again"
        raise ConflictError("plan_hash_mismatch", message)
