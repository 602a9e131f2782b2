from __future__ import annotations

from typing import Any

import pytest

from taskrunner.errors import NotFoundError, TryAgainError
from taskrunner.model.run import RunStatus
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.settle_run import settle_run
from taskrunner.usecases.start_run import start_run
from tests.fakes.failing_world import CrashError, FailingWorld, Failure
from tests.fakes.world import MemoryWorld
from tests.unit.usecases.given import (
    GATED,
    TENANT,
    a_request,
    a_world,
    assert_heals,
    everything,
    told,
)


def not_started(error: type[BaseException]) -> MemoryWorld:
    """A world in which a run was recorded, and creating it failed before its execution began."""
    world = MemoryWorld()
    failing: Any = FailingWorld(world, Failure(call=5, effect_lost=True, error=error))
    told(lambda: create_run(a_request(GATED, idempotency_key="k-1"), failing))
    assert failing.calls[-1] == "machines.start"
    assert list(world.runs.stored) == [(TENANT, "run-7")]
    return world


@pytest.mark.parametrize("error", [TryAgainError, CrashError])
def test_a_run_that_was_left_behind_is_started_as_at_its_creation(
    error: type[BaseException],
) -> None:
    world = not_started(error)

    assert start_run(TENANT, "run-7", world) == {"started": True}

    assert everything(world) == everything(a_world(GATED, idempotency_key="k-1"))


def test_starting_a_run_that_runs_changes_nothing() -> None:
    world = a_world(GATED)
    before = everything(world)

    start_run(TENANT, "run-7", world)

    assert everything(world) == before


def test_it_says_when_there_is_no_room() -> None:
    world = not_started(CrashError)
    failing: Any = FailingWorld(world, Failure(call=3, effect_lost=True, error=TryAgainError))

    assert start_run(TENANT, "run-7", failing) == {"started": False}


def test_a_run_that_has_ended_is_not_started() -> None:
    world = not_started(CrashError)
    settle_run(TENANT, "run-7", "NOT_STARTED", world)

    assert start_run(TENANT, "run-7", world) == {"started": True}

    assert world.runs.head(TENANT, "run-7").run.outcome is RunStatus.FAILED
    assert world.machines.started == {}


def test_an_unknown_run_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        start_run(TENANT, "nowhere", MemoryWorld())


def test_a_crash_is_healed_by_trying_again() -> None:
    ways = assert_heals(
        lambda: not_started(CrashError), lambda world: start_run(TENANT, "run-7", world)
    )

    assert ways == 2 * 2 * 3
