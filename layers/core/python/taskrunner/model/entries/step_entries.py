"""Entries about steps: their attempts, and why a step was skipped or could not be decided."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.model.entries import fields
from taskrunner.model.entries.flow_entries import DecisionKind
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.run import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class AttemptStarted(NamedTuple):
    """An attempt of a run step started, on *worker* if a worker runs it.

    *execution* is the name of the execution that it is, if it calls a state machine.
    """

    attempt: int
    worker: str | None = None
    execution: str | None = None


class AttemptDeferred(NamedTuple):
    """AWS refused an attempt that had started: it had no effect, and is made again later."""

    attempt: int


class StepCompleted(NamedTuple):
    """An attempt of a run step succeeded, and the step with it."""

    attempt: int


class StepFailed(NamedTuple):
    """An attempt of a step failed, and the step with it unless there is a *next_attempt_at*.

    *iterations* is how many iterations a loop had when its `until` could not be evaluated.
    """

    attempt: int
    reason: Reason | None
    message: str
    next_attempt_at: str | None
    iterations: int | None


class StepSkipped(NamedTuple):
    """The step is not run."""

    reason: Reason | None


StepFact = AttemptStarted | AttemptDeferred | StepCompleted | StepFailed | StepSkipped

_DURATION: Final = re.compile(r"(\d{1,9}\.\d{3})s")
LOST: Final = "the function ended before the attempt did, so nobody knows what the attempt has done"


class AttemptReport(NamedTuple):
    """The log data of an attempt that has ended: its usage, and the names of its artifacts."""

    attempt: int
    wall_s: float
    cpu_s: float
    memory_mib: int
    artifacts: Sequence[str]


class Failure(NamedTuple):
    """The failure of an attempt, and the time of the next attempt, if there is one."""

    reason: Reason
    message: str
    next_attempt_at: str | None


def step_skipped(step_path: str, occurred_at: str, *, when_planned: bool = False) -> Entry:
    """The entry of a step whose condition is false, as planning knew or as the run has shown."""
    inputs = " for these inputs" if when_planned else ""
    return Entry(
        id=f"{step_path}#skipped",
        occurred_at=occurred_at,
        event=Event.STEP_SKIPPED,
        step_path=step_path,
        message=f"Step skipped: {step_path}, because its condition is false{inputs}",
        metadata={"reason": Reason.CONDITION_FALSE.value},
    )


def first_start_id(step_path: str, attempt: int) -> str:
    """Return the id of the first entry about an attempt: its start, before any deferral."""
    return f"{step_path}#{attempt}#started"


def attempt_started(  # noqa: PLR0913 - the fields of an entry
    step_path: str,
    attempt: int,
    uses: str,
    occurred_at: str,
    *,
    deferrals: int = 0,
    worker: str | None = None,
    execution: str | None = None,
) -> Entry:
    """The entry that begins an attempt by the executor *uses*, for the first time or again.

    *deferrals* is how often the attempt was deferred before, or lost with its worker. *worker* is
    the name of the worker that runs it, if one does, and *execution* that of the execution which a
    called state machine makes of it.
    """
    return Entry(
        id=_numbered(first_start_id(step_path, attempt), deferrals + 1),
        occurred_at=occurred_at,
        event=Event.STEP_STARTED,
        step_path=step_path,
        message=f"Starting step: {step_path}",
        metadata=fields.without_none(
            {"attempt": str(attempt), "uses": uses, "worker": worker, "execution": execution}
        ),
    )


def attempt_deferred(
    step_path: str, attempt: int, cause: str, occurred_at: str, *, deferrals: int = 0
) -> Entry:
    """The entry of an attempt that AWS refused by *cause*, after as many *deferrals* before."""
    message = f"Attempt deferred: {step_path}. {cause}"
    return Entry(
        id=_numbered(f"{step_path}#{attempt}#deferred", deferrals + 1),
        occurred_at=occurred_at,
        event=Event.STEP_DEFERRED,
        level=Level.WARN,
        step_path=step_path,
        message=message[: fields.MAX_MESSAGE],
        metadata={"attempt": str(attempt)},
    )


def attempt_lost(
    step_path: str, attempt: int, next_attempt_at: str | None, occurred_at: str
) -> Entry:
    """The entry that ends an attempt whose function ended before the attempt did."""
    return Entry(
        id=f"{step_path}#{attempt}#ended",
        occurred_at=occurred_at,
        event=Event.STEP_FAILED,
        level=Level.ERROR if next_attempt_at is None else Level.WARN,
        step_path=step_path,
        message=LOST,
        metadata=fields.without_none(
            {
                "attempt": str(attempt),
                "reason": Reason.EXECUTOR_ERROR.value,
                "nextAttemptAt": next_attempt_at,
            }
        ),
    )


def _numbered(entry_id: str, number: int) -> str:
    """The id of an entry that an attempt may have several of; the first has no number."""
    return entry_id if number == 1 else f"{entry_id}#{number}"


def step_completed(step_path: str, report: AttemptReport, occurred_at: str) -> Entry:
    """The entry that ends an attempt that succeeded."""
    return Entry(
        id=f"{step_path}#{report.attempt}#ended",
        occurred_at=occurred_at,
        event=Event.STEP_COMPLETED,
        step_path=step_path,
        message=f"Step completed: {step_path}",
        metadata=_reported(report),
    )


def step_failed(step_path: str, report: AttemptReport, failure: Failure, occurred_at: str) -> Entry:
    """The entry that ends an attempt that failed."""
    return Entry(
        id=f"{step_path}#{report.attempt}#ended",
        occurred_at=occurred_at,
        event=Event.STEP_FAILED,
        level=Level.ERROR if failure.next_attempt_at is None else Level.WARN,
        step_path=step_path,
        message=failure.message[: fields.MAX_MESSAGE] or "the executor gave no message",
        metadata=fields.without_none(
            {
                **_reported(report),
                "reason": failure.reason.value,
                "nextAttemptAt": failure.next_attempt_at,
            }
        ),
    )


def step_undecidable(
    step_path: str, message: str, occurred_at: str, *, iterations: int | None = None
) -> Entry:
    """The entry of a step that failed because an expression of it could not be evaluated.

    *iterations* is how many a loop has had, when the expression is its `until`: no other entry
    would say so where the iterations left none.
    """
    is_loop = iterations is not None
    return Entry(
        id=f"{step_path}#undecidable",
        occurred_at=occurred_at,
        event=Event.STEP_FAILED,
        level=Level.ERROR,
        step_path=step_path,
        message=message[: fields.MAX_MESSAGE],
        metadata=fields.without_none(
            {
                "reason": Reason.EXECUTOR_ERROR.value,
                "ask": DecisionKind.END.value if is_loop else None,
                "value": str(iterations) if is_loop else None,
            }
        ),
    )


def _reported(report: AttemptReport) -> dict[str, str]:
    usage = {
        "attempt": str(report.attempt),
        "duration": f"{report.wall_s:.3f}s",
        "cpu": f"{report.cpu_s:.3f}s",
        "memory": f"{report.memory_mib}MiB",
    }
    return usage | ({"artifacts": ",".join(report.artifacts)} if report.artifacts else {})


def duration_s(entry: Entry) -> float | None:
    """Return how long the executor of an ended attempt has taken, in seconds, if that is known."""
    found = _DURATION.fullmatch(entry.metadata.get("duration", ""))
    return None if found is None else float(found[1])


def _read_started(entry: Entry) -> AttemptStarted:
    metadata = entry.metadata
    return AttemptStarted(fields.attempt(entry), metadata.get("worker"), metadata.get("execution"))


def _read_deferred(entry: Entry) -> AttemptDeferred:
    return AttemptDeferred(fields.attempt(entry))


def _read_completed(entry: Entry) -> StepCompleted:
    return StepCompleted(fields.attempt(entry))


def _read_failed(entry: Entry) -> StepFailed:
    is_loop = entry.metadata.get("ask") == DecisionKind.END
    return StepFailed(
        attempt=fields.attempt(entry),
        reason=fields.reason(entry),
        message=entry.message,
        next_attempt_at=entry.metadata.get("nextAttemptAt"),
        iterations=fields.number(entry, "value") if is_loop else None,
    )


def _read_skipped(entry: Entry) -> StepSkipped:
    return StepSkipped(fields.reason(entry))


READERS: Final[Mapping[Event, Callable[[Entry], StepFact]]] = {
    Event.STEP_STARTED: _read_started,
    Event.STEP_DEFERRED: _read_deferred,
    Event.STEP_COMPLETED: _read_completed,
    Event.STEP_FAILED: _read_failed,
    Event.STEP_SKIPPED: _read_skipped,
}
