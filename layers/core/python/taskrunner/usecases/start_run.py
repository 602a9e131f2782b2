"""Start the execution of a run that is recorded: at its creation, or later for one left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.compiler.driver import compile_plan
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.errors import TryAgainError
from taskrunner.model import plan_document

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports.world import World


def start(run: Run, definition: JsonObject, execution_input: JsonObject, world: World) -> bool:
    """Start *run* unless it has ended; False when AWS has no room now, which the reconciler heals.

    The run is recorded, so that its creator is told so, whatever becomes of the start.
    """
    if run.outcome is not None:
        return True
    try:
        world.machines.start(run, definition, execution_input)
    except TryAgainError:
        return False
    return True


def start_run(tenant: str, run_id: str, world: World) -> JsonObject:
    """Start a recorded run from its stored plan; starting twice starts once."""
    run = world.runs.head(tenant, run_id).run
    plan = plan_document.from_document(world.plans.get(tenant, run.plan_hash))
    definition = compile_plan(plan).definition
    return {"started": start(run, definition, execution_input(plan, tenant, run_id), world)}
