"""A heartbeat renews the lease, records output once, and says whether the worker goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ConflictError, NotFoundError, TryAgainError
from taskrunner.model.job import Job, lease_id
from taskrunner.model.journal import Event
from taskrunner.usecases.cancel_run import cancel_run
from tests.packs import pack
from tests.unit.usecases.jobs import (
    LANES,
    RETRIED,
    TESTS,
    WORKER,
    beat,
    entries,
    fail,
    job,
    lease,
    leased,
    recover,
    succeed,
    text,
)
from tests.unit.usecases.scenarios import TENANT, a_world, interruptions, result_of, step

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

SHORT = pack("- {id: tests, timeoutSeconds: 60, run: {uses: worker:linux, with: {script: a}}}")


def lost(world: MemoryWorld, work: Any, **changes: Any) -> str:  # noqa: ANN401
    """Return the code of the refusal of a heartbeat."""
    with pytest.raises(ConflictError) as refused:
        beat(world, work, **changes)
    return refused.value.code


def test_a_heartbeat_renews_the_lease() -> None:
    world = a_world(TESTS)
    work = leased(world)
    world.clock.advance(30)

    answer = beat(world, work)

    assert answer == {
        "action": "continue",
        "expiresAt": "2025-12-06T12:01:15.000Z",
        "outputBytesLeft": 65536,
    }
    assert recover(world, after_s=20) == 1  # the reconciler looks, and finds the lease renewed
    assert job(world).losses == 0


def test_a_lease_that_has_expired_is_renewed_while_nobody_has_given_the_job_away() -> None:
    world = a_world(TESTS)
    work = leased(world)
    world.clock.advance(300)

    assert beat(world, work)["action"] == "continue"


def test_output_is_recorded_once_and_in_order() -> None:
    world = a_world(TESTS)
    work = leased(world)

    beat(world, work, text(1, "one\n"))
    beat(world, work, text(1, "one\n"))
    beat(world, work, text(1, "one\n"), text(2, "two\n"), text(4, "four\n"))
    beat(world, work, text(3, "late\n"))

    assert [entry.message for entry in entries(world, Event.STEP_OUTPUT)] == [
        "one\n",
        "two\n",
        "four\n",
    ]


def test_output_of_a_report_that_meets_another_is_recorded_too() -> None:
    world = a_world(TESTS)
    work = leased(world)
    renew = world.jobs.renew

    def be_second(*arguments: Any) -> bool:  # noqa: ANN401
        world.jobs.renew = renew  # type: ignore[method-assign]
        beat(world, work, text(1, "one\n"))
        return renew(*arguments)

    world.jobs.renew = be_second  # type: ignore[method-assign, assignment]
    beat(world, work, text(1, "one\n"), text(2, "two\n"))

    assert [entry.message for entry in entries(world, Event.STEP_OUTPUT)] == ["one\n", "two\n"]


def test_a_report_that_always_meets_others_is_made_again_by_the_worker() -> None:
    world = a_world(TESTS)
    work = leased(world)
    world.jobs.renew = lambda *_: False  # type: ignore[method-assign]

    with pytest.raises(TryAgainError):
        beat(world, work)


def test_a_worker_stops_when_its_time_is_over_and_has_a_moment_to_report() -> None:
    world = a_world(SHORT)
    work = leased(world)
    world.clock.advance(50)
    before = beat(world, work)
    world.clock.advance(10)

    answer = beat(world, work)

    assert (before["action"], before["expiresAt"]) == ("continue", "2025-12-06T12:01:30.000Z")
    assert (answer["action"], answer["reason"]) == ("stop", "timeout")
    assert answer["expiresAt"] == "2025-12-06T12:01:30.000Z"


def test_a_worker_of_a_cancelled_run_stops() -> None:
    world = a_world(TESTS)
    work = leased(world)
    cancel_run(TENANT, "run-7", "ana", world)

    answer = beat(world, work, text(1, "still there\n"))

    assert (answer["action"], answer["reason"]) == ("stop", "cancelled")
    assert answer["expiresAt"] == work["expiresAt"]
    assert [entry.message for entry in entries(world, Event.STEP_OUTPUT)] == ["still there\n"]


def test_a_worker_in_a_stopped_block_stops() -> None:
    world = a_world(LANES)
    work = leased(world)
    result_of(lambda: step(world, "broken"))

    answer = beat(world, work)

    assert (answer["action"], answer["reason"]) == ("stop", "run-failed")


class TestALostLease:
    def test_is_one_that_was_given_to_another_worker(self) -> None:
        world = a_world(TESTS)
        first = leased(world)
        recover(world, after_s=46)
        second = lease(world)

        assert lost(world, first) == "lease_lost"
        assert beat(world, second)["action"] == "continue"

    def test_is_one_whose_job_waits_again(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        recover(world, after_s=46)

        assert lost(world, work) == "lease_lost"

    def test_is_one_whose_attempt_has_ended(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        succeed(world, work)

        assert lost(world, work) == "lease_lost"

    def test_is_one_of_an_earlier_attempt(self) -> None:
        world = a_world(RETRIED)
        first = leased(world)
        fail(world, first)
        leased(world)

        assert lost(world, first) == "lease_lost"

    def test_is_one_with_another_secret(self) -> None:
        world = a_world(TESTS)

        assert lost(world, leased(world), secret="x" * 43) == "lease_lost"

    def test_is_one_of_another_client_of_the_tenant(self) -> None:
        world = a_world(TESTS)
        other = replace(WORKER, subject="other-workers")

        assert lost(world, leased(world), caller=other) == "lease_lost"


class TestNoLease:
    def test_is_there_for_another_tenant_s_worker_with_a_stolen_secret(self) -> None:
        world = a_world(TESTS)
        stranger = replace(WORKER, tenants=("umbrella",))
        work = leased(world)

        with pytest.raises(NotFoundError):
            beat(world, work, caller=stranger)

    def test_is_there_for_a_step_that_was_not_offered(self) -> None:
        world = a_world(TESTS)
        named = lease_id(
            Job(
                tenant=TENANT,
                run_id="run-7",
                step_path="other",
                attempt=1,
                pool="linux",
                offered_at="",
                waits_since="",
            )
        )

        with pytest.raises(NotFoundError):
            beat(world, {"leaseId": named, "secret": "x" * 43})

    def test_is_there_in_a_run_that_retention_has_deleted(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        world.plans.texts.clear()

        with pytest.raises(NotFoundError):
            beat(world, work)


def test_output_is_recorded_once_whatever_fails() -> None:
    works: list[Any] = []

    def running() -> MemoryWorld:
        world = a_world(TESTS)
        works[:] = [leased(world)]
        return world

    ways = 0
    for interrupted in interruptions(running):
        world = interrupted(lambda failing: beat(failing, works[0], text(1, "one\n")))
        if world is None:
            continue
        ways += 1
        beat(world, works[0], text(1, "one\n"), text(2, "two\n"))

        assert [entry.message for entry in entries(world, Event.STEP_OUTPUT)] == ["one\n", "two\n"]
    assert ways > 5
