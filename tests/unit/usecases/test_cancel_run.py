from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import NotFoundError
from taskrunner.model.run import RunStatus
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.read_state import run_state
from taskrunner.usecases.settle_run import settle_run
from tests.unit.usecases.scenarios import (
    GATED,
    TENANT,
    a_world,
    assert_recovers,
    entry_ids,
    gate,
    step,
    stored_state,
)

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld


def waiting() -> MemoryWorld:
    world = a_world(GATED)
    step(world, "build")
    gate(world)
    return world


def test_skips_what_has_not_ended_and_stops_the_execution() -> None:
    world = waiting()

    answer = cancel_run(TENANT, "run-7", "bob", world)

    state = run_state(TENANT, "run-7", world)
    assert answer == {"status": "cancelled", "runStatus": "cancelled"}
    assert state["status"] == "cancelled"
    assert [(step["status"], step.get("statusReason")) for step in state["steps"]] == [
        ("Succeeded", None),
        ("Skipped", "cancelled"),
        ("Skipped", "cancelled"),
    ]
    assert world.machines.stopped == set(world.machines.started)


def test_logs_who_cancelled() -> None:
    world = waiting()

    cancel_run(TENANT, "run-7", "bob", world, caller_name="release-bot")

    requested, cancelled = (p.entry for p in world.runs.journal(TENANT, "run-7")[-2:])
    assert requested.id == "run.cancel-requested"
    assert requested.metadata == {"by": "bob", "byName": "release-bot"}
    assert cancelled.id == "run.cancelled"


def test_cancelling_twice_gives_the_same_answer_and_changes_nothing() -> None:
    world = waiting()
    first = cancel_run(TENANT, "run-7", "bob", world)
    before = stored_state(world)

    assert cancel_run(TENANT, "run-7", "carol", world) == first
    assert stored_state(world) == before


@pytest.mark.parametrize(("error", "status"), [(None, "succeeded"), ("StepFailedError", "failed")])
def test_cancelling_an_ended_run_changes_nothing_and_says_how_it_ended(
    error: str | None, status: str
) -> None:
    world = waiting()
    settle_run(TENANT, "run-7", error, world)
    before = stored_state(world)

    answer = cancel_run(TENANT, "run-7", "bob", world)

    assert answer == {"status": "cancelled", "runStatus": status}
    assert stored_state(world) == before
    assert world.machines.stopped == set()


def test_a_run_that_ends_at_the_same_time_keeps_its_outcome() -> None:
    world = waiting()
    end = world.runs.end

    def settled_first(*args: object) -> RunStatus:
        world.runs.end = end  # type: ignore[method-assign]
        settle_run(TENANT, "run-7", None, world)
        return end(*args)  # type: ignore[arg-type]

    world.runs.end = settled_first  # type: ignore[method-assign, assignment]

    answer = cancel_run(TENANT, "run-7", "bob", world)

    assert answer["runStatus"] == "succeeded"
    assert world.runs.snapshot(TENANT, "run-7").run.outcome is RunStatus.SUCCEEDED
    assert "run.cancelled" not in entry_ids(world)
    assert world.machines.stopped == set()


def test_does_not_find_a_run_of_another_tenant() -> None:
    with pytest.raises(NotFoundError):
        cancel_run("globex", "run-7", "bob", waiting())


def test_cancelling_again_after_a_crash_completes_the_cancellation() -> None:
    ways = assert_recovers(waiting, lambda world: cancel_run(TENANT, "run-7", "bob", world))

    assert ways == 2 * 2 * 4
