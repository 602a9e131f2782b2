"""The events and metrics of the entries that runs record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import TryAgainError
from taskrunner.model.entries import job_entries, run_entries, step_entries
from taskrunner.model.entries.run_entries import Objective
from taskrunner.model.lifecycle import EventName
from taskrunner.model.metrics import Metric
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.publish_events import AddedEntries, ClosedApproval, publish_events
from taskrunner.usecases.settle_run import settle_run
from tests.unit.usecases.scenarios import (
    BOB,
    GATED,
    NOON,
    PLAIN,
    TENANT,
    a_world,
    decide,
    gate,
    interruptions,
    step,
)

if TYPE_CHECKING:
    from taskrunner.model.journal import Entry
    from tests.fakes.world import MemoryWorld

RUN = "run-7"


def journal(world: MemoryWorld) -> list[Entry]:
    return [placed.entry for placed in world.runs.journal(TENANT, RUN)]


def added(world: MemoryWorld) -> list[AddedEntries]:
    """Return the journal as the stream brings it when each entry is a write of its own."""
    placed = world.runs.journal(TENANT, RUN)
    return [
        AddedEntries(
            TENANT,
            RUN,
            item.position.chunk,
            [
                before.entry
                for before in placed
                if before.position.chunk == item.position.chunk and before.position < item.position
            ],
            [item.entry],
        )
        for item in placed
    ]


def names(world: MemoryWorld) -> list[str]:
    return [event.name.value for event in world.events.published]


def approved(world: MemoryWorld) -> None:
    step(world, "build")
    gate(world, "review")
    world.clock.advance(120)
    decide(world, by=replace(BOB, grants=frozenset({"packs.approve"})))
    step(world, "ship")
    settle_run(TENANT, RUN, None, world)


def test_publishes_each_transition_of_a_run_with_a_gate() -> None:
    world = a_world(GATED)
    approved(world)

    publish_events(added(world), world)

    assert names(world) == [
        "run.created",
        "run.started",
        "gate.opened",
        "run.waiting",
        "gate.approved",
        "run.resumed",
        "run.succeeded",
    ]


def test_one_write_or_many_publish_the_same() -> None:
    world, other = a_world(GATED), a_world(GATED)
    approved(world)
    approved(other)
    whole = AddedEntries(TENANT, RUN, 0, [], journal(other))

    publish_events(added(world), world)
    publish_events([whole], other)

    assert world.events.published == other.events.published


def test_an_event_says_whose_run_and_which_pack_it_is() -> None:
    world = a_world(PLAIN)

    publish_events(added(world), world)

    (event,) = world.events.published
    run = world.runs.snapshot(TENANT, RUN).run
    assert event.occurred_at == NOON
    assert event.detail == {
        "version": "1",
        "id": event.detail["id"],
        "time": NOON,
        "tenant": TENANT,
        "runId": RUN,
        "pack": {"name": "plain", "version": "1.0.0"},
        "planHash": run.plan_hash,
        "createdAt": NOON,
        "createdBy": "ana",
    }


def test_events_of_one_entry_and_of_others_have_ids_of_their_own() -> None:
    world = a_world(GATED)
    approved(world)

    publish_events(added(world), world)
    publish_events(added(world), world)

    ids = [event.detail["id"] for event in world.events.published]
    assert ids[:7] == ids[7:]
    assert len(set(ids)) == 7


def test_a_gate_says_which_approval_it_waits_for_and_who_decided() -> None:
    world = a_world(GATED)
    approved(world)

    publish_events(added(world), world)

    details = {event.name: event.detail for event in world.events.published}
    opened, decided = details[EventName.GATE_OPENED], details[EventName.GATE_APPROVED]
    assert (opened["stepId"], opened["approvalId"]) == ("review", "security")
    assert opened["expiresAt"] == "2025-12-06T13:00:00.000Z"
    assert (decided["stepId"], decided["approver"]) == ("review", "bob")
    assert details[EventName.RUN_SUCCEEDED]["durationSeconds"] == 120


def test_a_cancelled_run_does_not_resume_before_its_end() -> None:
    world = a_world(GATED)
    step(world, "build")
    gate(world, "review")
    cancel_run(TENANT, RUN, "bob", world)

    publish_events(added(world), world)

    assert names(world)[-3:] == ["gate.opened", "run.waiting", "run.cancelled"]


def test_a_breach_of_an_objective_does_not_resume_a_waiting_run() -> None:
    world = a_world(GATED)
    step(world, "build")
    gate(world, "review")
    breach = run_entries.slo_breached(Objective.RUN, 60, NOON)

    publish_events([AddedEntries(TENANT, RUN, 0, journal(world), [breach])], world)

    (event,) = world.events.published
    assert event.name is EventName.SLO_BREACHED
    assert (event.detail["objective"], event.detail["limitSeconds"]) == ("runP95Seconds", 60)
    assert world.metrics.values(Metric.SLO_BREACHES) == [1]


def test_publishes_offered_and_lost_jobs_and_not_their_output() -> None:
    world = a_world(PLAIN)
    entries = [
        job_entries.job_offered("ship", 1, "linux", NOON),
        step_entries.attempt_started("ship", 1, "worker:linux", NOON, worker="build-7"),
        job_entries.output_written("ship", 1, "private", NOON, number="1", stream="stdout"),
        job_entries.worker_lost(
            "ship", 1, "linux", "build-7", NOON, losses=0, cause=job_entries.LossCause.SILENT
        ),
    ]

    publish_events([AddedEntries(TENANT, RUN, 0, journal(world), entries)], world)

    offered, lost = world.events.published
    assert (offered.name, lost.name) == (EventName.STEP_OFFERED, EventName.STEP_WORKER_LOST)
    job = {"stepId": "ship", "attempt": 1, "pool": "linux"}
    assert offered.detail.items() >= job.items()
    assert lost.detail.items() >= (job | {"worker": "build-7"}).items()
    assert "private" not in str(world.events.published)
    assert world.metrics.values(Metric.WORKERS_LOST) == [1]


def test_the_wait_for_a_worker_is_no_wait_of_the_service() -> None:
    world = a_world(PLAIN)
    offered = job_entries.job_offered("ship", 1, "linux", NOON)
    leased_at = "2025-12-06T18:00:00.000Z"
    started = step_entries.attempt_started("ship", 1, "worker:linux", leased_at, worker="build-7")

    publish_events([AddedEntries(TENANT, RUN, 0, [offered], [started])], world)

    assert world.metrics.values(Metric.STEP_WAIT) == []


def test_reads_the_status_before_a_chunk_from_the_chunk_before() -> None:
    world = a_world(GATED)
    step(world, "build")
    gate(world, "review")
    stored = world.runs.stored[TENANT, RUN]
    stored.journal += [
        run_entries.slo_breached(Objective.APPROVAL, 60, NOON, step_path=f"gate-{number}")
        for number in range(8 - len(stored.journal))
    ]

    publish_events([AddedEntries(TENANT, RUN, 1, [], [run_entries.run_started(NOON)])], world)

    assert names(world) == ["run.started", "run.resumed"]


def test_measures_runs_steps_and_gates() -> None:
    world = a_world(GATED)
    approved(world)
    closed = ClosedApproval(TENANT, RUN, NOON, "2025-12-06T12:02:00.000Z")

    publish_events([*added(world), closed], world)

    values = world.metrics.values
    assert values(Metric.RUNS_CREATED) == values(Metric.RUNS_SUCCEEDED) == [1]
    assert values(Metric.RUN_TIME) == [120]
    assert values(Metric.GATES_OPENED) == values(Metric.GATES_APPROVED) == [1]
    assert values(Metric.GATE_WAIT) == [120]
    assert len(values(Metric.STEP_TIME)) == len(values(Metric.STEP_WAIT)) == 2
    assert world.metrics.recorded[0][1] == {"tenant": TENANT, "run": RUN}


def test_measures_nothing_when_the_bus_refuses() -> None:
    world = a_world(PLAIN)
    world.events.is_down = True

    with pytest.raises(TryAgainError):
        publish_events(added(world), world)

    assert world.metrics.recorded == []


def test_publishes_nothing_of_a_run_that_retention_has_deleted() -> None:
    world = a_world(PLAIN)
    changes = added(world)
    world.runs.stored.clear()

    assert publish_events(changes, world) == 0


def test_a_batch_that_is_repeated_after_any_failure_publishes_everything() -> None:
    def arrange() -> MemoryWorld:
        world = a_world(GATED)
        approved(world)
        world.events.published.clear()
        return world

    healthy = arrange()
    publish_events(added(healthy), healthy)
    expected = {event.detail["id"] for event in healthy.events.published}
    ways = 0
    for interrupted in interruptions(arrange):
        world = interrupted(lambda failing: publish_events(added(healthy), failing))
        if world is None:
            continue
        ways += 1
        measured_before = len(world.metrics.recorded)
        publish_events(added(healthy), world)

        assert {event.detail["id"] for event in world.events.published} == expected
        if measured_before == 0:
            assert len(world.metrics.recorded) == len(healthy.metrics.recorded)
    assert ways > 10
