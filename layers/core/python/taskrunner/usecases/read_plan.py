"""Read the plan of a run, with what its gates guard and how it differs from another plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model import plan_view
from taskrunner.runtime.gate_view import gate_views
from taskrunner.usecases.compare_plan import check_form, compare_plan

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import World


def read_plan(tenant: str, run_id: str, compare_to: str | None, world: World) -> JsonObject:
    """Return the API's RunPlanResponse, with a comparison if *compare_to* names a plan.

    Raises:
        NotFoundError: the tenant has no such run, or not the run or plan to compare with, or
            retention has begun to delete one of them.
        InvalidRequestError: *compare_to* is malformed.
    """
    if compare_to is not None:
        check_form(compare_to)
    run = world.runs.snapshot(tenant, run_id).run
    document = world.plans.document(tenant, run.plan_hash)
    plan = world.plans.get(tenant, run.plan_hash)
    view: JsonObject = {
        "runId": run.run_id,
        "planHash": run.plan_hash,
        "definitionHash": run.definition_hash,
        "plan": plan_view.plan(document),
        "gates": list(gate_views(plan, run.distributed).values()),
    }
    if compare_to is None:
        return view
    comparison = compare_plan(tenant, run.plan_hash, document, compare_to, world, run_id=run.run_id)
    return view | {"comparison": comparison}
