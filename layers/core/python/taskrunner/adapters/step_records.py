"""The records of what a run's steps do: their beginnings, decisions, and the ends of attempts.

Each is one write with its journal entries, and with all that it stops when it is a failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from taskrunner.adapters.artifact_items import artifact_item
from taskrunner.adapters.job_items import done_update
from taskrunner.adapters.journal_chunks import Addition, JournalEndedError, with_end
from taskrunner.adapters.run_items import unsettled_check
from taskrunner.adapters.table import ConditionFailedError
from taskrunner.adapters.table_requests import Put
from taskrunner.model.run import RunStatus, lease_lost, run_ended
from taskrunner.ports.runs import NOTHING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from taskrunner.adapters.journal_chunks import JournalChunks
    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.run_endings import RunEndings
    from taskrunner.adapters.step_outcomes import StepOutcomes
    from taskrunner.adapters.table_requests import Update, Write
    from taskrunner.model.artifact import Artifact
    from taskrunner.model.job import Job
    from taskrunner.model.journal import Entry
    from taskrunner.model.run import Run, StepOutcome
    from taskrunner.ports.runs import RunSnapshot, Stops


class _Record(NamedTuple):
    """The writes that record the end of an attempt, those of its job second."""

    outcome: Put
    jobs: Sequence[Update]
    artifacts: Sequence[Put]

    @property
    def all(self) -> list[Write]:
        return [self.outcome, *self.jobs, *self.artifacts]


class StepRecords:
    """Writes the records of steps."""

    def __init__(
        self,
        journal: JournalChunks,
        outcomes: StepOutcomes,
        endings: RunEndings,
        retention: Retention,
    ) -> None:
        """Write to *journal* in the transactions that its entries describe."""
        self._journal = journal
        self._outcomes = outcomes
        self._endings = endings
        self._retention = retention

    def begin(
        self, snapshot: RunSnapshot, entries: Sequence[Entry], inside: Collection[str], stops: Stops
    ) -> None:
        """Append *entries* that begin something, with what they stop if they are a failure.

        Raises:
            ConflictError: the run has ended, or a block of *inside* has been stopped.
        """
        try:
            self._write(snapshot, Addition(entries), [], inside, stops)
        except JournalEndedError as ended:
            # A repeated call finds the end that it has written itself.
            if not (stops.run_failed and ended.is_recorded):
                raise run_ended(snapshot.run.run_id, ended.outcome) from None
        except ConditionFailedError:
            raise self._endings.refusal(snapshot.run) from None

    def begin_if_unchanged(
        self, snapshot: RunSnapshot, entries: Sequence[Entry], inside: Collection[str]
    ) -> bool:
        """Append *entries* that begin something, if the journal ends as *snapshot* says.

        Return False if it has changed, or a block of *inside* has been stopped.
        """
        checks = self._endings.checks(snapshot.run, inside)
        return self._journal.append_if_unchanged(snapshot, entries, checks)

    def decide(
        self,
        snapshot: RunSnapshot,
        outcome: StepOutcome,
        addition: Addition,
        inside: Collection[str],
        stops: Stops,
    ) -> StepOutcome:
        """Record a decision, or return the one that was recorded first.

        Raises:
            ConflictError: as for `begin`.
        """
        put = self._outcomes.put(snapshot.run, outcome)
        try:
            self._write(snapshot, addition, [put], inside, stops)
        except ConditionFailedError as error:
            if 0 in error.items:
                return self._outcomes.from_item(error.items[0])
            raise self._endings.refusal(snapshot.run) from None
        return outcome

    def end_attempt(  # noqa: PLR0913 - as in the port
        self,
        snapshot: RunSnapshot,
        outcome: StepOutcome,
        addition: Addition,
        artifacts: Sequence[Artifact],
        *,
        stops: Stops,
        job: Job | None = None,
    ) -> StepOutcome:
        """Record how an attempt ended, or return how the record of it says that it ended.

        Raises:
            ConflictError: *job*, which ran the attempt, is not as it was read.
        """
        record = self._record(snapshot.run, outcome, addition.entries, artifacts, job)
        try:
            self._write(snapshot, addition, record.all, (), stops)
        except ConditionFailedError as error:
            first = self._recorded(record, outcome.path, error)
            if first is not None:
                return first
            if stops.steps_failed is not None and not isinstance(error, JournalEndedError):
                # Another failure has stopped the steps before, and says why they failed.
                return self.end_attempt(
                    snapshot, outcome, addition, artifacts, stops=NOTHING, job=job
                )
            return self._end_late(snapshot, outcome, addition._replace(is_late=True), record)
        return outcome

    def _record(
        self,
        run: Run,
        outcome: StepOutcome,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact],
        job: Job | None,
    ) -> _Record:
        jobs = []
        if job is not None:
            jobs.append(done_update(job, entries[-1].occurred_at if entries else job.offered_at))
        artifact_puts = self.artifact_puts(run, artifacts, outcome)
        return _Record(self._outcomes.put(run, outcome), jobs, artifact_puts)

    def _recorded(
        self, record: _Record, path: str, error: ConditionFailedError
    ) -> StepOutcome | None:
        """Return the outcome that was recorded before *record*, if that is why it failed."""
        if 0 in error.items:
            return self._outcomes.from_item(error.items[0])
        if record.jobs and 1 in error.items:
            raise lease_lost(path) from None
        return None

    def _write(
        self,
        snapshot: RunSnapshot,
        addition: Addition,
        writes: Sequence[Write],
        inside: Collection[str],
        stops: Stops,
    ) -> None:
        """Append *addition* with *writes* and *stops*, if the run and *inside* have not ended."""
        added = self._endings.of_failure(snapshot.run, stops, addition.entries, writes, inside)
        self._journal.append(snapshot, with_end(addition, stops), [*writes, *added])

    def _end_late(
        self,
        snapshot: RunSnapshot,
        outcome: StepOutcome,
        addition: Addition,
        record: _Record,
    ) -> StepOutcome:
        """Record the end of an attempt that was running when its run ended.

        It counts unless the run was cancelled. Its artifacts count until a failed run is settled;
        one that has succeeded has its outputs already. After a cancellation the journal gets the
        entries, and a job is done; nothing else changes.
        """
        ended = self._endings.outcome(snapshot.run)
        if ended is RunStatus.CANCELLED:
            self._append_cancelled(snapshot, outcome, addition._replace(used_ms=0), record)
            return outcome
        choices: list[list[Write]] = [[record.outcome, *record.jobs]]
        if ended is RunStatus.FAILED:
            choices.insert(0, [*record.all, unsettled_check(snapshot.run)])
        for writes in choices:
            try:
                self._journal.append(snapshot, addition, writes)
            except ConditionFailedError as error:
                first = self._recorded(record, outcome.path, error)
                if first is not None:
                    return first
            else:
                break
        return outcome

    def _append_cancelled(
        self, snapshot: RunSnapshot, outcome: StepOutcome, addition: Addition, record: _Record
    ) -> None:
        try:
            self._journal.append(snapshot, addition, record.jobs)
        except ConditionFailedError:
            raise lease_lost(outcome.path) from None

    def artifact_puts(
        self, run: Run, artifacts: Sequence[Artifact], writer: StepOutcome | None = None
    ) -> list[Put]:
        """Return the writes of *artifacts*; *writer* is None if the end of the run adds them."""
        expires_at = self._retention.expires_at(run)
        return [Put(item=artifact_item(run, a, writer, expires_at)) for a in artifacts]
