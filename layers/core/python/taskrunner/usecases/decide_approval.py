"""Apply a caller's decision to an approval, and wake the gates that waited for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.errors import ConflictError, NotFoundError, TryAgainError
from taskrunner.model import moment, plan_document
from taskrunner.model.approval import Decision, DecisionResult, Verdict, decide
from taskrunner.runtime.verdicts import portions, spread

if TYPE_CHECKING:
    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports import Head
    from taskrunner.ports.world import World

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

    Recorded before the run wakes: a crash in between is healed by the caller's retry, which is
    answered the same and wakes the gates that still wait, while a woken run whose decision was
    never written could not be explained to anyone.

    Raises:
        NotFoundError: the tenant has no such run, or the run's pack no such approval.
        ForbiddenError: the caller may not decide it.
        ConflictError: `plan_hash_mismatch`, `approval_not_open`, `approval_already_decided`.
        TryAgainError: others decided at the same moment, again and again.
    """
    for _ in range(_TRIES):
        head = world.runs.head(tenant, run_id)
        _check_plan_hash(head.run, plan_hash)
        plan = plan_document.from_document(world.plans.get(tenant, head.run.plan_hash))
        approval = next((one for one in plan.approvals if one.id == approval_id), None)
        if approval is None:
            raise NotFoundError(f"approval {approval_id[:80]} of run {run_id}")
        at = moment.to_text(world.clock.now())
        decision = Decision(
            verdict=verdict, approver=caller.subject, decided_at=at, actor=actor, summary=summary
        )
        answer = decide(
            approval,
            world.approvals.get(tenant, run_id, approval_id),
            decision,
            caller=caller,
            requester=head.run.created_by,
            run_ended=head.run.outcome is not None,
        )
        if not answer.changed or _store(head, answer, world):
            spread(head, answer.record, world)
            return {"status": answer.verdict.value, "resumed": answer.resumed}
    raise TryAgainError(f"the approval {approval_id} is being decided by others")


def _store(head: Head, answer: DecisionResult, world: World) -> bool:
    """Store the decision, in one write with the entries of the first gates."""
    waiting = world.approvals.waiting(head.run, answer.record.approval_id)
    gates, entries = next(portions(answer.record, waiting), ([], []))
    return world.approvals.decide(head, answer.record, gates, entries)


def _check_plan_hash(run: Run, plan_hash: str) -> None:
    if plan_hash != run.plan_hash:
        message = f"the run's plan is {run.plan_hash}; review that one and decide again"
        raise ConflictError("plan_hash_mismatch", message)
