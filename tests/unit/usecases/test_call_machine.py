from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import ConflictError
from taskrunner.model.machine_call import ExecutionStatus
from taskrunner.model.run import StepStatus
from taskrunner.usecases.cancel_run import cancel_run
from tests.packs import pack
from tests.unit.usecases.machine_call_run import (
    IN_A_BLOCK,
    a_calling_world,
    call,
    called,
    execution,
)
from tests.unit.usecases.scenarios import (
    TENANT,
    a_world,
    assert_recovers,
    entry_ids,
    last_of_a_step,
    step,
)

if TYPE_CHECKING:
    from taskrunner.model.machine_call import Execution
    from tests.fakes.world import MemoryWorld


def test_starts_the_execution_with_the_parameters_and_the_caller() -> None:
    world = called()

    report = world.called_machines.executions[execution(world)]
    given = json.loads(report.input_text or "")

    assert given["file"] == "orders.csv"
    assert given["taskrunner"] | {"idempotencyKey": None} == {
        "tenant": "acme",
        "run": "run-7",
        "step": "load",
        "attempt": 1,
        "idempotencyKey": None,
    }
    assert entry_ids(world)[-2:] == ["run.started", "load#1#started"]


def test_the_attempt_is_recorded_before_the_execution_is_started() -> None:
    world = a_calling_world()
    world.called_machines.refusal = RuntimeError("no answer")

    with pytest.raises(RuntimeError):
        call(world)

    assert entry_ids(world)[-1] == "load#1#started"
    assert world.called_machines.executions == {}


def test_a_call_that_was_cut_off_anywhere_goes_on_from_there() -> None:
    assert assert_recovers(a_calling_world, call) > 10


def test_a_repeated_call_starts_nothing_and_its_token_counts() -> None:
    world = called()

    call(world, "token-2")

    assert len(world.called_machines.executions) == 1
    assert world.jobs.stored[TENANT, "run-7", "load"].token == "token-2"
    assert entry_ids(world).count("load#1#started") == 1


def test_a_machine_that_does_not_exist_fails_the_attempt() -> None:
    world = called_without_machine()

    outcome = world.runs.outcomes(TENANT, "run-7", ["load"])["load"]

    assert outcome.status is StepStatus.FAILED
    assert "there is no machine 'import'" in last_of_a_step(world).message
    assert world.jobs.answers == [("token-1", "StepFailedError")]


def called_without_machine() -> MemoryWorld:
    world = a_calling_world()
    world.called_machines.machines.clear()
    call(world)
    return world


def test_an_input_that_is_too_large_fails_the_attempt() -> None:
    manifest = pack(
        """
        - {id: load, run: {uses: states:import, with: {a: "{{ inputs.t }}", b: "{{ inputs.t }}"}}}
        """,
        spec="inputs: [{name: t, type: string}]",
    )
    world = a_world(manifest, inputs={"t": "x" * 140_000})

    call(world)

    assert "Step Functions accepts at most 262144" in last_of_a_step(world).message
    assert world.called_machines.starts == []


def test_the_members_name_of_the_service_is_refused_while_running_too() -> None:
    manifest = pack(
        """
        - {id: first, run: {uses: builtin:noop, with: {taskrunner: mine}}}
        - {id: load, run: {uses: states:import, with: "{{ steps.first.outputs }}"}}
        """
    )
    world = a_world(manifest)
    step(world, "first")

    call(world)

    assert "'taskrunner' is added by the service" in last_of_a_step(world).message
    assert world.called_machines.starts == []


def test_nothing_begins_in_an_ended_run() -> None:
    world = a_calling_world()
    cancel_run(TENANT, "run-7", "bob", world)

    with pytest.raises(ConflictError):
        call(world)

    assert world.called_machines.starts == []


def test_nothing_begins_in_a_stopped_block() -> None:
    world = a_calling_world(IN_A_BLOCK)
    step_fails(world)

    with pytest.raises(ConflictError):
        call(world)

    assert world.called_machines.starts == []


def step_fails(world: MemoryWorld) -> None:
    with pytest.raises(Exception, match="breaks failed"):
        step(world, "breaks")


def test_an_execution_that_starts_too_late_is_stopped() -> None:
    world = a_calling_world()
    machines, start = world.called_machines, world.called_machines.start

    def start_after_the_end(of: Execution, input_text: str) -> None:
        end_the_attempt(world)
        start(of, input_text)

    vars(machines)["start"] = start_after_the_end
    with pytest.raises(ConflictError):
        call(world)

    assert machines.executions[execution(world)].status is ExecutionStatus.ABORTED


def end_the_attempt(world: MemoryWorld) -> None:
    """End the attempt as the reconciler does when the run was cancelled."""
    from taskrunner.runtime.leased_jobs import step_of  # noqa: PLC0415
    from taskrunner.usecases.recover_machine_call import recover_machine_call  # noqa: PLC0415

    cancel_run(TENANT, "run-7", "bob", world)
    job = world.jobs.get(TENANT, "run-7", "load")
    assert job is not None
    recover_machine_call(job, step_of(job, world))
