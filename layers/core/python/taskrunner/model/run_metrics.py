"""The metrics of runs, steps and gates, by the entries of their journals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.model.approval import Verdict
from taskrunner.model.entries import reading, step_entries
from taskrunner.model.entries.gate_entries import DecisionRecorded, GateOpened
from taskrunner.model.entries.run_entries import RunCreated, RunEnded, SloBreached
from taskrunner.model.entries.step_entries import (
    LOST,
    AttemptDeferred,
    AttemptStarted,
    StepCompleted,
    StepFailed,
)
from taskrunner.model.lifecycle import seconds
from taskrunner.model.metrics import Measurement, Metric
from taskrunner.model.run import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.journal import Entry
    from taskrunner.model.run import Run

_OF_OUTCOME: Final = {
    RunStatus.SUCCEEDED: Metric.RUNS_SUCCEEDED,
    RunStatus.FAILED: Metric.RUNS_FAILED,
    RunStatus.CANCELLED: Metric.RUNS_CANCELLED,
}
_OF_VERDICT: Final = {
    Verdict.APPROVED: Metric.GATES_APPROVED,
    Verdict.REJECTED: Metric.GATES_REJECTED,
    Verdict.EXPIRED: Metric.GATES_EXPIRED,
}


def measure(run: Run, before: Entry | None, entries: Iterable[Entry]) -> Iterator[Measurement]:
    """Yield what *entries* say; *before* is the entry before them, None when it is not known."""
    for entry in entries:
        yield from _measure(run, before, entry)
        before = entry


def _measure(run: Run, before: Entry | None, entry: Entry) -> Iterator[Measurement]:
    match reading.read(entry):
        case RunCreated():
            yield Measurement(Metric.RUNS_CREATED, 1)
        case RunEnded(status, ended_at):
            yield Measurement(_OF_OUTCOME[status], 1)
            yield Measurement(Metric.RUN_TIME, seconds(run.created_at, ended_at))
        case AttemptStarted() if before is not None:
            waited_s = seconds(before.occurred_at, entry.occurred_at)
            yield Measurement(Metric.STEP_WAIT, waited_s)
        case AttemptDeferred():
            yield Measurement(Metric.ATTEMPTS_DEFERRED, 1)
        case StepCompleted():
            yield from _step_time(entry)
        case StepFailed(message=message):
            lost = Metric.ATTEMPTS_LOST if message == LOST else Metric.ATTEMPTS_FAILED
            yield Measurement(lost, 1)
            yield from _step_time(entry)
        case GateOpened():
            yield Measurement(Metric.GATES_OPENED, 1)
        case DecisionRecorded(verdict, is_final=True):
            yield Measurement(_OF_VERDICT[verdict], 1)
        case SloBreached():
            yield Measurement(Metric.SLO_BREACHES, 1)
        case _:
            pass


def _step_time(entry: Entry) -> Iterator[Measurement]:
    duration_s = step_entries.duration_s(entry)
    if duration_s is not None:
        yield Measurement(Metric.STEP_TIME, duration_s)
