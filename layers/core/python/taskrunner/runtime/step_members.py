"""The members of steps that their run's journal does not have: waits for workers, and links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model import worker_view
from taskrunner.model.job import labels_from_text
from taskrunner.model.machine_call import Execution, machine_of
from taskrunner.model.plan import RunStep
from taskrunner.model.run import Reason
from taskrunner.model.worker_wait import why_waiting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import StepState
    from taskrunner.ports import World


def waits_for_worker(step: StepState) -> bool:
    """Return whether *step* waits for a worker."""
    return step.reason is Reason.WAITING_FOR_WORKER and step.pool is not None


def members_of(
    steps: Iterable[StepState], plan: Plan, tenant: str, world: World
) -> dict[str, JsonObject]:
    """Return the API's members `workerWait`, `executionArn` and `executionUrl` by step path.

    The workers of the tenant are read by one query, and only if a step waits for one.
    """
    steps = list(steps)
    waits = _waits([step for step in steps if waits_for_worker(step)], tenant, world)
    calls = {
        step.path: execution_link(plan, step.template_id, step.execution, world)
        for step in steps
        if step.execution is not None
    }
    return waits | calls


def execution_link(plan: Plan, step_id: str, execution: str, world: World) -> JsonObject:
    """Return where the *execution* is that an attempt of a step has called."""
    step = plan.step(step_id)
    machine = machine_of(step.uses) if isinstance(step, RunStep) else None
    return {} if machine is None else world.links.of_call(Execution(machine, execution))


def _waits(waiting: list[StepState], tenant: str, world: World) -> dict[str, JsonObject]:
    if not waiting:
        return {}
    kinds = world.pools.kinds(tenant, {str(step.pool) for step in waiting})
    now = world.clock.now()
    return {
        step.path: {
            "workerWait": worker_view.worker_wait(
                why_waiting(
                    str(step.pool),
                    labels_from_text(step.wanted_labels),
                    step.last_transition_at or "",
                    kinds,
                    now,
                )
            )
        }
        for step in waiting
    }
