"""A run: what is recorded of it, and its state as the fold of its journal over its plan.

The fold is total: any sequence of entries has a state. What a late or repeated writer adds after
the run or the step has ended is in the log and changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from taskrunner.model.journal import Entry, Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.json_types import Json
    from taskrunner.model.plan import Plan, Step, StepKind


class StepStatus(StrEnum):
    """Where a step is."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class Reason(StrEnum):
    """Why a step is where it is: the closed list of the pack language, section 7."""

    AWAITING_APPROVAL = "awaiting-approval"
    CONDITION_FALSE = "condition-false"
    RUN_FAILED = "run-failed"
    RETRYING = "retrying"
    CANCELLED = "cancelled"
    APPROVAL_REJECTED = "approval-rejected"
    APPROVAL_EXPIRED = "approval-expired"
    TIMEOUT = "timeout"
    EXECUTOR_ERROR = "executor-error"


class RunStatus(StrEnum):
    """Where a run is."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


RUN_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
RUN_ID_RULE: Final = "a runId has 1 to 128 of the characters a-z, A-Z, 0-9, _ and -"
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_STEP_ENDED = frozenset({StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is decided when a run is created, and *outcome*, which is decided once, when it ends.

    *execution* names the Step Functions execution; *machine* the state machine it is one of.
    *longest_s* is how long it can take at most, in seconds: what is kept of it is kept longer.
    """

    tenant: str
    run_id: str
    plan_hash: str
    definition_hash: str
    pack_name: str
    pack_version: str
    machine: str
    execution: str
    created_at: str
    created_by: str
    request_digest: str
    longest_s: int = 0
    idempotency_key: str | None = None
    outcome: RunStatus | None = None


@dataclass(frozen=True, slots=True)
class StepReference:
    """Which step of which run, as a state machine names it.

    *iteration* is the prefix that the maps and loops around the step have added, such as
    `outer[1]::`; it is empty at the top.
    """

    tenant: str
    run_id: str
    step_id: str
    iteration: str = ""

    @property
    def path(self) -> str:
        """The id of this very step, unique in its run."""
        return self.iteration + self.step_id


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """How the last attempt of a step ended; what a repeated call answers, and later steps read.

    *outputs* is the executor's result object, or None when the attempt failed.
    """

    path: str
    attempt: int
    status: StepStatus
    outputs: Json = None
    final: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """A step as the journal tells it; times are RFC 3339 text."""

    step_id: str
    kind: StepKind
    enabled: bool
    continue_on_error: bool
    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    reason: Reason | None = None
    last_transition_at: str | None = None
    next_attempt_at: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """A run as the journal tells it."""

    status: RunStatus
    started_at: str | None
    ended_at: str | None
    updated_at: str
    steps: tuple[StepState, ...]


def fold(plan: Plan, entries: Iterable[Entry], created_at: str) -> RunState:
    """The state that *entries*, in the journal's order, give the run of *plan*."""
    state = _Fold(plan, created_at)
    for entry in entries:
        state.apply(entry)
    return state.result()


def live_status(tail: Iterable[Entry]) -> RunStatus:
    """Where a run that has not ended is, told from the end of its journal alone, for lists."""
    status = RunStatus.QUEUED
    for entry in tail:
        if entry.event in {Event.GATE_AWAITING, Event.GATE_APPROVAL_RECORDED}:
            status = RunStatus.WAITING
        elif entry.event not in {Event.RUN_CREATED, Event.STEP_SKIPPED}:
            status = RunStatus.RUNNING
    return status


class _Fold:
    """The accumulator: steps by id, in the plan's order."""

    def __init__(self, plan: Plan, created_at: str) -> None:
        self._steps = {step.id: _initial(step, created_at) for step in plan.steps}
        self._outcome: RunStatus | None = None
        self._started_at: str | None = None
        self._ended_at: str | None = None
        self._updated_at = created_at

    def apply(self, entry: Entry) -> None:
        if self._outcome is not None:
            return
        if entry.event in _RUN_ENDS:
            self._end(entry)
        elif entry.event is Event.RUN_STARTED:
            self._started_at = self._started_at or entry.at
            self._updated_at = entry.at
        elif entry.step in self._steps:
            self._step(self._steps[entry.step], entry)

    def _step(self, step: StepState, entry: Entry) -> None:
        if step.status in _STEP_ENDED:
            return
        changed = _transition(step, entry)
        if changed is not None:
            self._steps[step.step_id] = replace(changed, last_transition_at=entry.at)
            self._started_at = self._started_at or entry.at
            self._updated_at = entry.at

    def _end(self, entry: Entry) -> None:
        self._outcome = _RUN_ENDS[entry.event]
        self._ended_at = self._updated_at = entry.at
        for step in list(self._steps.values()):
            if step.status not in _STEP_ENDED:
                ended = _ended_with_run(step, self._outcome)
                self._steps[step.step_id] = replace(
                    ended, last_transition_at=entry.at, next_attempt_at=None
                )

    def result(self) -> RunState:
        return RunState(
            status=self._outcome or self._live_status(),
            started_at=self._started_at,
            ended_at=self._ended_at,
            updated_at=self._updated_at,
            steps=tuple(self._steps.values()),
        )

    def _live_status(self) -> RunStatus:
        steps = self._steps.values()
        busy = any(
            step.status is StepStatus.RUNNING or step.reason is Reason.RETRYING for step in steps
        )
        if not busy and any(step.reason is Reason.AWAITING_APPROVAL for step in steps):
            return RunStatus.WAITING
        return RunStatus.QUEUED if self._started_at is None else RunStatus.RUNNING


_RUN_ENDS = {
    Event.RUN_COMPLETED: RunStatus.SUCCEEDED,
    Event.RUN_FAILED: RunStatus.FAILED,
    Event.RUN_CANCELLED: RunStatus.CANCELLED,
    Event.RUN_SCHEDULE_FAILED: RunStatus.FAILED,
}


def _initial(step: Step, created_at: str) -> StepState:
    state = StepState(
        step_id=step.id,
        kind=step.kind,
        enabled=step.enabled,
        continue_on_error=step.continue_on_error,
    )
    if step.enabled:
        return state
    return replace(
        state,
        status=StepStatus.SKIPPED,
        reason=Reason.CONDITION_FALSE,
        last_transition_at=created_at,
    )


def _transition(step: StepState, entry: Entry) -> StepState | None:  # noqa: PLR0911 - one each
    """*step* after *entry*, or None when the entry is about something else."""
    attempts = max(step.attempts, _attempt(entry))
    clean = replace(step, reason=None, next_attempt_at=None, attempts=attempts)
    match entry.event:
        case Event.STEP_STARTED:
            return replace(clean, status=StepStatus.RUNNING)
        case Event.STEP_COMPLETED:
            return replace(clean, status=StepStatus.SUCCEEDED)
        case Event.STEP_FAILED:
            return _failed(clean, entry)
        case Event.STEP_SKIPPED:
            return replace(clean, status=StepStatus.SKIPPED, reason=_reason(entry))
        case Event.GATE_AWAITING:
            return replace(clean, reason=Reason.AWAITING_APPROVAL)
        case Event.GATE_APPROVED:
            return replace(clean, status=StepStatus.SUCCEEDED)
        case Event.GATE_REJECTED:
            return replace(clean, status=StepStatus.FAILED, reason=Reason.APPROVAL_REJECTED)
        case Event.GATE_EXPIRED:
            return replace(clean, status=StepStatus.FAILED, reason=Reason.APPROVAL_EXPIRED)
        case _:
            return None


def _failed(step: StepState, entry: Entry) -> StepState:
    step = replace(step, error_message=entry.message)
    if (at := entry.metadata.get("nextAttemptAt")) is not None:
        return replace(step, status=StepStatus.PENDING, reason=Reason.RETRYING, next_attempt_at=at)
    reason = _reason(entry) or Reason.EXECUTOR_ERROR
    return replace(step, status=StepStatus.FAILED, reason=reason)


def _attempt(entry: Entry) -> int:
    """The attempt that *entry* is about; 0 when it names none."""
    text = entry.metadata.get("attempt", "")
    return int(text) if _NUMBER.fullmatch(text) else 0


def _reason(entry: Entry) -> Reason | None:
    """The reason that *entry* gives, if it is one that this release knows."""
    given = entry.metadata.get("reason")
    return Reason(given) if given in set(Reason) else None


def _ended_with_run(step: StepState, outcome: RunStatus) -> StepState:
    """What becomes of a step that had not ended when its run did."""
    if outcome is RunStatus.CANCELLED:
        return replace(step, status=StepStatus.SKIPPED, reason=Reason.CANCELLED)
    if outcome is RunStatus.FAILED and step.attempts == 0:
        return replace(step, status=StepStatus.SKIPPED, reason=Reason.RUN_FAILED)
    # It was started, or passed by, and nobody recorded its end: the function itself broke down.
    return replace(step, status=StepStatus.FAILED, reason=Reason.EXECUTOR_ERROR)
