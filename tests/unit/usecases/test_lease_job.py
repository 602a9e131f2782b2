"""A worker gets the oldest job that it may take, and the secrets of no other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import ForbiddenError
from taskrunner.executors.function import idempotency_key
from taskrunner.model.journal import Event
from taskrunner.model.run import StepStatus
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.create_run import create_run
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.jobs import (
    LANES,
    SECRET,
    TESTS,
    WITH_A_SECRET,
    WORKER,
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
    NOON,
    TENANT,
    a_request,
    a_world,
    entry_ids,
    interruptions,
    result_of,
    step,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

BOTH = replace(WORKER, tenants=(TENANT, "umbrella"))


def a_job_of(world: MemoryWorld, tenant: str, run_id: str, manifest: str = TESTS) -> None:
    """Let a run of the tenant offer its step."""
    create_run(a_request(manifest, tenant=tenant, run_id=run_id), world)
    offer(world, tenant=tenant, run_id=run_id)
    world.clock.advance(1)


def labelled(labels: Mapping[str, str]) -> str:
    written = ", ".join(f"{name}: {value}" for name, value in labels.items())
    return pack(
        f"- {{id: tests, run: {{uses: worker:linux, with: {{script: a, labels: {{{written}}}}}}}}}"
    )


class TestTheAnswer:
    def test_has_the_work_and_the_lease(self) -> None:
        world = a_world(TESTS)

        work = leased(world)

        assert work["run"] == {
            "id": "run-7",
            "tenant": TENANT,
            "pack": {"name": "a-pack", "version": "1.0.0"},
        }
        assert (work["stepId"], work["attempt"], work["timeoutSeconds"]) == ("tests", 1, 3600)
        assert work["with"] == {"script": "make", "env": {}, "files": {}}
        assert (work["artifacts"], work["secrets"]) == ([], {})
        assert work["idempotencyKey"] == idempotency_key(TENANT, "run-7", NOON, "tests")
        assert (work["expiresAt"], work["heartbeatSeconds"]) == ("2025-12-06T12:00:45.000Z", 10)

    def test_begins_the_attempt_with_the_name_of_the_worker(self) -> None:
        world = a_world(TESTS)
        leased(world)

        (started,) = entries(world, Event.STEP_STARTED)

        assert started.metadata == {"attempt": "1", "uses": "worker:linux", "worker": "build-7"}

    def test_has_the_secrets_that_the_step_reads_and_stores_none(self) -> None:
        world = a_world(WITH_A_SECRET)
        world.secrets.stored = {(TENANT, "token"): SECRET, (TENANT, "other"): "another-secret"}

        work = leased(world)

        assert work["secrets"] == {"token": SECRET}
        assert work["with"]["env"] == {"TOKEN": SECRET}
        assert SECRET not in repr(world.jobs.stored) + repr(world.runs.stored)

    def test_stores_the_digest_of_the_secret_of_the_lease_only(self) -> None:
        world = a_world(TESTS)

        work = leased(world)

        assert work["secret"] not in repr(world.jobs.stored)
        assert job(world).is_leased_by(work["secret"])

    def test_has_no_more_time_than_the_step(self) -> None:
        world = a_world(
            pack("- {id: tests, timeoutSeconds: 10, run: {uses: worker:linux, with: {script: a}}}")
        )

        assert leased(world)["expiresAt"] == "2025-12-06T12:00:40.000Z"  # 30 s to report


class TestTheChoice:
    def test_is_nothing_when_nothing_waits(self) -> None:
        assert lease(a_world(TESTS)) is None

    def test_waits_for_as_long_as_the_worker_asks(self) -> None:
        world = a_world(TESTS)

        assert lease(world, wait_s=20) is None

        assert (world.clock.now() - MemoryWorld().clock.now()).total_seconds() == 20

    def test_is_a_job_once(self) -> None:
        world = a_world(TESTS)

        assert leased(world) is not None
        assert lease(world) is None

    def test_is_the_oldest_job(self) -> None:
        world = MemoryWorld()
        for run_id in ("run-c", "run-a", "run-b"):
            a_job_of(world, TENANT, run_id)

        taken = [lease(world)["run"]["id"] for _ in range(3)]

        assert taken == ["run-c", "run-a", "run-b"]

    def test_gives_each_tenant_its_turn(self) -> None:
        world = MemoryWorld()
        for number in range(30):
            a_job_of(world, TENANT, f"run-{number}")
        a_job_of(world, "umbrella", "run-0")

        taken = []
        for _ in range(4):
            world.clock.advance(0.001)
            taken.append(lease(world, BOTH)["run"]["tenant"])

        assert taken.count("umbrella") == 1

    def test_is_of_the_worker_s_tenants_only(self) -> None:
        world = MemoryWorld()
        a_job_of(world, "umbrella", "run-0")

        assert lease(world) is None
        assert lease(world, BOTH, tenants=(TENANT,)) is None
        assert lease(world, BOTH)["run"]["tenant"] == "umbrella"

    @pytest.mark.parametrize(
        "caller",
        [
            replace(WORKER, pools=frozenset({"mac"})),
            replace(WORKER, pools=frozenset()),
            replace(WORKER, scopes=frozenset({"admin"})),
            replace(WORKER, scopes=frozenset({"operator"})),
        ],
    )
    def test_is_refused_to_who_may_not_take_from_the_pool(self, caller: object) -> None:
        world = a_world(TESTS)
        offer(world)

        with pytest.raises(ForbiddenError):
            lease(world, caller)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("wanted", "offered", "is_taken"),
        [
            ({"gpu": "h100"}, {"gpu": "h100"}, True),
            ({"gpu": "h100"}, {"gpu": "h100", "zone": "b"}, True),
            ({"gpu": "h100"}, {"gpu": "a100"}, False),
            ({"gpu": "h100"}, {}, False),
            ({"gpu": "h100", "zone": "b"}, {"gpu": "h100"}, False),
            ({}, {"gpu": "h100"}, True),
        ],
    )
    def test_needs_all_labels_of_the_job(
        self, wanted: Mapping[str, str], offered: Mapping[str, str], *, is_taken: bool
    ) -> None:
        world = a_world(labelled(wanted))
        offer(world)

        assert (lease(world, labels=offered) is not None) == is_taken

    def test_passes_over_an_older_job_with_other_labels(self) -> None:
        world = MemoryWorld()
        a_job_of(world, TENANT, "run-gpu", labelled({"gpu": "h100"}))
        a_job_of(world, TENANT, "run-any")

        assert lease(world)["run"]["id"] == "run-any"
        assert lease(world) is None

    def test_is_not_hidden_behind_many_jobs_with_other_labels(self) -> None:
        world = MemoryWorld()
        for number in range(250):
            a_job_of(world, TENANT, f"run-{number}", labelled({"gpu": "h100"}))
        a_job_of(world, TENANT, "run-any")

        assert lease(world)["run"]["id"] == "run-any"


class TestAJobThatCannotBeRun:
    def test_has_failed_and_the_next_one_is_taken(self) -> None:
        world = MemoryWorld()
        a_job_of(world, TENANT, "run-7", WITH_A_SECRET)
        a_job_of(world, TENANT, "run-8")

        assert lease(world)["run"]["id"] == "run-8"

        (failed,) = entries(world, Event.STEP_FAILED)
        assert failed.message == "there is no secret 'token'"
        assert world.jobs.answers == [("token-1", "StepFailedError")]

    def test_of_a_cancelled_run_is_removed(self) -> None:
        world = a_world(TESTS)
        offer(world)
        refused = world.jobs.withdraw
        world.jobs.withdraw = lambda _job: False  # type: ignore[method-assign, assignment]
        cancel_run(TENANT, "run-7", "ana", world)
        world.jobs.withdraw = refused  # type: ignore[method-assign]

        assert lease(world) is None

        assert world.jobs.answers == [("token-1", "ConflictError")]
        assert not is_left(world)
        assert "tests#1#started" not in entry_ids(world)

    def test_of_a_stopped_block_is_removed(self) -> None:
        world = a_world(LANES)
        offer(world)
        refused = world.jobs.withdraw
        world.jobs.withdraw = lambda _job: False  # type: ignore[method-assign, assignment]
        result_of(lambda: step(world, "broken"))
        world.jobs.withdraw = refused  # type: ignore[method-assign]

        assert lease(world) is None

        assert world.jobs.answers == [("token-1", "ConflictError")]
        assert not is_left(world)

    def test_of_a_run_that_retention_has_deleted_is_not_listed_any_more(self) -> None:
        world = a_world(TESTS)
        offer(world)
        world.plans.texts.clear()

        assert lease(world) is None

        assert list(world.jobs.waiting(TENANT, "linux", {})) == []


def test_an_attempt_begins_once_whatever_fails() -> None:
    def offered() -> MemoryWorld:
        world = a_world(WITH_A_SECRET)
        world.secrets.stored[TENANT, "token"] = SECRET
        offer(world)
        return world

    ways = 0
    for interrupted in interruptions(offered):
        world = interrupted(lease)
        if world is None:
            continue
        ways += 1
        work = lease(world)
        if work is None:  # the answer was lost, and so is the worker
            recover(world, after_s=46)
            work = lease(world)
        succeed(world, work)

        assert job(world).is_done
        assert world.runs.outcomes(TENANT, "run-7", ["tests"])["tests"].status is (
            StepStatus.SUCCEEDED
        )
        assert world.jobs.answers == [("token-1", None)]
        assert not is_left(world)
        assert len(set(entry_ids(world))) == len(entry_ids(world))
    assert ways > 10


def test_a_retry_begins_the_next_attempt() -> None:
    world = a_world(
        pack(
            """
            - id: tests
              retries: {maxAttempts: 2}
              run: {uses: worker:linux, with: {script: make}}
            """
        )
    )
    fail(world, leased(world))

    work = leased(world)

    assert work["attempt"] == 2
    assert entry_ids(world)[-1] == "tests#2#started"
