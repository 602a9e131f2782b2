"""The end of a job: why it is stopped, and how its machine learns of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.entries import job_entries
from taskrunner.model.job import MAX_LOSSES
from taskrunner.model.plan import RunStep
from taskrunner.model.run import Reason, RunStatus, StepStatus
from taskrunner.runtime.attempt_ends import error_of, record_end
from taskrunner.sandbox.attempt import AttemptResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.entries.job_entries import LossCause
    from taskrunner.model.entries.step_entries import Failure
    from taskrunner.model.job import Job
    from taskrunner.model.journal import Entry
    from taskrunner.model.run import StepOutcome
    from taskrunner.runtime.running_step import RunningStep


def why_stopped(running: RunningStep) -> Reason | None:
    """Return why nothing of the step counts any more, or None while the run wants it."""
    run = running.snapshot.run
    if run.outcome is not None:
        return Reason.CANCELLED if run.outcome is RunStatus.CANCELLED else Reason.RUN_FAILED
    inside = running.inside
    if inside and not running.world.runs.stopped_blocks(run).keys().isdisjoint(inside):
        return Reason.RUN_FAILED
    return None


def why_out_of_time(job: Job, now: str) -> Reason | None:
    """Return the reason of a leased job that has used all of its time, or None."""
    if job.lease is None or now < job.lease.stop_at:
        return None
    return Reason.TIMEOUT


def answer(
    job: Job, running: RunningStep, outcome: StepOutcome, failure: Failure | None = None
) -> None:
    """Bring the recorded *outcome* of a job to the gates that it has ended, and to its machine.

    It may be repeated. *failure* is why the attempt failed, if this call knows it.
    """
    error = error_of(outcome, failure)
    if error is not None and outcome.final:
        running.deliver(running.stopped_by_failure(running.now()))
    running.world.jobs.answer(job, error)


def answer_again(job: Job, running: RunningStep) -> None:
    """Answer the machine of *job*, whose end was recorded before, if it waits still."""
    outcome = running.values.outcome(running.path)
    if outcome is not None:
        answer(job, running, outcome)
    else:  # the run was cancelled, which records no outcome
        running.world.jobs.answer(job, None)


def give_up(
    job: Job, running: RunningStep, reason: Reason, message: str, before: Sequence[Entry] = ()
) -> None:
    """Record that the attempt of *job* has failed for *reason*, and answer its machine.

    The entries *before* are recorded before the end.

    Raises:
        ConflictError: `lease_lost`: the job has changed since it was read.
    """
    ended = AttemptResult(reason=reason, message=message)
    outcome, failure = record_end(running, job.attempt, ended, before=before, job=job)
    answer(job, running, outcome, failure)


def lose(
    job: Job, running: RunningStep, now: str, *, cause: LossCause, before: Sequence[Entry] = ()
) -> StepStatus | None:
    """Offer *job* again, whose worker was lost, or fail its attempt if the pack counts that.

    The entries *before* are recorded before the loss.

    Return the status of the step then, or None if the job has changed since it was read, so that
    nothing was recorded.

    Raises:
        ConflictError: `lease_lost`: the same, if the attempt should have failed.
    """
    lease, step, world = job.lease, running.step, running.world
    assert lease is not None  # noqa: S101 - only a leased job is lost
    assert isinstance(step, RunStep)  # noqa: S101 - only these have jobs
    if Reason.WORKER_LOST.value in step.retries.on or job.losses >= MAX_LOSSES:
        times = f", the last of {job.losses + 1}," if job.losses else ""
        message = f"its worker {lease.worker}{times} {cause.words}"
        give_up(job, running, Reason.WORKER_LOST, message, before)
        return StepStatus.FAILED
    entry = job_entries.worker_lost(
        job.step_path, job.attempt, job.pool, lease.worker, now, losses=job.losses, cause=cause
    )
    is_given_back = world.jobs.give_back(running.snapshot, job, [*before, entry])
    return StepStatus.PENDING if is_given_back else None
