from __future__ import annotations

from typing import Any

import pytest

from taskrunner.errors import MachineQuotaError, NotFoundError, TryAgainError
from taskrunner.model import canonical_json
from taskrunner.model.run import RunStatus
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.settle_run import settle_run
from taskrunner.usecases.start_run import start_run
from tests.fakes.failing_world import CrashError, FailingWorld, Failure
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    GATED,
    TENANT,
    a_request,
    a_world,
    assert_recovers,
    result_of,
    stored_state,
)


def not_started(
    error: type[BaseException],
    manifest: str = GATED,
    **changes: Any,  # noqa: ANN401 - any field
) -> MemoryWorld:
    """A world in which a run was recorded, and creating it failed before its execution began."""
    world = MemoryWorld()
    failing: Any = FailingWorld(world, Failure(call=6, effect_lost=True, error=error))
    result_of(lambda: create_run(a_request(manifest, idempotency_key="k-1", **changes), failing))
    assert failing.calls[-1] == "machines.start"
    assert list(world.runs.stored) == [(TENANT, "run-7")]
    return world


@pytest.mark.parametrize("error", [TryAgainError, CrashError])
def test_starts_a_recorded_run_as_its_creation_would_have(
    error: type[BaseException],
) -> None:
    world = not_started(error)

    assert start_run(TENANT, "run-7", world)

    assert stored_state(world) == stored_state(a_world(GATED, idempotency_key="k-1"))


EACH = pack(
    """
    - {id: each, map: {items: inputs.hosts, step: {id: a, run: {uses: builtin:noop}}}}
    - {id: fixed, map: {items: {static: [1]}, step: {id: b, run: {uses: builtin:noop}}}}
    """,
    spec="inputs: [{name: hosts, type: array}]",
)


def test_starts_a_recorded_run_with_the_machine_that_its_hash_names() -> None:
    world = not_started(CrashError, EACH, inputs={"hosts": ["x"]})

    start_run(TENANT, "run-7", world)

    run = world.runs.snapshot(TENANT, "run-7").run
    assert canonical_json.digest(world.machines.definitions[run.machine]) == run.definition_hash


def test_starting_a_running_run_changes_nothing() -> None:
    world = a_world(GATED)
    before = stored_state(world)

    start_run(TENANT, "run-7", world)

    assert stored_state(world) == before


def test_reports_when_aws_is_too_busy() -> None:
    for call in (3, 4):  # naming the machine, and starting its execution
        world = not_started(CrashError)
        failing: Any = FailingWorld(
            world, Failure(call=call, effect_lost=True, error=TryAgainError)
        )

        assert not start_run(TENANT, "run-7", failing)


def test_a_full_account_is_no_reason_to_give_up() -> None:
    world = not_started(CrashError)
    world.machines.name_refusal = MachineQuotaError()

    assert not start_run(TENANT, "run-7", world)


def test_starts_a_run_on_a_machine_of_the_release_that_is_deployed_now() -> None:
    world = not_started(CrashError)
    before = world.runs.snapshot(TENANT, "run-7").run.machine
    world.machines.release = "second"

    start_run(TENANT, "run-7", world)

    run = world.runs.snapshot(TENANT, "run-7").run
    assert run.machine != before
    assert list(world.machines.definitions) == [run.machine]
    assert list(world.machines.started) == [run.execution]


def test_does_not_move_a_run_that_has_ended_meanwhile() -> None:
    world = not_started(CrashError)
    world.machines.release = "second"
    before = world.runs.snapshot(TENANT, "run-7").run

    class EndedMeanwhile(FailingWorld):
        def perform(self, name: str, call: Any) -> Any:  # noqa: ANN401
            if name == "runs.move":
                settle_run(TENANT, "run-7", "NOT_STARTED", world)
            return super().perform(name, call)

    never = Failure(call=0, effect_lost=True, error=CrashError)
    ended: Any = EndedMeanwhile(world, never)
    start_run(TENANT, "run-7", ended)

    assert world.runs.snapshot(TENANT, "run-7").run.machine == before.machine


def test_does_not_start_a_run_that_has_ended() -> None:
    world = not_started(CrashError)
    settle_run(TENANT, "run-7", "NOT_STARTED", world)

    assert start_run(TENANT, "run-7", world)

    assert world.runs.snapshot(TENANT, "run-7").run.outcome is RunStatus.FAILED
    assert world.machines.started == {}


def test_does_not_find_an_unknown_run() -> None:
    with pytest.raises(NotFoundError):
        start_run(TENANT, "nowhere", MemoryWorld())


def test_starting_again_after_a_crash_starts_the_run() -> None:
    ways = assert_recovers(
        lambda: not_started(CrashError), lambda world: start_run(TENANT, "run-7", world)
    )

    assert ways == 2 * 2 * 4
