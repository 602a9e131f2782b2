"""The executions that steps have called are named: in the run, in the step, and in the evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskrunner.model.journal import Event
from taskrunner.model.machine_call import ExecutionStatus
from taskrunner.model.state.fold import fold
from taskrunner.usecases.read_state import run_state
from taskrunner.usecases.read_step import run_step_state
from taskrunner.usecases.settle_run import settle_run
from tests.packs import pack
from tests.unit.usecases.machine_call_run import (
    a_calling_world,
    call,
    called,
    execution,
    report_end,
)
from tests.unit.usecases.scenarios import TENANT, evidence_of

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

ARN = "arn:aws:states:us-east-1:123456789012:execution:memory_machine_import:"
RETRIED = pack("- {id: load, retries: {maxAttempts: 2}, run: {uses: states:import}}")


def ends(world: MemoryWorld, status: ExecutionStatus, output_text: str | None = None) -> None:
    of = execution(world)
    report_end(world, of, world.called_machines.end(of, status, output_text))


def arn(world: MemoryWorld, attempt: int = 1) -> str:
    return ARN + execution(world, attempt).name


def test_a_step_that_calls_a_machine_names_its_execution() -> None:
    world = called()

    (step,) = run_state(TENANT, "run-7", world)["steps"]

    assert step["executionArn"] == arn(world)
    assert step["executionUrl"].endswith(f"#/v2/executions/details/{arn(world)}")


def test_each_attempt_names_its_own() -> None:
    world = called(RETRIED)
    ends(world, ExecutionStatus.FAILED)
    call(world, token="token-2")

    view = run_step_state(TENANT, "run-7", "load", world)

    assert [attempt["executionArn"] for attempt in view["attemptHistory"]] == [
        arn(world, 1),
        arn(world, 2),
    ]
    assert view["executionArn"] == arn(world, 2)


def test_the_evidence_names_it() -> None:
    world = called()
    ends(world, ExecutionStatus.SUCCEEDED, "{}")
    settle_run(TENANT, "run-7", None, world)

    (step,) = evidence_of(world)["predicate"]["steps"]

    assert (step["machine"], step["execution"]) == ("import", execution(world).name)


def test_a_step_that_has_called_none_names_none() -> None:
    world = a_calling_world()

    (step,) = run_state(TENANT, "run-7", world)["steps"]

    assert "executionArn" not in step


def test_an_entry_without_the_name_is_read_too() -> None:
    world = called()
    run = world.runs.snapshot(TENANT, "run-7").run
    entries = [placed.entry for placed in world.runs.journal(TENANT, "run-7")]
    older = [
        replace(entry, metadata={"attempt": "1", "uses": "states:import"})
        if entry.event is Event.STEP_STARTED
        else entry
        for entry in entries
    ]

    (step,) = fold(world.plans.get(TENANT, run.plan_hash), older, run.created_at).steps

    assert (step.status.value, step.execution) == ("Running", None)
