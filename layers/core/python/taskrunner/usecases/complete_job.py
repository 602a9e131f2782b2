"""Record how a worker says that an attempt has ended, once, and let its machine go on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskrunner.errors import SecretError, TryAgainError
from taskrunner.model import timestamp
from taskrunner.model.entries.job_entries import LossCause
from taskrunner.model.run import Reason, RunStatus, StepStatus
from taskrunner.model.worker_reports import FailureReason
from taskrunner.runtime import job_output
from taskrunner.runtime.attempt_ends import record_end
from taskrunner.runtime.attempt_outputs import bounded, usable_and_bounded
from taskrunner.runtime.job_ends import answer, lose, why_out_of_time, why_stopped
from taskrunner.runtime.leased_jobs import leased_job
from taskrunner.runtime.uploaded_files import captured
from taskrunner.sandbox.attempt import AttemptResult, Usage

if TYPE_CHECKING:
    from taskrunner.model.job import Job
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import StepOutcome
    from taskrunner.model.worker_reports import Completion
    from taskrunner.ports import World
    from taskrunner.runtime.running_step import RunningStep

# API Gateway waits for 29 s.
_PATIENCE_S: Final = 15.0
# A heartbeat without an answer may still be under way when its worker gives the job back.
_TRIES: Final = 4
_REASONS: Final = {
    FailureReason.EXECUTOR_ERROR: Reason.EXECUTOR_ERROR,
    FailureReason.TIMEOUT: Reason.TIMEOUT,
    FailureReason.MEMORY_EXCEEDED: Reason.MEMORY_EXCEEDED,
}


def complete_job(completion: Completion, world: World) -> JsonObject:
    """Record the end of the attempt, and answer with the outcome that counts.

    The end is recorded first, and the machine learns of it after that; if this call is cut off
    between the two, the reconciler answers the machine. A repeated report changes nothing and gets
    the same answer. A worker that was stopped for a reason of its own gives the job back: it is
    lost at once, and a repeated report of that is refused.

    Raises:
        NotFoundError: the caller can have no such lease.
        ConflictError: `lease_lost`: the job was given away.
        InvalidRequestError: `not_uploaded`: a file that the report names is not in the bucket.
        TryAgainError: AWS was busy; the same report goes on from there.
    """
    for _ in range(_TRIES):
        answer = _complete(completion, world)
        if answer is not None:
            return answer
    raise TryAgainError("other reports about the lease come again and again")


def _complete(completion: Completion, world: World) -> JsonObject | None:
    """Return the answer, or None if the job has changed since it was read."""
    job, running = leased_job(completion.lease_id, completion.secret, completion.caller, world)
    if job.is_done:
        return _answer_again(job, running)
    assert job.lease is not None  # noqa: S101 - `leased_job` has checked it
    _, output = job_output.recorded(job, job.lease, completion.output, running)
    reason = _reason(completion, job, running)
    if completion.reason is FailureReason.STOPPED and reason is None:
        status = lose(job, running, running.now(), cause=LossCause.GAVE_BACK, before=output)
        return None if status is None else {"status": status.value, "attempt": job.attempt}
    ended = _ended(completion, reason, job, running)
    takes_files = running.snapshot.run.takes_artifacts
    files = captured(completion.files, running) if takes_files else []
    outcome, failure = record_end(
        running, job.attempt, ended, files, before=output, patience_s=_PATIENCE_S, job=job
    )
    answer(job, running, outcome, failure)
    if running.snapshot.run.outcome is RunStatus.CANCELLED:
        return _skipped(job)
    return _view(outcome)


def _answer_again(job: Job, running: RunningStep) -> JsonObject:
    """Answer a report that was recorded before; the machine may not have been answered yet."""
    outcome = running.values.outcome(running.path)
    if outcome is None or outcome.attempt != job.attempt:
        return _skipped(job)
    answer(job, running, outcome)
    return _view(outcome)


def _skipped(job: Job) -> JsonObject:
    """Return the answer in a cancelled run, which records no outcome any more."""
    return {"status": StepStatus.SKIPPED.value, "attempt": job.attempt}


def _view(outcome: StepOutcome) -> JsonObject:
    return {"status": outcome.status.value, "attempt": outcome.attempt}


def _reason(completion: Completion, job: Job, running: RunningStep) -> Reason | None:
    """Return why the attempt has failed; None for a success, or if the service knows no reason.

    If the worker was stopped, the reason is the one for which the service has stopped it. There is
    none if the worker's operator has.
    """
    if completion.reason is None:
        return None
    out_of_time = why_out_of_time(job, running.now())
    if completion.reason is FailureReason.STOPPED:
        return why_stopped(running) or out_of_time
    if completion.reason is FailureReason.TIMEOUT:
        return out_of_time or Reason.TIMEOUT
    return _REASONS[completion.reason]


def _ended(
    completion: Completion, reason: Reason | None, job: Job, running: RunningStep
) -> AttemptResult:
    """Return the result of the attempt, without any secret, and within the limits of outputs."""
    usage = _usage(completion, job, running)
    if reason is not None:
        ended = AttemptResult(reason=reason, message=_message(completion, reason), usage=usage)
    else:
        ended = AttemptResult(outputs=dict(completion.outputs), usage=usage)
    try:
        redactor = job_output.step_redactor(running)
    except SecretError as error:
        # Nothing may be recorded that was not searched for the step's secrets.
        return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=str(error), usage=usage)
    ended = bounded(ended)
    ended = replace(
        ended, outputs=redactor.json(ended.outputs), message=redactor.text(ended.message)
    )
    return usable_and_bounded(ended)


def _message(completion: Completion, reason: Reason) -> str:
    match reason:
        case Reason.RUN_FAILED:
            return "stopped, because another step has failed"
        case Reason.CANCELLED:
            return "cancelled with its run"
        case _:
            return completion.message or "the worker gave no message"


def _usage(completion: Completion, job: Job, running: RunningStep) -> Usage:
    """Return the usage as the worker reports it; no attempt takes longer than its lease."""
    assert job.lease is not None  # noqa: S101 - `leased_job` has checked it
    leased_at = timestamp.from_text(job.lease.leased_at)
    longest_s = max(0.0, (running.world.clock.now() - leased_at).total_seconds())
    if completion.usage is None:
        return Usage(wall_s=longest_s)
    return Usage(
        wall_s=min(completion.usage.wall_s, longest_s),
        cpu_s=completion.usage.cpu_s,
        memory_mib=round(completion.usage.memory_mib),
    )
