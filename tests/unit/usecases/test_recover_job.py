"""A job that nobody reports about waits for another worker, fails, or is answered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus
from taskrunner.usecases.cancel_run import cancel_run
from tests.packs import pack
from tests.unit.usecases.jobs import (
    COUNTED,
    LANES,
    RETRIED,
    TESTS,
    beat,
    entries,
    fail,
    is_left,
    job,
    lease,
    leased,
    offer,
    recover,
    succeed,
)
from tests.unit.usecases.scenarios import (
    TENANT,
    a_world,
    entry_ids,
    interruptions,
    result_of,
    step,
)

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

DAY_S = 24 * 3600


def failures(world: MemoryWorld) -> list[tuple[str, str]]:
    return [(e.metadata["reason"], e.message) for e in entries(world, Event.STEP_FAILED)]


class TestALostWorker:
    def test_lets_its_job_wait_again_as_the_same_attempt(self) -> None:
        world = a_world(TESTS)
        leased(world)

        recover(world, after_s=46)

        (lost,) = entries(world, Event.STEP_WORKER_LOST)
        assert lost.message == (
            "The worker build-7 was lost: it has not reported for too long. "
            "Waiting for another worker of the pool linux: tests"
        )
        assert lease(world)["attempt"] == 1
        assert entry_ids(world)[-2:] == ["tests#1#lost#1", "tests#1#started#2"]
        assert world.jobs.answers == []

    def test_is_not_lost_before_its_lease_ends(self) -> None:
        world = a_world(TESTS)
        leased(world)

        assert recover(world, after_s=44) == 0

    def test_is_not_lost_while_it_reports(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        for _ in range(20):
            world.clock.advance(30)
            beat(world, work)
            recover(world)

        assert job(world).losses == 0
        assert recover(world, after_s=45) == 1
        assert job(world).losses == 1

    def test_gives_its_job_back_at_the_place_that_it_had(self) -> None:
        world = a_world(TESTS)
        leased(world)
        offered_at = job(world).offered_at

        recover(world, after_s=46)

        assert job(world).offered_at == offered_at
        assert job(world).waits_since == "2025-12-06T12:00:46.000Z"

    def test_is_followed_by_at_most_three_others(self) -> None:
        world = a_world(TESTS)
        offer(world)
        for _ in range(4):
            assert lease(world) is not None
            recover(world, after_s=46)

        assert failures(world) == [
            (
                "worker-lost",
                "its worker build-7, the last of 4, was lost: it has not reported for too long",
            )
        ]
        assert world.jobs.answers == [("token-1", "StepFailedError")]
        assert not is_left(world)

    def test_counts_anew_in_the_next_attempt(self) -> None:
        world = a_world(RETRIED)
        leased(world)
        recover(world, after_s=46)
        fail(world, lease(world))
        offer(world, token="token-2")

        assert (job(world).attempt, job(world).losses) == (2, 0)

    def test_fails_the_attempt_if_the_pack_counts_it(self) -> None:
        world = a_world(COUNTED)
        leased(world)

        recover(world, after_s=46)

        assert failures(world) == [
            ("worker-lost", "its worker build-7 was lost: it has not reported for too long")
        ]
        assert world.jobs.answers == [("token-1", "AttemptFailedError")]

    def test_beyond_the_time_limit_is_a_timeout(self) -> None:
        world = a_world(
            pack("- {id: tests, timeoutSeconds: 9, run: {uses: worker:linux, with: {script: a}}}")
        )
        leased(world)

        recover(world, after_s=40)

        assert failures(world) == [
            (
                "timeout",
                "it took longer than its time limit, and its worker build-7 did not report",
            )
        ]

    def test_of_a_cancelled_run_leaves_nothing_behind(self) -> None:
        world = a_world(TESTS)
        leased(world)
        cancel_run(TENANT, "run-7", "ana", world)

        recover(world, after_s=46)

        assert world.jobs.answers[-1][0] == "token-1"
        assert not is_left(world)
        assert world.runs.outcomes(TENANT, "run-7", ["tests"]) == {}

    def test_in_a_stopped_block_has_failed_with_it(self) -> None:
        world = a_world(LANES)
        leased(world)
        result_of(lambda: step(world, "broken"))

        recover(world, after_s=46)

        assert ("run-failed", "its worker build-7 was lost after another step had failed") in (
            failures(world)
        )
        assert not is_left(world)

    def test_that_reports_meanwhile_keeps_the_job(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        world.clock.advance(46)
        give_back = world.jobs.give_back

        def after_a_report(*arguments: Any) -> bool:  # noqa: ANN401
            beat(world, work)
            return give_back(*arguments)

        world.jobs.give_back = after_a_report  # type: ignore[method-assign, assignment]
        recover(world)

        assert entries(world, Event.STEP_WORKER_LOST) == []
        assert succeed(world, work)["status"] == "Succeeded"

    def test_that_ends_the_attempt_meanwhile_has_ended_it(self) -> None:
        world = a_world(COUNTED)
        work = leased(world)
        world.clock.advance(46)
        record = world.runs.record_step

        def after_an_end(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401
            world.runs.record_step = record  # type: ignore[method-assign]
            succeed(world, work)
            return record(*arguments, **more)

        world.runs.record_step = after_an_end  # type: ignore[method-assign]
        recover(world)

        assert failures(world) == []
        assert world.jobs.answers[0] == ("token-1", None)
        assert not is_left(world)


class TestAJobThatWaits:
    def test_for_a_day_has_failed(self) -> None:
        world = a_world(TESTS)
        offer(world)

        assert recover(world, after_s=DAY_S - 1) == 0
        assert recover(world, after_s=1) == 1

        ((reason, message),) = failures(world)
        assert reason == "timeout"
        assert message == (
            "no worker of the pool linux took it within 24 hours; start a worker of this pool "
            "with the labels of the step, and run the pack again"
        )
        assert world.jobs.answers == [("token-1", "StepFailedError")]
        assert not is_left(world)

    def test_has_another_day_after_its_worker_was_lost(self) -> None:
        world = a_world(TESTS)
        offer(world)
        world.clock.advance(DAY_S - 60)
        lease(world)
        recover(world, after_s=46)

        recover(world, after_s=DAY_S - 1)
        before = failures(world)
        recover(world, after_s=1)

        assert before == []
        assert [reason for reason, _ in failures(world)] == ["timeout"]

    @pytest.mark.parametrize("withdraws", [True, False])
    def test_in_a_cancelled_run_is_removed(self, *, withdraws: bool) -> None:
        world = a_world(TESTS)
        offer(world)
        answer = world.jobs.answer
        world.jobs.answer = lambda *_: None  # type: ignore[method-assign]
        if not withdraws:
            world.jobs.withdraw = lambda _job: False  # type: ignore[method-assign, assignment]
        cancel_run(TENANT, "run-7", "ana", world)
        world.jobs.answer = answer  # type: ignore[method-assign]
        world.jobs.__dict__.pop("withdraw", None)

        recover(world, after_s=DAY_S + 60)

        assert world.jobs.answers == [("token-1", "ConflictError")]
        assert not is_left(world)
        assert failures(world) == []


class TestAnUnansweredMachine:
    def test_learns_of_a_success(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        answer = world.jobs.answer
        world.jobs.answer = lambda *_: None  # type: ignore[method-assign]
        succeed(world, work)
        world.jobs.answer = answer  # type: ignore[method-assign]

        recover(world, after_s=61)

        assert world.jobs.answers == [("token-1", None)]
        assert not is_left(world)

    def test_learns_of_a_failure(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        answer = world.jobs.answer
        world.jobs.answer = lambda *_: None  # type: ignore[method-assign]
        fail(world, work)
        world.jobs.answer = answer  # type: ignore[method-assign]

        recover(world, after_s=61)

        assert world.jobs.answers == [("token-1", "StepFailedError")]
        assert not is_left(world)


class TestARunThatRetentionHasDeleted:
    def test_leaves_no_job_that_waits(self) -> None:
        world = a_world(TESTS)
        offer(world)
        world.plans.texts.clear()

        recover(world, after_s=DAY_S)

        assert not is_left(world)

    def test_leaves_no_job_that_a_worker_had(self) -> None:
        world = a_world(TESTS)
        leased(world)
        world.plans.texts.clear()

        recover(world, after_s=46)

        assert not is_left(world)


def test_a_loss_is_recorded_once_whatever_fails() -> None:
    def lost() -> MemoryWorld:
        world = a_world(TESTS)
        leased(world)
        world.clock.advance(46)
        return world

    ways = 0
    for interrupted in interruptions(lost):
        world = interrupted(recover)  # type: ignore[arg-type]
        if world is None:
            continue
        ways += 1
        recover(world, after_s=60)
        succeed(world, lease(world))

        assert job(world).losses == 1
        assert len(entries(world, Event.STEP_WORKER_LOST)) == 1
        assert world.runs.snapshot(TENANT, "run-7").run.outcome is not RunStatus.FAILED
        assert not is_left(world)
    assert ways > 4


def test_a_job_that_is_gone_is_due_no_more() -> None:
    world = a_world(TESTS)
    leased(world)
    world.jobs.stored.clear()

    assert recover(world, after_s=46) == 1
    assert recover(world, after_s=DAY_S) == 0


def test_a_record_of_another_job_is_left_alone() -> None:
    world = a_world(TESTS)
    leased(world)
    changed = replace(job(world), attempt=2, lease=None)
    world.jobs.stored[TENANT, "run-7", "tests"].job = changed

    recover(world, after_s=46)

    assert job(world) == changed
