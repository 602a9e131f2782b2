from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import NotFoundError
from taskrunner.model.run import RunStatus
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.read_run import run_state
from taskrunner.usecases.settle_run import settle_run
from tests.unit.usecases.given import (
    GATED,
    TENANT,
    a_world,
    assert_heals,
    everything,
    gate,
    log,
    step,
)

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld


def waiting() -> MemoryWorld:
    world = a_world(GATED)
    step(world, "build")
    gate(world)
    return world


def test_what_has_not_ended_is_skipped_and_the_execution_stopped() -> None:
    world = waiting()

    assert cancel_run(TENANT, "run-7", "bob", world) == {"status": "cancelled"}

    state = run_state(TENANT, "run-7", world)
    assert state["status"] == "cancelled"
    assert [(one["status"], one.get("statusReason")) for one in state["steps"]] == [
        ("Succeeded", None),
        ("Skipped", "cancelled"),
        ("Skipped", "cancelled"),
    ]
    assert world.machines.stopped == set(world.machines.started)


def test_the_log_says_who_asked_for_it() -> None:
    world = waiting()

    cancel_run(TENANT, "run-7", "bob", world)

    requested, cancelled = (p.entry for p in world.runs.journal(TENANT, "run-7")[-2:])
    assert (requested.id, requested.metadata) == ("run.cancel-requested", {"by": "bob"})
    assert cancelled.id == "run.cancelled"


def test_cancelling_twice_answers_the_same_and_changes_nothing() -> None:
    world = waiting()
    first = cancel_run(TENANT, "run-7", "bob", world)
    before = everything(world)

    assert cancel_run(TENANT, "run-7", "carol", world) == first
    assert everything(world) == before


@pytest.mark.parametrize("error", [None, "StepFailedError"])
def test_cancelling_an_ended_run_changes_nothing(error: str | None) -> None:
    world = waiting()
    settle_run(TENANT, "run-7", error, world)
    before = everything(world)

    assert cancel_run(TENANT, "run-7", "bob", world) == {"status": "cancelled"}

    assert everything(world) == before
    assert world.machines.stopped == set()


def test_a_run_that_ends_at_the_same_moment_stays_as_it_ended() -> None:
    world = waiting()
    end = world.runs.end

    def settled_first(*args: object) -> RunStatus:
        world.runs.end = end  # type: ignore[method-assign]
        settle_run(TENANT, "run-7", None, world)
        return end(*args)  # type: ignore[arg-type]

    world.runs.end = settled_first  # type: ignore[method-assign, assignment]

    cancel_run(TENANT, "run-7", "bob", world)

    assert world.runs.head(TENANT, "run-7").run.outcome is RunStatus.SUCCEEDED
    assert "run.cancelled" not in log(world)
    assert world.machines.stopped == set()


def test_a_run_of_another_tenant_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        cancel_run("globex", "run-7", "bob", waiting())


def test_cancelling_again_after_a_crash_ends_as_if_nothing_had_failed() -> None:
    ways = assert_heals(waiting, lambda world: cancel_run(TENANT, "run-7", "bob", world))

    assert ways == 2 * 2 * 3
