"""A step's attempt is offered to its pool once; a machine with nothing to wait for is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ConflictError
from taskrunner.model.approval import Verdict
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.read_state import run_state
from tests.packs import pack
from tests.unit.usecases.jobs import (
    LANES,
    RETRIED,
    TESTS,
    entries,
    fail,
    is_left,
    job,
    lease,
    leased,
    offer,
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
    from taskrunner.model.job import Job

LABELLED = pack(
    """
    - {id: first, run: {uses: builtin:noop, with: {gpu: h100, n: 5}}}
    - id: tests
      run:
        uses: worker:linux
        with: {script: make, labels: {gpu: "{{ steps.first.outputs.gpu }}"}}
    """
)


def test_a_step_waits_in_its_pool() -> None:
    world = a_world(TESTS)

    assert offer(world) == {"status": "offered", "attempt": 1}

    (waiting,) = world.jobs.waiting(TENANT, "linux", {})
    assert (waiting.step_path, waiting.attempt, waiting.losses) == ("tests", 1, 0)
    assert entry_ids(world) == ["run.created", "run.started", "tests#1#offered"]
    assert world.jobs.answers == []
    (shown,) = run_state(TENANT, "run-7", world)["steps"]
    assert (shown["status"], shown["statusReason"]) == ("Pending", "waiting-for-worker")


def test_a_repeated_call_offers_nothing_more_and_its_token_counts() -> None:
    world = a_world(TESTS)
    offer(world, token="first")

    assert offer(world, token="second") == {"status": "offered", "attempt": 1}
    succeed(world, lease(world))

    assert len(entries(world, Event.STEP_OFFERED)) == 1
    assert world.jobs.answers == [("second", None)]


def test_a_call_that_is_repeated_while_a_worker_runs_the_job_keeps_the_lease() -> None:
    world = a_world(TESTS)
    work = leased(world)

    offer(world, token="second")

    assert succeed(world, work) == {"status": "Succeeded", "attempt": 1}
    assert world.jobs.answers == [("second", None)]


def test_a_call_that_is_repeated_after_the_end_is_answered_at_once() -> None:
    world = a_world(TESTS)
    succeed(world, leased(world), outputs={"n": 1})

    assert offer(world, token="second") == {"status": "Succeeded", "attempt": 1}

    assert world.approvals.woken == {"second": Verdict.APPROVED}
    assert len(entries(world, Event.STEP_OFFERED)) == 1


def test_a_call_that_is_repeated_after_the_last_failure_fails_again() -> None:
    world = a_world(TESTS)
    fail(world, leased(world))

    assert offer(world, token="second") == {"status": "Failed", "attempt": 1}

    assert world.approvals.refused == {"second": "StepFailedError"}


def test_a_call_after_a_failure_that_is_not_the_last_offers_the_next_attempt() -> None:
    world = a_world(RETRIED)
    fail(world, leased(world))

    assert offer(world, token="second") == {"status": "offered", "attempt": 2}

    assert job(world).attempt == 2
    assert [entry.id for entry in entries(world, Event.STEP_OFFERED)] == [
        "tests#1#offered",
        "tests#2#offered",
    ]


def test_a_skipped_step_is_offered_to_nobody() -> None:
    world = a_world(
        pack(
            """
            - {id: first, run: {uses: builtin:noop, with: {n: 1}}}
            - id: tests
              when: steps.first.outputs.n == `2`
              run: {uses: worker:linux, with: {script: make}}
            """
        )
    )
    step(world, "first")

    assert offer(world) == {"status": "Skipped"}

    assert world.approvals.woken == {"token-1": Verdict.APPROVED}
    assert list(world.jobs.waiting(TENANT, "linux", {})) == []


def test_labels_are_filled_in() -> None:
    world = a_world(LABELLED)
    step(world, "first")
    offer(world)

    assert job(world).labels == {"gpu": "h100"}


def test_labels_that_are_not_texts_fail_the_attempt_and_nothing_waits() -> None:
    world = a_world(LABELLED.replace("outputs.gpu", "outputs.n"))
    step(world, "first")

    assert offer(world) == {"status": "Failed", "attempt": 1}

    (failed,) = entries(world, Event.STEP_FAILED)
    assert failed.message == "with.labels: must be a mapping of names to texts, without secrets"
    assert world.approvals.refused == {"token-1": "StepFailedError"}
    assert not is_left(world)
    assert world.runs.snapshot(TENANT, "run-7").run.outcome is RunStatus.FAILED


def test_nothing_is_offered_in_a_run_that_has_ended() -> None:
    world = a_world(TESTS)
    cancel_run(TENANT, "run-7", "ana", world)

    with pytest.raises(ConflictError) as refused:
        offer(world)

    assert refused.value.code == "run_ended"
    assert not is_left(world)


def test_nothing_is_offered_in_a_block_that_a_failure_has_stopped() -> None:
    world = a_world(LANES)
    result_of(lambda: step(world, "broken"))

    with pytest.raises(ConflictError) as refused:
        offer(world)

    assert refused.value.code == "block_stopped"
    assert not is_left(world)


def test_an_offer_that_fails_anywhere_is_made_by_the_next_call() -> None:
    ways = 0
    for interrupted in interruptions(lambda: a_world(TESTS)):
        world = interrupted(offer)
        if world is None:
            continue
        ways += 1
        offer(world, token="second")
        succeed(world, lease(world))

        assert world.jobs.answers == [("second", None)]
        assert not is_left(world)
        assert entry_ids(world).count("tests#1#offered") == 1
    assert ways > 10


def test_a_job_that_ended_with_its_run_meanwhile_says_that_the_run_has_ended() -> None:
    world = a_world(TESTS)
    work = leased(world)
    offer_it = world.jobs.offer

    def cancel(*arguments: Any, **more: Any) -> Job:  # noqa: ANN401
        cancel_run(TENANT, "run-7", "ana", world)
        succeed(world, work)
        return offer_it(*arguments, **more)

    world.jobs.offer = cancel  # type: ignore[method-assign]

    assert result_of(lambda: offer(world, token="second")) == "ConflictError run_ended"
