"""The metrics of runs, steps and gates, by the entries of their journals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.model.approval import Verdict
from taskrunner.model.entries import reading, step_entries
from taskrunner.model.entries.gate_entries import DecisionRecorded, GateOpened
from taskrunner.model.entries.job_entries import WorkerLost
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
    from collections.abc import Iterable, Iterator, Mapping

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

_COUNTED: Final[Mapping[type, Metric]] = {
    RunCreated: Metric.RUNS_CREATED,
    AttemptDeferred: Metric.ATTEMPTS_DEFERRED,
    WorkerLost: Metric.WORKERS_LOST,
    GateOpened: Metric.GATES_OPENED,
    SloBreached: Metric.SLO_BREACHES,
}


def measure(run: Run, before: Entry | None, entries: Iterable[Entry]) -> Iterator[Measurement]:
    """Yield what *entries* say; *before* is the entry before them, None when it is not known."""
    for entry in entries:
        yield from _measure(run, before, entry)
        before = entry


def _measure(run: Run, before: Entry | None, entry: Entry) -> Iterator[Measurement]:
    fact = reading.read(entry)
    if (counted := _COUNTED.get(type(fact))) is not None:
        yield Measurement(counted, 1)
    match fact:
        case RunEnded(status, ended_at):
            yield Measurement(_OF_OUTCOME[status], 1)
            yield Measurement(Metric.RUN_TIME, seconds(run.created_at, ended_at))
        case AttemptStarted(worker=None) if before is not None:  # others wait for a worker
            waited_s = seconds(before.occurred_at, entry.occurred_at)
            yield Measurement(Metric.STEP_WAIT, waited_s)
        case StepCompleted():
            yield from _step_time(entry)
        case StepFailed(message=message):
            lost = Metric.ATTEMPTS_LOST if message == LOST else Metric.ATTEMPTS_FAILED
            yield Measurement(lost, 1)
            yield from _step_time(entry)
        case DecisionRecorded(verdict, is_final=True):
            yield Measurement(_OF_VERDICT[verdict], 1)
        case _:
            pass


def _step_time(entry: Entry) -> Iterator[Measurement]:
    duration_s = step_entries.duration_s(entry)
    if duration_s is not None:
        yield Measurement(Metric.STEP_TIME, duration_s)
