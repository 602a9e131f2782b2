"""The end of the steps before `finally`: what it waits for, and which execution goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import ConflictError, StepFailedError, StepsStillRunError
from taskrunner.model.entries import step_entries
from taskrunner.model.run import RunStatus, StepsEnd
from taskrunner.usecases.begin_finally import begin_finally
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.read_approval import read_approval
from taskrunner.usecases.settle_run import settle_run
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    BOB,
    NOON,
    TENANT,
    a_world,
    assert_recovers,
    decide,
    entry_ids,
    gate,
    step,
)

if TYPE_CHECKING:
    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld

FINALLY = pack(
    """
    - {id: ship, run: {uses: builtin:noop}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    spec="finally: [{id: undo, run: {uses: builtin:noop}}]",
)

CONTAINED = pack(
    """
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
                - {id: ship, run: {uses: builtin:noop}}
                - {id: broken, run: {uses: builtin:fail}}
    """,
    spec="finally: [{id: undo, run: {uses: builtin:noop}}]",
)


ASKING = pack(
    "- {id: review, gate: {approval: {id: security}}}",
    spec="""
    approvals: [{id: security, grants: [packs.approve]}]
    finally: [{id: undo, run: {uses: builtin:noop}}]
    """,
)


def begin(world: MemoryWorld, error: str | None = None, execution: str | None = None) -> None:
    run = world.runs.snapshot(TENANT, "run-7").run
    begin_finally(TENANT, "run-7", error, execution or run.execution, world)


def steps_end(world: MemoryWorld) -> StepsEnd | None:
    return world.runs.snapshot(TENANT, "run-7").run.steps_end


def a_world_in_which_ship_runs(manifest: str = FINALLY) -> MemoryWorld:
    """A function executes `ship`, and has not come back."""
    world = a_world(manifest)
    started = step_entries.attempt_started("ship", 1, "builtin:noop", NOON)
    world.runs.append(world.runs.snapshot(TENANT, "run-7"), [started])
    return world


def test_begins_once_however_often_it_is_asked() -> None:
    world = a_world(FINALLY)
    step(world, "ship")
    step(world, "after")

    begin(world)
    begin(world, error="States.Timeout")

    assert steps_end(world) == StepsEnd(outcome=RunStatus.SUCCEEDED)
    assert entry_ids(world).count("run.steps-ended") == 1


def test_waits_for_a_step_that_may_still_finish_and_lets_no_other_start() -> None:
    world = a_world_in_which_ship_runs()

    with pytest.raises(StepsStillRunError):
        begin(world, error="Lambda.Unknown")

    assert steps_end(world) is None
    with pytest.raises(ConflictError):
        step(world, "after")


def test_waits_for_a_step_beside_a_failure_with_which_the_run_has_gone_on() -> None:
    world = a_world_in_which_ship_runs(CONTAINED)
    with pytest.raises(StepFailedError):
        step(world, "broken", is_retry=False)

    with pytest.raises(StepsStillRunError):
        begin(world)
    assert steps_end(world) is None
    world.clock.advance(961)
    begin(world)

    assert steps_end(world) == StepsEnd(outcome=RunStatus.SUCCEEDED)
    assert entry_ids(world)[-2:] == ["ship#1#ended", "run.steps-ended"]


def test_takes_a_step_as_lost_that_runs_for_longer_than_a_function_can() -> None:
    world = a_world_in_which_ship_runs()
    world.clock.advance(961)

    begin(world, error="Lambda.Unknown")

    end = steps_end(world)
    assert end is not None
    assert (end.outcome, end.failed_step, end.reason) == (
        RunStatus.FAILED,
        "ship",
        "executor-error",
    )


def test_a_stopped_execution_is_followed_by_another_one_and_runs_nothing_more_itself() -> None:
    world = a_world_in_which_ship_runs()
    first = world.runs.snapshot(TENANT, "run-7").run.execution

    assert settle_run(TENANT, "run-7", "ABORTED", world)["status"] == "unknown"
    world.clock.advance(961)
    assert settle_run(TENANT, "run-7", "ABORTED", world)["status"] == "unknown"

    run = world.runs.snapshot(TENANT, "run-7").run
    assert run.outcome is None
    assert run.execution == f"{first[:72]}-finally"
    assert run.steps_end is not None
    assert (run.steps_end.failed_step, run.steps_end.reason) == (None, "ABORTED")
    with pytest.raises(ConflictError) as refused:
        begin(world, execution=first)
    assert refused.value.code == "finally_elsewhere"


@pytest.mark.parametrize("ended_by", ["its machine", "EventBridge"])
def test_a_gate_of_stopped_steps_is_no_longer_listed_or_decided(ended_by: str) -> None:
    world = a_world(ASKING)
    gate(world)

    if ended_by == "EventBridge":
        settle_run(TENANT, "run-7", "ABORTED", world)
    else:
        begin(world, error="States.Timeout")

    shown = read_approval(TENANT, "run-7", "security", BOB, world)
    assert world.approvals.list_open(TENANT, 10, None).items == []
    assert (shown["status"], shown["gates"], shown["canDecide"]) == ("closed", [], False)
    with pytest.raises(ConflictError) as refused:
        decide(world)
    assert refused.value.code == "approval_not_open"


def test_a_gate_of_stopped_steps_is_closed_by_a_repeated_call() -> None:
    def arrange() -> MemoryWorld:
        world = a_world(ASKING)
        gate(world)
        return world

    run = arrange().runs.snapshot(TENANT, "run-7").run
    stopped = f"{run.machine}:{run.execution}"

    def act(world: World) -> None:
        # Once another execution runs `finally`, the answer about this one is not the same.
        settle_run(TENANT, "run-7", "ABORTED", world, execution=stopped)

    assert assert_recovers(arrange, act) > 10


def test_does_not_begin_in_a_run_that_was_cancelled() -> None:
    world = a_world(FINALLY)
    cancel_run(TENANT, "run-7", "ana", world)

    with pytest.raises(ConflictError) as refused:
        begin(world)

    assert refused.value.code == "run_ended"
