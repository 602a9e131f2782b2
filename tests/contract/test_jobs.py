"""The port Jobs: jobs of worker pools from their offer to the answer of their machine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.adapters.jobs import DynamoJobs
from taskrunner.adapters.journal_chunks import JournalChunks
from taskrunner.adapters.table import Table
from taskrunner.adapters.task_tokens import TaskTokens
from taskrunner.errors import ConflictError, StepFailedError
from taskrunner.model.due_work import DueItem, DueKind
from taskrunner.model.failure import STEPS
from taskrunner.model.run import RunStatus, StepOutcome, StepStatus
from taskrunner.ports.runs import Stops
from tests.contract.jobs import (
    PATH,
    a_job,
    a_lease,
    at,
    called,
    due,
    due_ats,
    jobs_in,
    leased,
    offered,
    recorded,
    stored,
)
from tests.contract.ports import RETENTION, TABLE, aws, client
from tests.contract.samples import CANCELLED, ENDED, a_file, a_run, an_entry, entry_ids, new_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import RunSnapshot
    from tests.contract.ports import Ports

DAY_S = 86400
LOST = an_entry(f"{PATH}#1#lost#1")
FAILED = an_entry("run.failed")


def stop(world: Ports, snapshot: RunSnapshot, path: str) -> None:
    """Let a failure stop the block at *path*."""
    world.runs.append(snapshot, [an_entry(f"{path}#failed")], stops=Stops(blocks=(path,)))


class TestOffer:
    def test_stores_the_job_with_its_entries(self, world: Ports) -> None:
        snapshot, job = offered(world)

        assert stored(world, job) == job
        assert entry_ids(world, snapshot.run) == ["run.created", f"{PATH}#1#offered"]

    def test_a_step_without_a_job_has_none(self, world: Ports) -> None:
        snapshot, job = offered(world)

        assert world.jobs.get("acme", snapshot.run.run_id, "outer[1]::test") is None
        assert world.jobs.get("globex", snapshot.run.run_id, job.step_path) is None

    def test_makes_the_job_due_after_the_longest_wait(self, world: Ports) -> None:
        snapshot, _ = offered(world)

        assert due(world, DueKind.OFFER, DAY_S - 1) == []
        assert due(world, DueKind.OFFER, DAY_S) == [
            DueItem(
                kind=DueKind.OFFER,
                tenant="acme",
                run_id=snapshot.run.run_id,
                due_at=at(DAY_S),
                name=PATH,
            )
        ]

    def test_is_refused_in_an_ended_run(self, world: Ports) -> None:
        snapshot = new_run(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        with pytest.raises(ConflictError) as refused:
            world.jobs.offer(snapshot, a_job(snapshot), "token-1", [an_entry("offered")])

        assert refused.value.code == "run_ended"
        assert world.jobs.get("acme", snapshot.run.run_id, PATH) is None
        assert entry_ids(world, snapshot.run) == ["run.created", "run.cancelled"]
        assert due(world, DueKind.OFFER) == []

    def test_is_refused_in_a_stopped_block(self, world: Ports) -> None:
        snapshot = new_run(world)
        stop(world, snapshot, "outer")

        with pytest.raises(ConflictError) as refused:
            world.jobs.offer(
                snapshot, a_job(snapshot), "token-1", [an_entry("offered")], inside=["outer", "a"]
            )

        assert refused.value.code == "block_stopped"
        assert world.jobs.get("acme", snapshot.run.run_id, PATH) is None

    def test_is_accepted_beside_a_stopped_block(self, world: Ports) -> None:
        snapshot = new_run(world)
        stop(world, snapshot, "other")
        job = a_job(snapshot)

        assert world.jobs.offer(snapshot, job, "token-1", [LOST], inside=["outer"]) == job

    def test_a_later_attempt_replaces_the_job(self, world: Ports) -> None:
        snapshot, first = leased(world)
        recorded(world, snapshot, first)
        world.jobs.answer(first, None)

        _, second = offered(world, snapshot, attempt=2, offered_at=at(60))

        assert stored(world, first) == second
        assert jobs_in(world, "acme", "linux") == [second]
        assert due_ats(world, DueKind.OFFER) == [at(60 + DAY_S)]
        assert due(world, DueKind.LEASE) == []

    def test_a_later_attempt_replaces_a_job_that_never_ended(self, world: Ports) -> None:
        snapshot, first = leased(world)

        _, second = offered(world, snapshot, attempt=2)

        assert stored(world, first) == second
        assert not world.jobs.renew(snapshot, first, a_lease(), [])

    def test_an_earlier_attempt_changes_nothing(self, world: Ports) -> None:
        snapshot, second = offered(world, attempt=2)

        answer = world.jobs.offer(snapshot, a_job(snapshot), "stale", [an_entry("stale")])
        world.jobs.answer(second, None)

        assert answer == second
        assert stored(world, second) == second
        assert world.answers == [("token-1", None)]
        assert "stale" not in entry_ids(world, snapshot.run)


class TestRepeatedOffer:
    """A machine that did not see the answer of its call repeats it with a new token."""

    def repeat(self, world: Ports, snapshot: RunSnapshot, seconds: float = 30) -> object:
        job = a_job(snapshot, offered_at=at(seconds), labels={})
        entry = an_entry(f"{PATH}#1#offered", occurred_at=at(seconds))
        return world.jobs.offer(snapshot, job, "token-2", [entry], inside=["outer"])

    def test_replaces_only_the_token_of_a_waiting_job(self, world: Ports) -> None:
        snapshot, job = offered(world)

        assert self.repeat(world, snapshot) == job

        assert stored(world, job) == job
        assert jobs_in(world, "acme", "linux") == [job]
        assert due_ats(world, DueKind.OFFER) == [at(DAY_S)]
        assert entry_ids(world, snapshot.run).count(f"{PATH}#1#offered") == 1
        world.jobs.answer(job, None)
        assert world.answers == [("token-2", None)]

    def test_replaces_only_the_token_of_a_leased_job(self, world: Ports) -> None:
        snapshot, job = leased(world)

        assert self.repeat(world, snapshot) == job

        assert stored(world, job) == job
        assert due_ats(world, DueKind.LEASE) == [at(45)]
        assert world.jobs.renew(snapshot, job, a_lease(seconds=10), [])

    def test_is_recognised_when_the_journal_has_grown(self, world: Ports) -> None:
        snapshot, job = offered(world)
        world.runs.append(snapshot, [an_entry(f"entry-{number}") for number in range(9)])

        assert self.repeat(world, snapshot) == job
        assert entry_ids(world, snapshot.run).count(f"{PATH}#1#offered") == 1

    def test_of_a_done_job_makes_it_due_again(self, world: Ports) -> None:
        snapshot, job = leased(world)
        recorded(world, snapshot, job)
        world.jobs.answer(job, None)
        assert due(world, DueKind.LEASE) == []

        assert self.repeat(world, snapshot) == replace(job, is_done=True)

        assert stored(world, job) == replace(job, is_done=True)
        assert due_ats(world, DueKind.LEASE) == [at(30 + 60)]
        assert due(world, DueKind.OFFER) == []
        world.jobs.answer(job, None)
        assert world.answers == [("token-1", None), ("token-2", None)]

    def test_of_a_done_job_is_accepted_when_the_run_has_ended(self, world: Ports) -> None:
        snapshot, job = leased(world)
        recorded(world, snapshot, job)
        world.runs.end(snapshot, RunStatus.SUCCEEDED, [ENDED])

        assert self.repeat(world, snapshot) == replace(job, is_done=True)

        world.jobs.answer(job, None)
        assert world.answers == [("token-2", None)]

    def test_of_a_waiting_job_is_refused_when_the_run_has_ended(self, world: Ports) -> None:
        snapshot, job = offered(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        with pytest.raises(ConflictError) as refused:
            self.repeat(world, snapshot)

        assert refused.value.code == "run_ended"
        world.jobs.answer(job, None)
        assert world.answers == [("token-1", None)]

    def test_of_a_waiting_job_is_refused_when_its_block_was_stopped(self, world: Ports) -> None:
        snapshot, _ = offered(world)
        stop(world, snapshot, "outer")

        with pytest.raises(ConflictError) as refused:
            self.repeat(world, snapshot)

        assert refused.value.code == "block_stopped"

    def test_of_an_answered_withdrawn_job_makes_it_due(self, world: Ports) -> None:
        snapshot, job = offered(world)
        world.jobs.withdraw(job)
        world.jobs.answer(job, None)

        assert self.repeat(world, snapshot) == job

        assert due_ats(world, DueKind.LEASE) == [at(30 + 60)]
        assert jobs_in(world, "acme", "linux") == []


class TestWaiting:
    def test_lists_the_jobs_of_a_pool_and_tenant_by_their_offers(self, world: Ports) -> None:
        _, second = offered(world, offered_at=at(2))
        snapshot, first = offered(world, offered_at=at(1))
        _, third = offered(world, snapshot, "other", offered_at=at(3))
        offered(world, snapshot, "elsewhere", pool="arm")
        offered(world, new_run(world, a_run(tenant="globex")))

        assert jobs_in(world, "acme", "linux") == [first, second, third]
        assert jobs_in(world, "acme", "linux")[:2] == [first, second]
        assert jobs_in(world, "acme", "lin") == []

    def test_lists_no_job_that_was_leased_or_withdrawn_or_is_done(self, world: Ports) -> None:
        leased(world)
        _, withdrawn = offered(world)
        world.jobs.withdraw(withdrawn)
        snapshot, timed_out = offered(world)
        recorded(world, snapshot, timed_out)

        assert jobs_in(world, "acme", "linux") == []
        assert world.jobs.oldest(10) == []

    def test_a_lost_job_keeps_its_place(self, world: Ports) -> None:
        snapshot, lost = leased(world)
        offered(world, offered_at=at(1))
        world.jobs.give_back(snapshot, lost, [LOST])

        assert [job.offered_at for job in jobs_in(world, "acme", "linux")] == [at(0), at(1)]
        assert jobs_in(world, "acme", "linux")[:1] == [replace(lost, lease=None, losses=1)]

    def test_the_oldest_are_of_all_tenants_and_pools(self, world: Ports) -> None:
        _, second = offered(world, offered_at=at(2))
        globex = new_run(world, a_run(tenant="globex"))
        _, first = offered(world, globex, offered_at=at(1), pool="arm")
        _, third = offered(world, globex, "other", offered_at=at(3))
        leased(world)

        assert world.jobs.oldest(10) == [first, second, third]
        assert world.jobs.oldest(2) == [first, second]

    def test_jobs_of_runs_are_not_in_the_lists_of_runs(self, world: Ports) -> None:
        snapshot, _ = offered(world)

        listed = world.runs.list("acme", 10, None).items

        assert [run["runId"] for run in listed] == [snapshot.run.run_id]


class TestLease:
    def test_gives_the_job_to_the_worker_with_its_entries(self, world: Ports) -> None:
        snapshot, job = leased(world)

        assert stored(world, job) == job
        assert job.lease == a_lease()
        assert entry_ids(world, snapshot.run)[-1] == f"{PATH}#1#started"
        assert due(world, DueKind.OFFER) == []
        assert due_ats(world, DueKind.LEASE) == [at(45)]

    def test_a_job_is_leased_once(self, world: Ports) -> None:
        snapshot, job = leased(world)
        waiting = replace(job, lease=None)

        assert not world.jobs.lease(snapshot, waiting, a_lease("other"), [an_entry("other")])
        assert not world.jobs.lease(snapshot, job, a_lease("other"), [an_entry("other")])

        assert stored(world, job) == job
        assert "other" not in entry_ids(world, snapshot.run)

    def test_one_of_many_workers_gets_the_job(self, world: Ports) -> None:
        snapshot, job = offered(world)

        def take(worker: str) -> bool:
            entry = an_entry(f"{PATH}#1#started", message=worker)
            return world.jobs.lease(snapshot, job, a_lease(worker, worker=worker), [entry])

        workers = [f"worker-{number}" for number in range(6)]
        with ThreadPoolExecutor(len(workers)) as threads:
            taken = dict(zip(workers, threads.map(take, workers), strict=True))

        (winner,) = (worker for worker, has_it in taken.items() if has_it)
        assert stored(world, job) == replace(job, lease=a_lease(winner, worker=winner))
        journal = world.runs.journal("acme", snapshot.run.run_id)
        assert [placed.entry.message for placed in journal][-1] == winner

    def test_is_refused_in_an_ended_run(self, world: Ports) -> None:
        snapshot, job = offered(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        with pytest.raises(ConflictError) as refused:
            world.jobs.lease(snapshot, job, a_lease(), [an_entry("started")])

        assert refused.value.code == "run_ended"
        assert stored(world, job) == job

    def test_is_refused_in_a_stopped_block(self, world: Ports) -> None:
        snapshot, job = offered(world)
        stop(world, snapshot, "outer")

        with pytest.raises(ConflictError) as refused:
            world.jobs.lease(snapshot, job, a_lease(), [an_entry("started")], inside=["outer"])

        assert refused.value.code == "block_stopped"
        assert stored(world, job) == job
        assert "started" not in entry_ids(world, snapshot.run)

    def test_of_a_withdrawn_or_done_job_is_false(self, world: Ports) -> None:
        snapshot, job = offered(world)
        world.jobs.withdraw(job)
        assert not world.jobs.lease(snapshot, job, a_lease(), [])
        snapshot, job = offered(world)
        recorded(world, snapshot, job)

        assert not world.jobs.lease(snapshot, job, a_lease(), [])

    def test_of_a_job_that_was_lost_since_it_was_read_is_false(self, world: Ports) -> None:
        snapshot, job = leased(world)
        world.jobs.give_back(snapshot, job, [LOST])

        assert not world.jobs.lease(snapshot, replace(job, lease=None), a_lease("other"), [])

    def test_of_a_later_attempts_job_is_false(self, world: Ports) -> None:
        snapshot, first = offered(world)
        offered(world, snapshot, attempt=2)

        assert not world.jobs.lease(snapshot, first, a_lease(), [])

    def test_of_a_job_that_does_not_exist_is_false(self, world: Ports) -> None:
        snapshot = new_run(world)

        assert not world.jobs.lease(snapshot, a_job(snapshot), a_lease(), [])
        assert world.jobs.get("acme", snapshot.run.run_id, PATH) is None


class TestRenewal:
    @pytest.mark.parametrize("ids", [(), ("output-1", "output-2")])
    def test_replaces_the_lease_and_adds_its_entries(
        self, world: Ports, ids: tuple[str, ...]
    ) -> None:
        snapshot, job = leased(world)
        renewed = replace(a_lease(), expires_at=at(55), output_bytes=12, output_sequence=2)

        assert world.jobs.renew(snapshot, job, renewed, [an_entry(name) for name in ids])

        assert stored(world, job) == replace(job, lease=renewed)
        assert entry_ids(world, snapshot.run)[3:] == [*ids]

    def test_does_not_move_the_reconcilers_look(self, world: Ports) -> None:
        snapshot, job = leased(world)

        world.jobs.renew(snapshot, job, replace(a_lease(), expires_at=at(55)), [])

        assert due_ats(world, DueKind.LEASE) == [at(45)]

    @pytest.mark.parametrize("outcome", [RunStatus.CANCELLED, RunStatus.FAILED])
    def test_adds_the_output_of_an_ended_run(self, world: Ports, outcome: RunStatus) -> None:
        snapshot, job = leased(world)
        world.runs.end(snapshot, outcome, [CANCELLED])

        assert world.jobs.renew(snapshot, job, a_lease(seconds=10), [an_entry("output-1")])

        assert entry_ids(world, snapshot.run)[-1] == "output-1"

    def test_of_output_that_was_recorded_meanwhile_is_false(self, world: Ports) -> None:
        snapshot, job = leased(world)
        renewed = replace(a_lease(), output_bytes=12, output_sequence=1)
        world.jobs.renew(snapshot, job, renewed, [an_entry("output-1")])

        assert not world.jobs.renew(snapshot, job, renewed, [an_entry("output-1-again")])
        assert not world.jobs.renew(snapshot, job, renewed, [])

        assert entry_ids(world, snapshot.run)[3:] == ["output-1"]

    @pytest.mark.parametrize("ids", [(), ("output-1",)])
    def test_after_the_job_was_given_back_is_false(self, world: Ports, ids: tuple[str]) -> None:
        snapshot, job = leased(world)
        world.jobs.give_back(snapshot, job, [LOST])
        entries = [an_entry(name) for name in ids]

        assert not world.jobs.renew(snapshot, job, a_lease(), entries)
        waiting = stored(world, job)
        assert waiting is not None
        assert world.jobs.lease(snapshot, waiting, a_lease("other"), [])
        assert not world.jobs.renew(snapshot, job, a_lease(), entries)

        assert stored(world, job) == replace(job, lease=a_lease("other"), losses=1)
        assert "output-1" not in entry_ids(world, snapshot.run)

    def test_of_a_done_withdrawn_or_waiting_job_is_false(self, world: Ports) -> None:
        snapshot, done = leased(world)
        recorded(world, snapshot, done)
        other_run, withdrawn = leased(world)
        world.jobs.withdraw(withdrawn)
        third_run, waiting = offered(world)

        assert not world.jobs.renew(snapshot, done, a_lease(seconds=10), [])
        assert not world.jobs.renew(other_run, withdrawn, a_lease(seconds=10), [])
        assert not world.jobs.renew(third_run, waiting, a_lease(seconds=10), [])


class TestGivingBack:
    def test_lets_the_job_wait_again_with_one_loss_more(self, world: Ports) -> None:
        snapshot, job = leased(world)

        assert world.jobs.give_back(snapshot, job, [LOST])

        assert stored(world, job) == replace(job, lease=None, losses=1)
        assert entry_ids(world, snapshot.run)[-1] == LOST.id
        assert due(world, DueKind.LEASE) == []
        assert due_ats(world, DueKind.OFFER) == [at(DAY_S)]

    def test_keeps_the_token(self, world: Ports) -> None:
        snapshot, job = leased(world)
        world.jobs.give_back(snapshot, job, [LOST])

        world.jobs.answer(job, None)

        assert world.answers == [("token-1", None)]

    def test_happens_once(self, world: Ports) -> None:
        snapshot, job = leased(world)

        assert world.jobs.give_back(snapshot, job, [LOST])
        assert not world.jobs.give_back(snapshot, job, [LOST])

        assert stored(world, job) == replace(job, lease=None, losses=1)
        assert entry_ids(world, snapshot.run).count(LOST.id) == 1

    def test_of_a_renewed_lease_is_false(self, world: Ports) -> None:
        snapshot, job = leased(world)
        renewed = replace(a_lease(), expires_at=at(55))
        world.jobs.renew(snapshot, job, renewed, [])

        assert not world.jobs.give_back(snapshot, job, [LOST])

        assert stored(world, job) == replace(job, lease=renewed)
        assert LOST.id not in entry_ids(world, snapshot.run)

    def test_of_a_done_or_waiting_job_is_false(self, world: Ports) -> None:
        snapshot, done = leased(world)
        recorded(world, snapshot, done)
        other_run, waiting = offered(world)

        assert not world.jobs.give_back(snapshot, done, [LOST])
        assert not world.jobs.give_back(other_run, waiting, [LOST])

    def test_adds_its_entries_to_an_ended_run(self, world: Ports) -> None:
        snapshot, job = leased(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        assert world.jobs.give_back(snapshot, job, [LOST])

        assert entry_ids(world, snapshot.run)[-1] == LOST.id

    def test_is_repeated_for_another_worker(self, world: Ports) -> None:
        snapshot, job = leased(world)
        world.jobs.give_back(snapshot, job, [LOST])
        waiting = stored(world, job)
        assert waiting is not None
        assert world.jobs.lease(snapshot, waiting, a_lease("other"), [])

        lost_again = replace(waiting, lease=a_lease("other"))
        assert world.jobs.give_back(snapshot, lost_again, [an_entry(f"{PATH}#1#lost#2")])

        assert stored(world, job) == replace(job, lease=None, losses=2)


class TestWithdrawal:
    def test_removes_a_waiting_job_from_its_pool(self, world: Ports) -> None:
        snapshot, job = offered(world)

        assert world.jobs.withdraw(job)

        assert jobs_in(world, "acme", "linux") == []
        assert not world.jobs.lease(snapshot, job, a_lease(), [])

    def test_ends_the_lease(self, world: Ports) -> None:
        _, job = leased(world)

        assert world.jobs.withdraw(job)

        assert stored(world, job) == replace(job, lease=None)

    def test_leaves_the_machine_to_the_reconciler(self, world: Ports) -> None:
        _, waiting = offered(world)
        world.jobs.withdraw(waiting)
        _, running = leased(world)
        world.jobs.withdraw(running)

        assert due(world, DueKind.OFFER) == []
        assert due_ats(world, DueKind.LEASE) == [at(60)] * 2

    def test_of_an_answered_job_leaves_nothing_due(self, world: Ports) -> None:
        _, job = leased(world)
        world.jobs.answer(job, None)

        assert world.jobs.withdraw(job)

        assert due(world, DueKind.LEASE) == []
        assert stored(world, job) == replace(job, lease=None)

    def test_is_repeated_without_effect(self, world: Ports) -> None:
        _, job = offered(world)

        assert world.jobs.withdraw(job)
        assert world.jobs.withdraw(job)

        assert stored(world, job) == job

    def test_of_a_job_that_was_leased_meanwhile_is_false(self, world: Ports) -> None:
        _, job = leased(world)

        assert not world.jobs.withdraw(replace(job, lease=None))

        assert stored(world, job) == job

    def test_of_a_job_that_was_lost_meanwhile_is_false(self, world: Ports) -> None:
        snapshot, job = leased(world)
        world.jobs.give_back(snapshot, job, [LOST])

        assert not world.jobs.withdraw(job)
        assert not world.jobs.withdraw(replace(job, lease=None))

        assert jobs_in(world, "acme", "linux") == [replace(job, lease=None, losses=1)]

    def test_of_a_done_job_is_false(self, world: Ports) -> None:
        snapshot, job = leased(world)
        recorded(world, snapshot, job)

        assert not world.jobs.withdraw(job)

        assert stored(world, job) == replace(job, is_done=True)


class TestAnswer:
    def test_lets_the_machine_go_on(self, world: Ports) -> None:
        snapshot, job = leased(world)
        recorded(world, snapshot, job)

        world.jobs.answer(job, None)

        assert world.answers == [("token-1", None)]
        assert due(world, DueKind.LEASE) == []

    def test_fails_the_state_with_the_errors_name(self, world: Ports) -> None:
        snapshot, job = leased(world)
        recorded(world, snapshot, job)

        world.jobs.answer(job, StepFailedError("exit status 2"))

        assert world.answers == [("token-1", "StepFailedError")]

    def test_is_given_once(self, world: Ports) -> None:
        snapshot, job = leased(world)
        recorded(world, snapshot, job)

        world.jobs.answer(job, None)
        world.jobs.answer(job, StepFailedError("no"))

        assert world.answers == [("token-1", None)]
        assert stored(world, job) == replace(job, is_done=True)

    def test_of_a_step_without_a_job_is_nothing(self, world: Ports) -> None:
        world.jobs.answer(a_job(new_run(world)), None)

        assert world.answers == []

    def test_of_an_earlier_attempt_does_not_reach_the_later_one(self, world: Ports) -> None:
        snapshot, first = leased(world)
        _, second = offered(world, snapshot, attempt=2)

        world.jobs.answer(first, None)

        assert world.answers == []
        assert jobs_in(world, "acme", "linux") == [second]
        assert due_ats(world, DueKind.OFFER) == [at(DAY_S)]

    def test_takes_a_waiting_job_from_its_pool(self, world: Ports) -> None:
        _, job = offered(world)

        world.jobs.answer(job, StepFailedError("no"))

        assert jobs_in(world, "acme", "linux") == []
        assert due(world, DueKind.OFFER) == []

    def test_of_an_answered_job_ends_its_due_work(self, world: Ports) -> None:
        snapshot, job = leased(world)
        world.jobs.answer(job, None)
        recorded(world, snapshot, job)
        assert due_ats(world, DueKind.LEASE) == [at(70)]

        world.jobs.answer(job, None)

        assert due(world, DueKind.LEASE) == []
        assert world.answers == [("token-1", None)]


class TestJobsOfARun:
    def test_are_those_that_were_not_answered_by_path(self, world: Ports) -> None:
        snapshot, second = offered(world, step_path="b")
        _, first = offered(world, snapshot, "a")
        _, answered = offered(world, snapshot, "c")
        world.jobs.answer(answered, None)
        offered(world)

        assert list(world.jobs.of_run(snapshot.run)) == [first, second]

    def test_may_be_leased_done_or_withdrawn(self, world: Ports) -> None:
        snapshot, job = leased(world)
        assert list(world.jobs.of_run(snapshot.run)) == [job]
        recorded(world, snapshot, job)
        assert list(world.jobs.of_run(snapshot.run)) == [replace(job, is_done=True)]
        snapshot, withdrawn = offered(world)
        world.jobs.withdraw(withdrawn)

        assert list(world.jobs.of_run(snapshot.run)) == [withdrawn]


class TestRecordedAttempt:
    def test_is_done_by_the_record(self, world: Ports) -> None:
        snapshot, job = leased(world)

        outcome = recorded(world, snapshot, job)

        assert world.runs.outcomes("acme", snapshot.run.run_id, [PATH]) == {PATH: outcome}
        assert stored(world, job) == replace(job, is_done=True)
        assert due_ats(world, DueKind.LEASE) == [at(10 + 60)]
        assert due(world, DueKind.OFFER) == []

    def test_may_have_waited_in_vain(self, world: Ports) -> None:
        snapshot, job = offered(world)

        recorded(world, snapshot, job)

        assert stored(world, job) == replace(job, is_done=True)
        assert jobs_in(world, "acme", "linux") == []

    def test_is_refused_when_the_job_was_given_back(self, world: Ports) -> None:
        snapshot, job = leased(world)
        world.jobs.give_back(snapshot, job, [LOST])

        with pytest.raises(ConflictError) as refused:
            recorded(world, snapshot, job)

        assert refused.value.code == "lease_lost"
        assert world.runs.outcomes("acme", snapshot.run.run_id, [PATH]) == {}
        assert stored(world, job) == replace(job, lease=None, losses=1)
        assert entry_ids(world, snapshot.run)[-1] == LOST.id

    def test_is_refused_when_a_waiting_job_was_leased(self, world: Ports) -> None:
        snapshot, job = leased(world)

        with pytest.raises(ConflictError) as refused:
            recorded(world, snapshot, replace(job, lease=None))

        assert refused.value.code == "lease_lost"
        assert stored(world, job) == job

    def test_is_refused_when_another_worker_has_the_job(self, world: Ports) -> None:
        snapshot, job = leased(world)

        with pytest.raises(ConflictError):
            recorded(world, snapshot, replace(job, lease=a_lease("other")))

    def test_is_recorded_though_the_lease_was_renewed(self, world: Ports) -> None:
        snapshot, job = leased(world)
        world.jobs.renew(snapshot, job, replace(a_lease(), output_sequence=3), [])

        recorded(world, snapshot, job)

        now = stored(world, job)
        assert now is not None
        assert now.is_done

    def test_is_recorded_once(self, world: Ports) -> None:
        snapshot, job = leased(world)
        first = recorded(world, snapshot, job)

        failed = StepOutcome(path=PATH, attempt=1, status=StepStatus.FAILED)
        assert world.runs.record_step(snapshot, failed, [an_entry("failed")], job=job) == first
        assert recorded(world, snapshot, replace(job, lease=a_lease("other"))) == first

        assert "failed" not in entry_ids(world, snapshot.run)

    def test_is_recorded_with_its_artifacts(self, world: Ports) -> None:
        snapshot, job = leased(world)
        outcome = StepOutcome(path=PATH, attempt=1, status=StepStatus.SUCCEEDED)

        world.runs.record_step(snapshot, outcome, [an_entry("ended")], [a_file()], job=job)

        listed = world.artifacts.list("acme", snapshot.run.run_id)
        assert listed == [replace(a_file(), step_path=PATH)]

    def test_may_fail_the_run(self, world: Ports) -> None:
        snapshot, job = leased(world)
        outcome = StepOutcome(path=PATH, attempt=1, status=StepStatus.FAILED)
        stops = Stops(run_failed=FAILED)

        world.runs.record_step(snapshot, outcome, [an_entry("failed")], stops=stops, job=job)

        assert world.runs.snapshot("acme", snapshot.run.run_id).run.outcome is RunStatus.FAILED
        assert stored(world, job) == replace(job, is_done=True)

    @pytest.mark.parametrize("outcome", [RunStatus.FAILED, RunStatus.SUCCEEDED])
    @pytest.mark.parametrize("is_settled", [False, True])
    def test_is_done_after_the_run_has_ended(
        self, world: Ports, outcome: RunStatus, *, is_settled: bool
    ) -> None:
        snapshot, job = leased(world)
        world.runs.end(snapshot, outcome, [FAILED])
        if is_settled:
            world.runs.settle(snapshot.run)

        of_step = recorded(world, snapshot, job)

        assert stored(world, job) == replace(job, is_done=True)
        assert world.runs.outcomes("acme", snapshot.run.run_id, [PATH]) == {PATH: of_step}

    def test_is_done_after_a_cancellation_and_has_no_outcome(self, world: Ports) -> None:
        snapshot, job = leased(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        recorded(world, snapshot, job)

        assert stored(world, job) == replace(job, is_done=True)
        assert entry_ids(world, snapshot.run)[-1] == f"{PATH}#1#completed"
        assert world.runs.outcomes("acme", snapshot.run.run_id, [PATH]) == {}

    @pytest.mark.parametrize("outcome", [RunStatus.FAILED, RunStatus.CANCELLED])
    def test_is_refused_after_the_end_when_the_lease_was_lost(
        self, world: Ports, outcome: RunStatus
    ) -> None:
        snapshot, job = leased(world)
        world.runs.end(snapshot, outcome, [CANCELLED])
        world.jobs.withdraw(job)

        with pytest.raises(ConflictError) as refused:
            recorded(world, snapshot, job)

        assert refused.value.code == "lease_lost"
        assert world.runs.outcomes("acme", snapshot.run.run_id, [PATH]) == {}
        assert entry_ids(world, snapshot.run)[-1] == CANCELLED.id

    def test_is_done_when_another_failure_has_stopped_the_steps(self, world: Ports) -> None:
        snapshot, job = leased(world)
        stops = Stops(blocks=(STEPS,), steps_failed=an_entry("steps.failed"))
        world.runs.append(snapshot, [an_entry("a#failed")], stops=stops)
        outcome = StepOutcome(path=PATH, attempt=1, status=StepStatus.FAILED)
        entry = an_entry("failed", occurred_at=at(10))

        world.runs.record_step(snapshot, outcome, [entry], stops=stops, job=job)

        assert stored(world, job) == replace(job, is_done=True)
        assert due_ats(world, DueKind.LEASE) == [at(10 + 60)]

    def test_stays_lost_when_another_failure_has_stopped_the_steps(self, world: Ports) -> None:
        snapshot, job = leased(world)
        world.jobs.give_back(snapshot, job, [LOST])
        stops = Stops(blocks=(STEPS,), steps_failed=an_entry("steps.failed"))
        world.runs.append(snapshot, [an_entry("a#failed")], stops=stops)
        outcome = StepOutcome(path=PATH, attempt=1, status=StepStatus.FAILED)

        with pytest.raises(ConflictError) as refused:
            world.runs.record_step(snapshot, outcome, [an_entry("failed")], stops=stops, job=job)

        assert refused.value.code == "lease_lost"


class TestDueJobs:
    @pytest.mark.parametrize("kind", [DueKind.LEASE, DueKind.OFFER])
    def test_are_postponed_and_finished_by_path(self, world: Ports, kind: DueKind) -> None:
        snapshot, _ = leased(world) if kind is DueKind.LEASE else offered(world)
        (item,) = due(world, kind)

        taken = world.due_work.lease(item, at(DAY_S * 2))
        assert taken is not None
        assert world.due_work.lease(item, at(DAY_S * 2)) is None
        assert due_ats(world, kind) == [at(DAY_S * 2)]
        world.due_work.finish(taken)

        assert due(world, kind) == []
        assert world.runs.snapshot("acme", snapshot.run.run_id).run.outcome is None


@pytest.mark.parametrize("world", ["aws"], indirect=True)
class TestItemsInTheTable:
    def test_a_job_expires_with_its_run(self, world: Ports) -> None:
        snapshot, _ = offered(world)

        (item,) = _items("T#")
        assert item["expires_at"] == {"N": str(RETENTION.expires_at(snapshot.run))}

    def test_a_token_is_stored_until_it_is_answered(self, world: Ports) -> None:
        snapshot, job = leased(world)
        recorded(world, snapshot, job)
        (item,) = _items("T#")
        assert item["task_token"] == {"S": "token-1"}

        world.jobs.answer(job, None)

        assert [item for item in _items("") if "token-1" in str(item)] == []

    def test_no_key_sorts_between_the_journal_and_the_run(self, world: Ports) -> None:
        snapshot, _ = offered(world)
        offered(world, snapshot, "")
        world.runs.append(snapshot, [an_entry(f"entry-{number}") for number in range(20)])

        keys = sorted(item["sk"]["S"] for item in _items(""))

        assert keys[keys.index("R") - 1].startswith("J#")
        assert any(key.startswith("T#") for key in keys)
        read = world.runs.snapshot("acme", snapshot.run.run_id)
        assert read.last_entries[-1].entry.id == "entry-19"

    def test_a_token_that_replaces_the_answered_one_stays(self, world: Ports) -> None:
        snapshot, job = leased(world)
        recorded(world, snapshot, job)
        table = Table(client("dynamodb"), TABLE)
        again = _OfferedAgain(world, snapshot)

        jobs = DynamoJobs(table, JournalChunks(table, RETENTION), TaskTokens(again), RETENTION)
        jobs.answer(job, None)

        (item,) = _items("T#")
        assert again.answered == ["token-1"]
        assert item["task_token"] == {"S": "token-2"}
        assert due_ats(world, DueKind.LEASE) == [at(10 + 60)]

    def test_an_index_that_lags_lists_no_leased_job_and_keeps_the_order(self, world: Ports) -> None:
        snapshot, first = offered(world)
        others = [offered(world, offered_at=at(number))[1] for number in range(1, 4)]
        dynamodb = _LaggingIndex(lambda: world.jobs.lease(snapshot, first, a_lease(), []))

        waiting = jobs_in(aws(dynamodb), "acme", "linux")

        assert waiting == others
        assert aws(dynamodb).jobs.oldest(10) == others


class _LaggingIndex:
    """DynamoDB, with a write after each query of an index; it returns batches in any order."""

    def __init__(self, write: Callable[[], object]) -> None:
        self._dynamodb = client("dynamodb")
        self._write = write

    def query(self, **arguments: object) -> JsonObject:
        response: JsonObject = self._dynamodb.query(**arguments)
        self._write()
        return response

    def batch_get_item(self, **arguments: object) -> JsonObject:
        response: JsonObject = self._dynamodb.batch_get_item(**arguments)
        response["Responses"][TABLE].reverse()
        return response


class _OfferedAgain:
    """A client of Step Functions during whose call the machine offers its job again."""

    def __init__(self, world: Ports, snapshot: RunSnapshot) -> None:
        self.answered: list[str] = []
        self._world, self._snapshot = world, snapshot

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803 - AWS's
        assert output == "{}"
        self.answered.append(taskToken)
        repeated = a_job(self._snapshot, offered_at=at(30))
        self._world.jobs.offer(self._snapshot, repeated, "token-2", [])


def _items(sk_prefix: str) -> list[JsonObject]:
    items = client("dynamodb").scan(TableName=TABLE)["Items"]
    return [item for item in items if item["sk"]["S"].startswith(sk_prefix)]


class TestCallsOfMachines:
    """Jobs that have a lease from the start, because a state machine runs them."""

    def test_wait_in_no_pool(self, world: Ports) -> None:
        snapshot, job = called(world)

        assert stored(world, job) == job
        assert entry_ids(world, snapshot.run) == ["run.created", f"{PATH}#1#started"]
        assert jobs_in(world, "acme", "states:import") == []
        assert world.jobs.oldest(10) == []

    def test_are_due_when_their_execution_is_looked_at(self, world: Ports) -> None:
        called(world)

        assert due_ats(world, DueKind.LEASE) == [at(120)]
        assert due(world, DueKind.OFFER) == []

    def test_are_recorded_once_and_the_newer_token_counts(self, world: Ports) -> None:
        snapshot, job = called(world)
        later = replace(job, lease=a_lease(seconds=60, secret_digest=""), offered_at=at(60))

        again = world.jobs.offer(snapshot, later, "token-2", [an_entry(f"{PATH}#1#started")])
        world.jobs.answer(job, None)

        assert again == job
        assert entry_ids(world, snapshot.run) == ["run.created", f"{PATH}#1#started"]
        assert world.answers == [("token-2", None)]

    def test_end_with_their_record(self, world: Ports) -> None:
        snapshot, job = called(world)

        recorded(world, snapshot, job)
        with pytest.raises(ConflictError) as conflict:
            recorded(world, snapshot, replace(job, attempt=2), "again")

        assert stored(world, job) == replace(job, is_done=True)
        assert conflict.value.code == "lease_lost"

    def test_are_looked_at_now_if_they_are_hastened(self, world: Ports) -> None:
        _, job = called(world)

        assert world.jobs.hasten(job, at(30))
        assert due_ats(world, DueKind.LEASE) == [at(30)]
        assert not world.jobs.hasten(job, at(40))
        assert due_ats(world, DueKind.LEASE) == [at(30)]

    def test_that_have_ended_are_not_hastened(self, world: Ports) -> None:
        snapshot, job = called(world)
        recorded(world, snapshot, job)
        world.jobs.answer(job, None)

        assert not world.jobs.hasten(job, at(30))
        assert due(world, DueKind.LEASE) == []
