"""The attempts of one step, with their times, as its entries in the journal have them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskrunner.model.entries.flow_entries import PolicyEvaluated
from taskrunner.model.entries.job_entries import LossCause, WorkerLost
from taskrunner.model.entries.reading import read
from taskrunner.model.entries.step_entries import (
    AttemptDeferred,
    AttemptStarted,
    StepCompleted,
    StepFailed,
)
from taskrunner.model.flow import PolicyVerdict
from taskrunner.model.run import StepStatus, WorkerLoss
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskrunner.model.journal import Entry
    from taskrunner.model.run import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt of a run step, or an evaluation of a policy. Times are RFC 3339 text.

    *started_at* is None for an evaluation, of which only the end is recorded. *worker* is the
    worker that runs it, or has run it, if one does, and *execution* the name of the execution that
    it is, if it calls a state machine.
    """

    number: int
    status: StepStatus = StepStatus.RUNNING
    started_at: str | None = None
    worker: str | None = None
    execution: str | None = None
    ended_at: str | None = None
    reason: Reason | None = None
    message: str | None = None
    next_attempt_at: str | None = None


def attempts_of(entries: Iterable[Entry]) -> Sequence[Attempt]:
    """Return the attempts that *entries* of one step record, in their order."""
    attempts: dict[int, Attempt] = {}
    for entry in entries:
        match read(entry):
            case AttemptStarted(number, worker, execution):
                attempts[number] = Attempt(
                    number=number,
                    started_at=entry.occurred_at,
                    worker=worker,
                    execution=execution,
                )
            case AttemptDeferred(number) | WorkerLost(attempt=number):
                attempts.pop(number, None)  # it is made again, with the same number
            case StepCompleted(number):
                attempts[number] = _ended(attempts, number, StepStatus.SUCCEEDED, entry)
            case StepFailed(attempt=number) as failed if number > 0:
                ended = _ended(attempts, number, StepStatus.FAILED, entry)
                attempts[number] = replace(
                    ended,
                    reason=failed.reason,
                    message=failed.message,
                    next_attempt_at=failed.next_attempt_at,
                )
            case PolicyEvaluated(attempt=number) as evaluated:
                passed = evaluated.verdict is PolicyVerdict.PASSED
                status = StepStatus.SUCCEEDED if passed else StepStatus.FAILED
                attempts[number] = replace(
                    _ended(attempts, number, status, entry),
                    message=None if passed else evaluated.message,
                    next_attempt_at=evaluated.next_attempt_at,
                )
            case _:
                pass  # not about an attempt
    return tuple(attempts.values())


def losses_of(entries: Iterable[Entry]) -> Sequence[WorkerLoss]:
    """Return the losses of workers that *entries* of one step record, in their order."""
    losses: list[WorkerLoss] = []
    started_at: str | None = None
    for entry in entries:
        match read(entry):
            case AttemptStarted():
                started_at = entry.occurred_at
            case WorkerLost(attempt, pool, worker, cause):
                losses.append(
                    WorkerLoss(
                        attempt=attempt,
                        worker=worker,
                        pool=pool,
                        lost_at=entry.occurred_at,
                        is_given_back=cause is LossCause.GAVE_BACK,
                        started_at=started_at,
                    )
                )
            case _:
                pass  # not about a worker
    return tuple(losses)


def _ended(attempts: dict[int, Attempt], number: int, status: StepStatus, entry: Entry) -> Attempt:
    attempt = attempts.get(number, Attempt(number=number))
    return replace(attempt, status=status, ended_at=entry.occurred_at)
