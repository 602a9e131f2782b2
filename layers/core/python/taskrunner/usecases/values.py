"""The values that expressions read while a run is running."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.plan import ApprovalGate
from taskrunner.model.run import StepStatus, fold

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import StepOutcome
    from taskrunner.usecases.ports import Head
    from taskrunner.usecases.world import World


def values(  # noqa: PLR0913 - what is known already is passed on, not read again
    plan: Plan,
    head: Head,
    read: Collection[str],
    outcomes: Mapping[str, StepOutcome],
    world: World,
    *,
    iteration: str = "",
) -> JsonObject:
    """The context of an expression that reads the steps *read* of its own *iteration*.

    A gate leaves no outcome; its status is in the journal, which is read only for a gate.
    """
    run = head.run
    statuses: dict[str, str] = {}
    if any(isinstance(plan.step(step_id), ApprovalGate) for step_id in read):
        journal = world.runs.journal(run.tenant, run.run_id)
        state = fold(plan, (placed.entry for placed in journal), run.created_at)
        statuses = {step.step_id: step.status.value for step in state.steps}
    return {
        "inputs": plan.inputs,
        "run": {"id": run.run_id, "tenant": run.tenant, "createdAt": run.created_at},
        "steps": {
            step_id: _step(plan, step_id, outcomes.get(iteration + step_id), statuses)
            for step_id in read
        },
    }


def _step(
    plan: Plan, step_id: str, outcome: StepOutcome | None, statuses: Mapping[str, str]
) -> JsonObject:
    if outcome is not None:
        return {"outputs": outcome.outputs, "status": outcome.status.value}
    if not plan.step(step_id).enabled:
        return {"outputs": None, "status": StepStatus.SKIPPED.value}
    # An earlier step without an outcome broke down, and the pack said to go on.
    return {"outputs": None, "status": statuses.get(step_id, StepStatus.FAILED.value)}
