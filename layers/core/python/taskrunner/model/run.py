"""A run: what is recorded of it, and the values that its state is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from taskrunner.model.journal import Entry, Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.json_types import Json
    from taskrunner.model.plan import StepKind


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
    AWAITING_OVERRIDE = "awaiting-override"
    CONDITION_FALSE = "condition-false"
    CONDITION_AT_RUNTIME = "condition-at-runtime"
    BRANCH_NOT_TAKEN = "branch-not-taken"
    PARENT_SKIPPED = "parent-skipped"
    RUN_FAILED = "run-failed"
    RETRYING = "retrying"
    CANCELLED = "cancelled"
    APPROVAL_REJECTED = "approval-rejected"
    APPROVAL_EXPIRED = "approval-expired"
    POLICY_FAILED = "policy-failed"
    POLICY_WARNED = "policy-warned"
    TIMEOUT = "timeout"
    QUOTA_EXCEEDED = "quota-exceeded"
    MEMORY_EXCEEDED = "memory-exceeded"
    EGRESS_DENIED = "egress-denied"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is decided when a run is created, and *outcome*, which is decided once, when it ends.

    *execution* names the Step Functions execution; *machine* the state machine it is one of.
    *longest_s* is how long it can take at most, in seconds: what is kept of it is kept longer.
    *queue_depth* is how many runs of its pack may be unfinished, this one among them; None is any.
    *sealed* is true once its evidence is recorded, which nothing but its end comes before.
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
    queue_depth: int | None = None
    idempotency_key: str | None = None
    outcome: RunStatus | None = None
    sealed: bool = False


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
    """A step as the journal tells it; times are RFC 3339 text.

    *step_id* has the iterations that the step stands in, *template_id* is its id in the pack.
    """

    step_id: str
    template_id: str
    parent_id: str | None
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


def live_status(tail: Iterable[Entry]) -> RunStatus:
    """Where a run that has not ended is, told from the end of its journal alone, for lists."""
    status = RunStatus.QUEUED
    for entry in tail:
        if entry.event in {Event.GATE_AWAITING, Event.GATE_APPROVAL_RECORDED}:
            status = RunStatus.WAITING
        elif entry.event not in {Event.RUN_CREATED, Event.STEP_SKIPPED}:
            status = RunStatus.RUNNING
    return status
