"""Runs of tests of use cases in which steps call state machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.machine_call import Execution, execution_name
from taskrunner.model.run import StepReference
from taskrunner.usecases.call_machine import call_machine
from taskrunner.usecases.end_machine_call import end_machine_call
from tests.packs import pack
from tests.unit.usecases.scenarios import TENANT, a_world

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.machine_call import ExecutionReport
    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld

CALLING = pack("- {id: load, run: {uses: states:import, with: {file: orders.csv}}}", name="calling")
IN_A_BLOCK = pack(
    """
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: both
            parallel:
              steps:
                - {id: load, run: {uses: states:import}}
                - {id: breaks, run: {uses: builtin:fail, with: {message: broken}}}
    """,
    name="block",
)


def a_calling_world(manifest: str = CALLING) -> MemoryWorld:
    """A world with the run run-7, and with the machine that it calls."""
    world = a_world(manifest)
    world.called_machines.machines.add("import")
    return world


def call(world: World, token: str = "token-1", step_id: str = "load") -> JsonObject:  # noqa: S107
    """Call the machine of a step of run-7, as the run's machine does."""
    return call_machine(StepReference(TENANT, "run-7", step_id, ""), token, world)


def called(manifest: str = CALLING) -> MemoryWorld:
    """A world in which the execution of the step `load` goes on."""
    world = a_calling_world(manifest)
    call(world)
    return world


def execution(world: MemoryWorld, attempt: int = 1) -> Execution:
    """The execution of an attempt of the step `load`."""
    run = world.runs.snapshot(TENANT, "run-7").run
    return Execution("import", execution_name(run, "load", attempt))


def report_end(world: World, of: Execution, report: ExecutionReport) -> JsonObject:
    return end_machine_call(of, report, world)


def job_is_done(world: MemoryWorld) -> bool:
    job = world.jobs.get(TENANT, "run-7", "load")
    return job is not None and job.is_done
