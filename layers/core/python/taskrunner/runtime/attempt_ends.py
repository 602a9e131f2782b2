"""The end of an attempt: its record, which is made once, and the machine's answer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from taskrunner.errors import AttemptFailedError, StepFailedError
from taskrunner.model import timestamp
from taskrunner.model.artifact import ArtifactStatus
from taskrunner.model.artifact_names import own_name
from taskrunner.model.entries import step_entries
from taskrunner.model.entries.step_entries import AttemptReport, Failure
from taskrunner.model.plan import RunStep
from taskrunner.model.run import StepOutcome, StepStatus
from taskrunner.ports.runs import NOTHING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.job import Job
    from taskrunner.model.journal import Entry
    from taskrunner.runtime.running_step import RunningStep
    from taskrunner.sandbox.attempt import AttemptResult


def record_end(  # noqa: PLR0913 - the parts of one record
    running: RunningStep,
    attempt: int,
    ended: AttemptResult,
    captured: Sequence[Artifact] = (),
    *,
    before: Sequence[Entry] = (),
    patience_s: float = 0,
    job: Job | None = None,
) -> tuple[StepOutcome, Failure | None]:
    """Record how *attempt* ended, with what it *captured*; *job* is its job, if a worker ran it.

    The entries *before* are recorded before the one of its end.

    Return the outcome that counts, which is that of the first record, and the failure that this
    record says.

    Raises:
        ConflictError: `lease_lost`: *job* is not as it was read; nothing was recorded.
        TryAgainError: others wrote to the run for longer than *patience_s* seconds.
    """
    retries = _run_step(running).retries
    is_final = ended.reason is None or not retries.allow(attempt, ended.reason)
    outcome = StepOutcome(
        path=running.path,
        attempt=attempt,
        status=StepStatus.SUCCEEDED if ended.reason is None else StepStatus.FAILED,
        outputs=ended.outputs,
        final=is_final,
    )
    entry = _entry(running, _report(attempt, ended, captured), ended, is_final=is_final)
    stops = NOTHING
    if is_final and outcome.status is StepStatus.FAILED:
        stops = running.stopped_by_failure(entry.occurred_at)
    recorded = running.world.runs.record_step(
        running.snapshot,
        outcome,
        [*before, entry],
        captured,
        # The quota of the sandbox is that of functions.
        ended.usage.wall_s if job is None else 0,
        stops=stops,
        patience_s=patience_s,
        job=job,
    )
    failure = None if ended.reason is None else Failure(ended.reason, entry.message, None)
    return recorded, failure


def error_of(
    outcome: StepOutcome, failure: Failure | None = None
) -> StepFailedError | AttemptFailedError | None:
    """Return the error by which the machine learns of a recorded *outcome*; None for a success.

    *failure* is for the log of this function, and for those who read the machine's history. The
    reason of an outcome that was recorded before is not known here.
    """
    if outcome.status is not StepStatus.FAILED:
        return None
    kind = StepFailedError if outcome.final else AttemptFailedError
    reason = "" if failure is None else f" ({failure.reason})"
    return kind(
        f"step {outcome.path} failed{reason}; the run's log says why",
        reason=None if failure is None else failure.reason,
        cause=None if failure is None else failure.message,
        attempt=outcome.attempt,
    )


def next_attempt_at(running: RunningStep, attempt: int, now: datetime) -> str:
    """Return when the attempt after *attempt* is made at the latest."""
    pause = timedelta(seconds=_run_step(running).retries.pause_s(attempt))
    return timestamp.to_text(now + pause)


def _run_step(running: RunningStep) -> RunStep:
    step = running.step
    assert isinstance(step, RunStep)  # noqa: S101 - only these have attempts
    return step


def _report(attempt: int, ended: AttemptResult, captured: Sequence[Artifact]) -> AttemptReport:
    return AttemptReport(
        attempt=attempt,
        wall_s=ended.usage.wall_s,
        cpu_s=ended.usage.cpu_s,
        memory_mib=ended.usage.memory_mib,
        artifacts=[own_name(item) for item in captured if item.status is ArtifactStatus.CAPTURED],
    )


def _entry(
    running: RunningStep, report: AttemptReport, ended: AttemptResult, *, is_final: bool
) -> Entry:
    now = running.world.clock.now()
    if ended.reason is None:
        return step_entries.step_completed(running.path, report, timestamp.to_text(now))
    at = None if is_final else next_attempt_at(running, report.attempt, now)
    failure = Failure(ended.reason, ended.message, at)
    return step_entries.step_failed(running.path, report, failure, timestamp.to_text(now))
