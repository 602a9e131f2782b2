from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.model.due_work import DueKind
from taskrunner.model.machine_call import ExecutionStatus
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.reconcile import reconcile
from tests.packs import pack
from tests.unit.usecases.machine_call_run import (
    IN_A_BLOCK,
    a_calling_world,
    call,
    called,
    execution,
    job_is_done,
)
from tests.unit.usecases.scenarios import TENANT, last_of_a_step, step

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

FAILS = pack(
    """
    - id: both
      parallel:
        steps:
          - {id: load, run: {uses: states:import}}
          - {id: breaks, run: {uses: builtin:fail, with: {message: broken}}}
    """,
    name="fails",
)


def look(world: MemoryWorld, after_s: float = 120) -> None:
    """Let the reconciler pass so many seconds later."""
    world.clock.advance(after_s)
    assert reconcile(world).failures == []


def status(world: MemoryWorld) -> ExecutionStatus:
    return world.called_machines.executions[execution(world)].status


def breaks(world: MemoryWorld) -> None:
    with pytest.raises(Exception, match="breaks failed"):
        step(world, "breaks")


def test_an_execution_that_goes_on_is_looked_at_again() -> None:
    world = called()

    look(world)

    item = world.due_work.find(
        DueKind.LEASE, world.jobs.stored[TENANT, "run-7", "load"].job, "load"
    )
    assert item is not None
    assert item.due_at == "2025-12-06T12:04:00.000Z"
    assert status(world) is ExecutionStatus.RUNNING


def test_an_end_that_nobody_has_reported_is_recorded() -> None:
    world = called()
    world.called_machines.end(execution(world), output_text='{"rows": 12}')

    look(world)

    assert world.runs.outcomes(TENANT, "run-7", ["load"])["load"].outputs == {"rows": 12}
    assert world.jobs.answers == [("token-1", None)]
    assert world.due_work.due(DueKind.LEASE, "9999", 10) == []


def test_an_execution_is_stopped_when_the_steps_time_is_over() -> None:
    world = called()

    look(world, 3600)

    assert status(world) is ExecutionStatus.ABORTED
    assert last_of_a_step(world).metadata["reason"] == "timeout"
    assert world.jobs.answers == [("token-1", "StepFailedError")]


def test_the_look_comes_at_the_end_of_a_short_time_limit() -> None:
    manifest = pack("- {id: load, timeoutSeconds: 30, run: {uses: states:import}}")
    world = called(manifest)

    look(world, 30)

    assert status(world) is ExecutionStatus.ABORTED
    assert last_of_a_step(world).metadata["reason"] == "timeout"


def test_a_failure_beside_it_stops_the_execution_in_the_next_pass() -> None:
    world = called(FAILS)
    breaks(world)
    before = status(world)

    look(world, 1)

    assert before is ExecutionStatus.RUNNING
    assert status(world) is ExecutionStatus.ABORTED
    assert last_of_a_step(world).metadata["reason"] == "run-failed"


def test_a_failure_that_stops_the_block_stops_the_execution_too() -> None:
    world = called(IN_A_BLOCK)
    breaks(world)

    look(world, 1)

    assert status(world) is ExecutionStatus.ABORTED
    assert last_of_a_step(world).metadata["reason"] == "run-failed"


def test_a_cancellation_stops_the_execution_at_once() -> None:
    world = called()

    cancel_run(TENANT, "run-7", "bob", world)

    assert status(world) is ExecutionStatus.ABORTED


def test_an_execution_that_a_cancellation_has_missed_is_stopped() -> None:
    world = called()
    world.called_machines.refusal = RuntimeError("no answer")
    with pytest.raises(RuntimeError):
        cancel_run(TENANT, "run-7", "bob", world)
    world.called_machines.refusal = None

    look(world)

    assert status(world) is ExecutionStatus.ABORTED
    assert job_is_done(world)


def test_an_attempt_without_an_execution_waits_for_the_repeated_call() -> None:
    world = a_calling_world()
    world.called_machines.refusal = RuntimeError("no answer")
    with pytest.raises(RuntimeError):
        call(world)
    world.called_machines.refusal = None

    look(world)
    call(world, "token-2")

    assert status(world) is ExecutionStatus.RUNNING
    assert not job_is_done(world)


def test_an_attempt_without_an_execution_fails_at_its_time_limit() -> None:
    world = called()
    world.called_machines.executions.clear()

    look(world, 3600)

    assert last_of_a_step(world).metadata["reason"] == "timeout"
