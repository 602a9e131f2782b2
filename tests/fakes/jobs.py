"""Jobs of worker pools in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING

from taskrunner.model import timestamp
from taskrunner.model.due_work import DueKind, first_look_at
from taskrunner.model.job import LONGEST_WAIT, Job, Lease
from tests.fakes.atomic import atomic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from taskrunner.errors import TaskRunnerError
    from taskrunner.model.journal import Entry
    from taskrunner.model.run import Run
    from taskrunner.ports import RunSnapshot
    from tests.fakes.runs import MemoryRuns


@dataclass
class StoredJob:
    """A job, with its task token until its machine was answered."""

    job: Job
    token: str | None
    is_listed: bool = True

    def is_still(self, job: Job) -> bool:
        """Return whether the job has not ended, and has its lease or none as in *job*."""
        seen = (job.attempt, job.losses, _digest(job.lease))
        present = (self.job.attempt, self.job.losses, _digest(self.job.lease))
        return not self.job.is_done and present == seen


@dataclass
class MemoryJobs:
    """The last job of each step by tenant, run and path.

    *answers* has each token that was answered, with the name of the error or None.
    """

    runs: MemoryRuns
    stored: dict[tuple[str, str, str], StoredJob] = field(default_factory=dict)
    answers: list[tuple[str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runs.end_job = self._end

    @atomic
    def get(self, tenant: str, run_id: str, step_path: str) -> Job | None:
        stored = self.stored.get((tenant, run_id, step_path))
        return None if stored is None else stored.job

    @atomic
    def of_run(self, run: Run) -> Iterator[Job]:
        jobs = sorted(self.stored.items(), key=itemgetter(0))
        return iter(
            [
                stored.job
                for key, stored in jobs
                if key[:2] == (run.tenant, run.run_id) and stored.token is not None
            ]
        )

    @atomic
    def offer(
        self,
        snapshot: RunSnapshot,
        job: Job,
        token: str,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
    ) -> Job:
        stored = self.stored.get(_key(job))
        is_known = stored is not None and stored.job.attempt >= job.attempt
        run = self.runs.of(snapshot.run.tenant, snapshot.run.run_id)
        refusal = run.refusal(inside)
        if stored is not None and is_known:
            if stored.job.attempt > job.attempt:
                return stored.job
            if refusal is not None and not stored.job.is_done:
                raise refusal
            stored.token = token
            if not self._is_due(job):
                self._look_at(DueKind.LEASE, job, first_look_at(job.offered_at))
            return stored.job
        if refusal is not None:
            raise refusal
        run.append(entries)
        self.stored[_key(job)] = StoredJob(job, token, is_listed=job.lease is None)
        if job.lease is None:
            self._look_at(DueKind.OFFER, job, _wait_ends_at(job))
        else:
            self._look_at(DueKind.LEASE, job, job.lease.expires_at)
        return job

    @atomic
    def waiting(self, tenant: str, pool: str, labels: Mapping[str, str]) -> Iterator[Job]:
        jobs = [job for job in self._listed() if (job.tenant, job.pool) == (tenant, pool)]
        return iter(sorted(filter(lambda job: job.suits(labels), jobs), key=_place))

    @atomic
    def oldest(self, limit: int) -> Sequence[Job]:
        return sorted(self._listed(), key=_place)[:limit]

    def _listed(self) -> list[Job]:
        return [stored.job for stored in self.stored.values() if stored.is_listed]

    @atomic
    def lease(
        self,
        snapshot: RunSnapshot,
        job: Job,
        lease: Lease,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
    ) -> bool:
        stored = self._unchanged(replace(job, lease=None))
        if stored is None or not stored.is_listed:
            return False
        run = self.runs.of(snapshot.run.tenant, snapshot.run.run_id)
        if (refusal := run.refusal(inside)) is not None:
            raise refusal
        run.append(entries)
        stored.job, stored.is_listed = replace(stored.job, lease=lease), False
        self._look_at(DueKind.LEASE, job, lease.expires_at)
        return True

    @atomic
    def renew(
        self, snapshot: RunSnapshot, job: Job, lease: Lease, entries: Sequence[Entry]
    ) -> bool:
        stored = self._leased(job)
        if stored is None or _sequence(stored.job.lease) != _sequence(job.lease):
            return False
        stored.job = replace(stored.job, lease=lease)
        self.runs.of(snapshot.run.tenant, snapshot.run.run_id).append(entries)
        return True

    @atomic
    def give_back(self, snapshot: RunSnapshot, job: Job, entries: Sequence[Entry]) -> bool:
        stored = self._leased(job)
        if stored is None or _expiry(stored.job.lease) != _expiry(job.lease):
            return False
        stored.job = replace(
            stored.job, lease=None, losses=job.losses + 1, waits_since=entries[-1].occurred_at
        )
        stored.is_listed = True
        self._look_at(DueKind.OFFER, job, _wait_ends_at(stored.job))
        self.runs.of(snapshot.run.tenant, snapshot.run.run_id).append(entries)
        return True

    @atomic
    def hasten(self, job: Job, now: str) -> bool:
        due = self.runs.due_work.find(DueKind.LEASE, job, job.step_path)
        if self._unchanged(job) is None or due is None or due.due_at <= now:
            return False
        self._look_at(DueKind.LEASE, job, now)
        return True

    @atomic
    def withdraw(self, job: Job) -> bool:
        stored = self._unchanged(job)
        if stored is None:
            return False
        stored.job, stored.is_listed = replace(stored.job, lease=None), False
        if stored.token is None:
            self._end_due_work(job)
        else:
            self._look_at(DueKind.LEASE, job, first_look_at(job.offered_at))
        return True

    def _end(self, job: Job, recorded_at: str | None) -> bool:
        """Let the job be done, if it is as it was read; the runs call it."""
        stored = self._unchanged(job)
        if stored is None:
            return False
        stored.job, stored.is_listed = replace(stored.job, is_done=True), False
        self._look_at(DueKind.LEASE, job, first_look_at(recorded_at or job.offered_at))
        return True

    @atomic
    def answer(self, job: Job, error: TaskRunnerError | None) -> None:
        stored = self.stored.get(_key(job))
        if stored is None or stored.job.attempt != job.attempt:
            return
        if stored.token is not None:
            self.answers.append((stored.token, None if error is None else type(error).__name__))
        stored.token, stored.is_listed = None, False
        self._end_due_work(job)

    def _leased(self, job: Job) -> StoredJob | None:
        return None if job.lease is None else self._unchanged(job)

    def _unchanged(self, job: Job) -> StoredJob | None:
        stored = self.stored.get(_key(job))
        return stored if stored is not None and stored.is_still(job) else None

    def _look_at(self, kind: DueKind, job: Job, due_at: str) -> None:
        self.runs.due_work.look_at(kind, job, due_at, job.step_path)

    def _is_due(self, job: Job) -> bool:
        return self.runs.due_work.find(DueKind.LEASE, job, job.step_path) is not None

    def _end_due_work(self, job: Job) -> None:
        self.runs.due_work.remove(DueKind.LEASE, job, job.step_path)


def _key(job: Job) -> tuple[str, str, str]:
    return job.tenant, job.run_id, job.step_path


def _place(job: Job) -> tuple[str, str, str]:
    return job.offered_at, job.run_id, job.step_path


def _wait_ends_at(job: Job) -> str:
    return timestamp.to_text(timestamp.from_text(job.waits_since) + LONGEST_WAIT)


def _digest(lease: Lease | None) -> str | None:
    return None if lease is None else lease.secret_digest


def _sequence(lease: Lease | None) -> int | None:
    return None if lease is None else lease.output_sequence


def _expiry(lease: Lease | None) -> str | None:
    return None if lease is None else lease.expires_at
