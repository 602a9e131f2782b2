"""The execution that an attempt of a `states:<name>` step is: its next look, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.model import json_types
from taskrunner.model.due_work import next_look_at_running
from taskrunner.model.machine_call import ExecutionReport, ExecutionStatus
from taskrunner.model.run import Reason
from taskrunner.runtime.attempt_ends import record_end
from taskrunner.runtime.attempt_outputs import usable_and_bounded
from taskrunner.runtime.job_ends import answer, give_up, why_out_of_time, why_stopped
from taskrunner.sandbox.attempt import AttemptResult, Usage

if TYPE_CHECKING:
    from datetime import datetime

    from taskrunner.model.job import Job
    from taskrunner.runtime.running_step import RunningStep

_PATIENCE_S: Final = 15.0
_OUT_OF_TIME: Final = "its execution took longer than the step's time limit, and was stopped"


def next_look_at(now: datetime, started_at: str, stop_at: str) -> str:
    """Return when to look at an execution that goes on, in case its end is not reported."""
    return min(next_look_at_running(now, started_at), stop_at)


def end_call(job: Job, running: RunningStep, report: ExecutionReport) -> None:
    """Record the end of *job* as its execution's *report* says, and answer the run's machine.

    Raises:
        ConflictError: `lease_lost`: the job has changed since it was read; nothing was recorded.
        TryAgainError: others wrote to the run for too long.
    """
    ended = usable_and_bounded(_result(job, running, report))
    outcome, failure = record_end(running, job.attempt, ended, patience_s=_PATIENCE_S, job=job)
    answer(job, running, outcome, failure)


def stop_call(job: Job, running: RunningStep, reason: Reason) -> None:
    """Record that the attempt of *job* has failed for *reason*; its execution was stopped.

    Raises:
        ConflictError: as for `end_call`.
    """
    give_up(job, running, reason, _message(reason))


def _result(job: Job, running: RunningStep, report: ExecutionReport) -> AttemptResult:
    usage = Usage(wall_s=report.duration_s or 0.0)
    match report.status:
        case ExecutionStatus.SUCCEEDED:
            return _success(report, usage)
        case ExecutionStatus.ABORTED:
            reason = why_stopped(running) or why_out_of_time(job, running.now())
            reason = reason or Reason.EXECUTOR_ERROR
            return AttemptResult(reason=reason, message=_message(reason), usage=usage)
        case ExecutionStatus.TIMED_OUT:
            message = "its execution took longer than its machine's own TimeoutSeconds"
            return AttemptResult(reason=Reason.TIMEOUT, message=message, usage=usage)
        case _:
            message = _named(report)
            return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message, usage=usage)


def _success(report: ExecutionReport, usage: Usage) -> AttemptResult:
    try:
        return AttemptResult(outputs=json_types.read(report.output_text or "null"), usage=usage)
    except (RecursionError, ValueError) as error:
        message = f"the output of its execution cannot be read: {error}"
        return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message, usage=usage)


def _named(report: ExecutionReport) -> str:
    """Return `<error>: <cause>` of an execution that has failed."""
    text = ": ".join(part for part in (report.error, report.cause) if part)
    return text or "its execution failed, and gave no reason"


def _message(reason: Reason) -> str:
    match reason:
        case Reason.RUN_FAILED:
            return "its execution was stopped, because another step has failed"
        case Reason.CANCELLED:
            return "cancelled with its run; its execution was stopped"
        case Reason.TIMEOUT:
            return _OUT_OF_TIME
        case _:
            return "its execution was stopped in Step Functions"
