"""Entries about the run itself: its creation, its start, its end."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.model.entries import fields
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.run import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.model.run import Run

# Each run ends once: whichever end is recorded first has this id.
_END: Final = "run.ended"
_STATUSES: Final = {
    Event.RUN_COMPLETED: RunStatus.SUCCEEDED,
    Event.RUN_FAILED: RunStatus.FAILED,
    Event.RUN_SCHEDULE_FAILED: RunStatus.FAILED,
    Event.RUN_CANCELLED: RunStatus.CANCELLED,
}
LAST_EVENTS: Final = frozenset(_STATUSES)  # each run ends with one of these


class RunCreated(NamedTuple):
    """The run was created by *created_by*, the subject of a token."""

    created_by: str | None


class RunStarted(NamedTuple):
    """The first step, or the first question, of the run was reached."""

    started_at: str


class CancelRequested(NamedTuple):
    """Somebody asked to cancel the run. *name* is what the registry calls *requested_by*."""

    requested_by: str | None
    name: str | None = None


class RunEnded(NamedTuple):
    """The run ended with *status*."""

    status: RunStatus
    ended_at: str


class Objective(StrEnum):
    """An objective of a pack's `slo` that a run can breach."""

    RUN = "runP95Seconds"
    APPROVAL = "approvalP95Seconds"


class SloBreached(NamedTuple):
    """The run has breached an objective; both members are None when this release knows less."""

    objective: Objective | None
    limit_s: int | None


class StepsFailed(NamedTuple):
    """A failure has stopped the steps before `finally`, that of *step* if a step failed them.

    *error* is how their execution ended, if it was stopped.
    """

    step: str | None
    error: str | None
    failed_at: str


class StepsEnded(NamedTuple):
    """The steps before `finally` have ended with *status*, and `finally` begins."""

    status: RunStatus
    ended_at: str


RunFact = (
    RunCreated | RunStarted | CancelRequested | RunEnded | SloBreached | StepsFailed | StepsEnded
)


def run_created(run: Run) -> Entry:
    """The entry with which the journal of *run* begins."""
    metadata = {
        "planHash": run.plan_hash,
        "requestedAt": run.created_at,
        "by": run.created_by,
        "byName": run.created_by_name,
    }
    return Entry(
        id="run.created",
        occurred_at=run.created_at,
        event=Event.RUN_CREATED,
        message="Run created via API.",
        metadata=fields.without_none(metadata),
    )


def run_started(occurred_at: str) -> Entry:
    """The entry that says that the run has started."""
    return Entry(
        id="run.started", occurred_at=occurred_at, event=Event.RUN_STARTED, message="Run started."
    )


def cancel_requested(requested_by: str, occurred_at: str, *, name: str | None = None) -> Entry:
    """The entry that says who cancelled the run; *name* is what the registry calls them."""
    return Entry(
        id="run.cancel-requested",
        occurred_at=occurred_at,
        event=Event.RUN_CANCEL_REQUESTED,
        message="Cancellation requested via API.",
        metadata=fields.without_none({"by": requested_by, "byName": name}),
    )


def run_cancelled(occurred_at: str) -> Entry:
    """The entry with which a run ends as cancelled."""
    return Entry(
        id="run.cancelled",
        occurred_at=occurred_at,
        event=Event.RUN_CANCELLED,
        level=Level.WARN,
        message="Run cancelled.",
    )


def run_completed(occurred_at: str) -> Entry:
    """The entry with which a run ends as succeeded."""
    return Entry(
        id=_END, occurred_at=occurred_at, event=Event.RUN_COMPLETED, message="Run completed."
    )


def run_failed(cause: str, occurred_at: str, *, error: str | None = None) -> Entry:
    """The entry with which a run ends as failed, by *cause*, such as `step build failed`.

    *error* is the name that Step Functions gave the failure, if it gave one.
    """
    return Entry(
        id=_END,
        occurred_at=occurred_at,
        event=Event.RUN_FAILED,
        level=Level.ERROR,
        message=f"Run failed: {cause}.",
        metadata=fields.without_none({"error": error}),
    )


def run_not_scheduled(occurred_at: str, reason: str = "") -> Entry:
    """The last entry of a run whose execution could not be started.

    *reason* is AWS's name of the error that it refused the execution with, if it did.
    """
    refusal = f"; AWS refused it with {reason}" if reason else ""
    return Entry(
        id=_END,
        occurred_at=occurred_at,
        event=Event.RUN_SCHEDULE_FAILED,
        level=Level.ERROR,
        message=f"Run failed: its execution could not be started{refusal}.",
        metadata=fields.without_none({"error": reason or None}),
    )


def steps_failed(
    cause: str, occurred_at: str, *, step: str | None = None, error: str | None = None
) -> Entry:
    """The entry that the steps before `finally` have failed by *cause*, and that no more starts."""
    return Entry(
        id="run.steps-failed",
        occurred_at=occurred_at,
        event=Event.RUN_STEPS_FAILED,
        level=Level.ERROR,
        message=f"The steps failed: {cause}. No other step starts before finally.",
        metadata=fields.without_none({"step": step, "error": error}),
    )


def steps_ended(status: RunStatus, occurred_at: str) -> Entry:
    """The entry that all steps before `finally` have ended, and that it begins."""
    return Entry(
        id="run.steps-ended",
        occurred_at=occurred_at,
        event=Event.RUN_STEPS_ENDED,
        message=f"The steps have {status}. Finally begins.",
        metadata={"status": status.value},
    )


def slo_breached(
    objective: Objective, limit_s: int, occurred_at: str, *, step_path: str | None = None
) -> Entry:
    """The entry of a run, or of a gate at *step_path*, that has taken longer than *limit_s*."""
    what = "The run takes" if step_path is None else f"The gate {step_path} waits"
    return Entry(
        id="run.slo-breached" if step_path is None else f"{step_path}#slo-breached",
        occurred_at=occurred_at,
        event=Event.RUN_SLO_BREACHED,
        level=Level.WARN,
        step_path=step_path,
        message=f"{what} longer than {limit_s} seconds, the pack's {objective}.",
        metadata={"objective": objective.value, "limitSeconds": str(limit_s)},
    )


def _read_slo_breached(entry: Entry) -> SloBreached:
    given = entry.metadata.get("objective")
    objective = Objective(given) if given in set(Objective) else None
    return SloBreached(objective, fields.number(entry, "limitSeconds"))


def _read_steps_failed(entry: Entry) -> StepsFailed:
    metadata = entry.metadata
    return StepsFailed(metadata.get("step"), metadata.get("error"), entry.occurred_at)


def _read_steps_ended(entry: Entry) -> StepsEnded:
    has_succeeded = entry.metadata.get("status") == RunStatus.SUCCEEDED.value
    status = RunStatus.SUCCEEDED if has_succeeded else RunStatus.FAILED
    return StepsEnded(status, entry.occurred_at)


def _read_created(entry: Entry) -> RunCreated:
    return RunCreated(entry.metadata.get("by"))


def _read_started(entry: Entry) -> RunStarted:
    return RunStarted(entry.occurred_at)


def _read_cancel_requested(entry: Entry) -> CancelRequested:
    return CancelRequested(entry.metadata.get("by"), entry.metadata.get("byName"))


def _read_ended(entry: Entry) -> RunEnded:
    return RunEnded(_STATUSES[entry.event], entry.occurred_at)


READERS: Final[Mapping[Event, Callable[[Entry], RunFact]]] = {
    Event.RUN_CREATED: _read_created,
    Event.RUN_STARTED: _read_started,
    Event.RUN_CANCEL_REQUESTED: _read_cancel_requested,
    Event.RUN_SLO_BREACHED: _read_slo_breached,
    Event.RUN_STEPS_FAILED: _read_steps_failed,
    Event.RUN_STEPS_ENDED: _read_steps_ended,
    **dict.fromkeys(_STATUSES, _read_ended),
}
