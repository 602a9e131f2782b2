"""Start the execution of a recorded run: when it is created, or later when that was cut off."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskrunner.compiler.driver import compile_plan
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.errors import MachineQuotaError, TryAgainError

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports import World


def start(run: Run, definition: JsonObject, execution_input: JsonObject, world: World) -> bool:
    """Start *run* unless it has ended, and return whether that made its machine.

    The run is recorded, so creating it has succeeded whatever is raised here. The reconciler starts
    it later.

    Raises:
        MachineQuotaError: the run needs a new machine, and the account may have no further one.
        StartRefusedError: AWS refuses the machine or the execution.
        TryAgainError: AWS is too busy.
    """
    if run.outcome is not None:
        return False
    return world.machines.start(run, definition, execution_input)


def start_run(tenant: str, run_id: str, world: World) -> bool:
    """Start a recorded run that has no execution from its stored plan, as `start` does. Idempotent.

    Return False when AWS is too busy, or when the account may have no further machine.

    A run whose execution was stopped before `finally` gets another one, which begins there.

    When the stack has been updated since the run was recorded, it runs on a machine that calls the
    functions of today.

    Raises:
        NotFoundError: there is no such run, or retention has deleted its plan.
        StartRefusedError: AWS refuses the machine or the execution.
    """
    run = world.runs.snapshot(tenant, run_id).run
    if run.outcome is not None:
        return True
    plan = world.plans.get(tenant, run.plan_hash)
    definition = compile_plan(plan, run.distributed)
    try:
        machine = world.machines.name(run.pack_name, run.pack_version, definition)
    except (TryAgainError, MachineQuotaError):
        return False
    if machine != run.machine:
        if not world.runs.move(run, machine):
            return True
        run = replace(run, machine=machine)
    given = execution_input(plan, tenant, run_id, at_final_steps=run.steps_end is not None)
    try:
        start(run, definition, given, world)
    except (TryAgainError, MachineQuotaError):
        return False
    return True
