"""The objectives of packs: a breach is recorded once, by the reconciler, when it is due."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from taskrunner.model import api_view
from taskrunner.model.due_work import DueKind
from taskrunner.model.run import RunStatus
from taskrunner.model.state.fold import fold
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.reconcile import reconcile
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    BOB,
    TENANT,
    a_world,
    decide,
    entry_ids,
    gate,
    step,
)

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

WATCHED = pack(
    """
    - {id: build, run: {uses: builtin:noop}}
    - {id: review, gate: {approval: {id: security}}}
    """,
    spec="""
    slo: {runP95Seconds: 300, approvalP95Seconds: 100}
    approvals: [{id: security}]
    """,
)
RUN_BREACH, GATE_BREACH = "run.slo-breached", "review#slo-breached"


def waiting() -> MemoryWorld:
    """A run whose gate waits since the run's creation."""
    world = a_world(WATCHED)
    step(world, "build")
    gate(world, "review")
    world.machines.statuses = dict.fromkeys(world.machines.started, "RUNNING")
    return world


def breaches(world: MemoryWorld) -> list[str]:
    return [entry for entry in entry_ids(world) if "slo-breached" in entry]


def after(world: MemoryWorld, seconds: float) -> MemoryWorld:
    world.clock.advance(seconds)
    reconcile(world)
    return world


def test_nothing_is_breached_before_its_time() -> None:
    assert breaches(after(waiting(), 99)) == []


def test_a_gate_that_waits_too_long_breaches_its_objective_and_no_other() -> None:
    assert breaches(after(waiting(), 101)) == [GATE_BREACH]


def test_a_run_that_takes_too_long_breaches_its_objective() -> None:
    assert set(breaches(after(waiting(), 301))) == {RUN_BREACH, GATE_BREACH}


def test_a_breach_is_recorded_once() -> None:
    world = after(after(after(waiting(), 301), 60), 3600)

    assert len(breaches(world)) == 2
    assert world.due_work.due(DueKind.OBJECTIVE, "9999", 10) == []


def test_a_gate_that_was_decided_in_time_breaches_nothing() -> None:
    world = waiting()
    world.clock.advance(99)
    decide(world, by=BOB)

    assert breaches(after(world, 10)) == []
    assert [item.name for item in world.due_work.due(DueKind.OBJECTIVE, "9999", 10)] == [""]


def test_a_gate_that_was_decided_too_late_and_before_the_look_breaches_its_objective() -> None:
    world = waiting()
    world.clock.advance(110)
    decide(world, by=BOB)

    assert breaches(after(world, 10)) == [GATE_BREACH]


def test_a_run_that_ended_in_time_breaches_nothing() -> None:
    world = waiting()
    world.clock.advance(90)
    cancel_run(TENANT, "run-7", "bob", world)

    assert breaches(after(world, 300)) == []


def test_a_run_that_ended_too_late_and_before_the_look_breaches_its_objective() -> None:
    world = waiting()
    world.clock.advance(310)
    cancel_run(TENANT, "run-7", "bob", world)

    assert set(breaches(after(world, 10))) == {RUN_BREACH, GATE_BREACH}


def test_the_log_shows_the_breach_and_the_state_does_not_change() -> None:
    world = after(waiting(), 301)
    run = world.runs.snapshot(TENANT, "run-7").run
    placed = world.runs.journal(TENANT, "run-7")
    logged = [json.loads(api_view.log_text(item)) for item in placed]

    assert [line["message"] for line in logged if line["eventType"] == "run.slo-breached"] == [
        "The gate review waits longer than 100 seconds, the pack's approvalP95Seconds.",
        "The run takes longer than 300 seconds, the pack's runP95Seconds.",
    ]
    plan = world.plans.get(TENANT, run.plan_hash)
    state = fold(plan, [item.entry for item in placed], run.created_at)
    assert state.status is RunStatus.WAITING


def test_a_run_whose_plan_retention_has_deleted_is_watched_no_more() -> None:
    world = waiting()
    world.plans.texts.clear()

    after(world, 301)

    assert breaches(world) == []
    assert world.due_work.due(DueKind.OBJECTIVE, "9999", 10) == []
