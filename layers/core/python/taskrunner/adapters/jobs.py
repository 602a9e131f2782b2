"""The port Jobs over the table: one item for the last job of each step.

The jobs that wait in a pool are a list of the index `run-lists`, and those that have waited for too
long are due work. An index has the keys of its items only, so the items are read after it, and
those that wait no more are dropped.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.job_items import (
    answered_update,
    given_back_update,
    hastened_update,
    job_from_item,
    key_of,
    leased_update,
    offered_put,
    renewed_update,
    token_update,
    waits,
    withdrawn_update,
)
from taskrunner.adapters.journal_chunks import Addition, JournalEndedError
from taskrunner.adapters.run_endings import RunEndings
from taskrunner.adapters.run_items import running_check
from taskrunner.adapters.table import ConditionFailedError, Table
from taskrunner.adapters.table_layout import (
    DUE_WORK,
    Key,
    job_key,
    partition_of,
    run_partition,
)
from taskrunner.adapters.table_requests import Query, by_prefix
from taskrunner.adapters.waiting_jobs import MOST_READ, WaitingJobs
from taskrunner.errors import TryAgainError
from taskrunner.model.due_work import DueKind
from taskrunner.model.run import run_ended

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from taskrunner.adapters.journal_chunks import JournalChunks
    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.table_requests import Item, Update, Write
    from taskrunner.adapters.task_tokens import TaskTokens
    from taskrunner.adapters.waiting_jobs import Bounds
    from taskrunner.errors import ConflictError, TaskRunnerError
    from taskrunner.model.job import Job, Lease
    from taskrunner.model.journal import Entry
    from taskrunner.model.run import Run
    from taskrunner.ports.runs import RunSnapshot

_OFFER_TRIES: Final = 8


class DynamoJobs:
    """`ports.Jobs` over the table. Task tokens leave it for Step Functions only."""

    def __init__(
        self,
        table: Table,
        journal: JournalChunks,
        tokens: TaskTokens,
        retention: Retention,
        *,
        bounds: Bounds = MOST_READ,
    ) -> None:
        """Append entries to *journal* in the transaction of the change that they describe.

        *bounds* are those of a poll.
        """
        self._waiting = WaitingJobs(table, bounds)
        self._table = table
        self._journal = journal
        self._tokens = tokens
        self._retention = retention
        self._endings = RunEndings(table, retention)

    def get(self, tenant: str, run_id: str, step_path: str) -> Job | None:
        """See the port."""
        item = self._table.get(job_key(run_partition(tenant, run_id), step_path))
        return None if item is None else job_from_item(item)

    def of_run(self, run: Run) -> Iterator[Job]:
        """See the port."""
        jobs = by_prefix(job_key(partition_of(run), ""))
        unanswered = replace(jobs, filter="attribute_exists(task_token)")
        return map(job_from_item, self._table.query(unanswered))

    def offer(
        self,
        snapshot: RunSnapshot,
        job: Job,
        token: str,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
    ) -> Job:
        """See the port. The failed condition of a repeated call reports the stored job."""
        put = offered_put(job, token, self._retention.expires_at(snapshot.run))
        checks = self._endings.checks(snapshot.run, inside)
        try:
            self._journal.append(snapshot, Addition(entries), [put, *checks])
        except ConditionFailedError as failed:
            if 0 not in failed.items:
                raise self._refusal(snapshot.run, failed) from None
            return self._offer_again(snapshot.run, failed.items[0], job, token, inside)
        return job

    def _offer_again(
        self, run: Run, item: Item, job: Job, token: str, inside: Collection[str]
    ) -> Job:
        """Replace the token of the stored *item*, and return its job.

        Nothing begins with a job that is done, and the machine then waits for an answer only. A
        machine that has gone on to a later attempt waits for nothing.
        """
        for _ in range(_OFFER_TRIES):
            stored = job_from_item(item)
            if stored.attempt > job.attempt:
                return stored
            update = token_update(item, job, token)
            running = [] if stored.is_done else self._running(run, inside)
            try:
                self._table.transact([update, *running])
            except ConditionFailedError as failed:
                if 0 not in failed.items:
                    raise self._refusal(run, failed) from None
                item = failed.items[0]
            else:
                return stored
        raise TryAgainError(f"the job of {job.step_path} changes again and again")

    def _running(self, run: Run, inside: Collection[str]) -> list[Write]:
        return [running_check(run), *self._endings.checks(run, inside)]

    def _refusal(self, run: Run, failed: ConditionFailedError) -> ConflictError:
        if isinstance(failed, JournalEndedError):
            return run_ended(run.run_id, failed.outcome)
        return self._endings.refusal(run)

    def waiting(self, tenant: str, pool: str, labels: Mapping[str, str]) -> Iterator[Job]:
        """See the port."""
        return self._waiting.of_pool(tenant, pool, labels)

    def oldest(self, limit: int) -> Sequence[Job]:
        """See the port. The oldest jobs are due first."""
        query = Query(
            condition="due = :kind",
            values={":kind": DueKind.OFFER.value},
            index=DUE_WORK,
            limit=limit,
        )
        keys = [Key(item["pk"], item["sk"]) for item in self._table.page(query).items]
        items = [item for item in self._table.batch(keys) if waits(item)]
        return [job_from_item(item) for item in sorted(items, key=lambda i: i["created_sort"])]

    def lease(
        self,
        snapshot: RunSnapshot,
        job: Job,
        lease: Lease,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
    ) -> bool:
        """See the port."""
        checks = self._endings.checks(snapshot.run, inside)
        try:
            update = leased_update(job, lease)
            self._journal.append(snapshot, Addition(entries), [update, *checks])
        except ConditionFailedError as failed:
            if 0 in failed.items:
                return False
            raise self._refusal(snapshot.run, failed) from None
        return True

    def renew(
        self, snapshot: RunSnapshot, job: Job, lease: Lease, entries: Sequence[Entry]
    ) -> bool:
        """See the port. Without entries it is one plain update."""
        if job.lease is None:
            return False
        update = renewed_update(job, job.lease, lease)
        return self._update(update) if not entries else self._append(snapshot, entries, update)

    def give_back(self, snapshot: RunSnapshot, job: Job, entries: Sequence[Entry]) -> bool:
        """See the port."""
        if job.lease is None:
            return False
        return self._append(
            snapshot, entries, given_back_update(job, job.lease, entries[-1].occurred_at)
        )

    def hasten(self, job: Job, now: str) -> bool:
        """See the port."""
        return self._update(hastened_update(job, now))

    def withdraw(self, job: Job) -> bool:
        """See the port. Most jobs that are withdrawn have a token."""
        updates = (withdrawn_update(job, has_token=has_token) for has_token in (True, False))
        return any(map(self._update, updates))

    def answer(self, job: Job, error: TaskRunnerError | None) -> None:
        """See the port. A token that replaces the one that was answered stays, and is due."""
        item = self._table.get(key_of(job))
        if item is None or item["attempt"] != job.attempt:
            return
        if "task_token" in item:
            self._send(item["task_token"], error)
        if item.keys() & {"task_token", "due"}:
            self._update(answered_update(item))

    def _send(self, token: str, error: TaskRunnerError | None) -> None:
        if error is None:
            self._tokens.succeed(token)
        else:
            self._tokens.fail(token, type(error).__name__, str(error))

    def _append(self, snapshot: RunSnapshot, entries: Sequence[Entry], update: Update) -> bool:
        """Make *update* with *entries*, which an ended run takes too."""
        with suppress(ConditionFailedError):
            self._journal.append(snapshot, Addition(entries, is_late=True), [update])
            return True
        return False

    def _update(self, update: Update) -> bool:
        with suppress(ConditionFailedError):
            self._table.update(update)
            return True
        return False
