"""A run: what is recorded of it, and the values that its state consists of."""

from __future__ import annotations

import re
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from taskrunner.errors import ConflictError
from taskrunner.model import step_path
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import StepKind


class StepStatus(StrEnum):
    """The status of a step."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class Reason(StrEnum):
    """The reason of a step's status: the closed list of the pack language, section 7.

    The last two are those of steps that workers run.
    """

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
    WAITING_FOR_WORKER = "waiting-for-worker"
    WORKER_LOST = "worker-lost"


class RunStatus(StrEnum):
    """The status of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_unended(self) -> bool:
        """Whether a run with this status goes on."""
        return self in _UNENDED


_UNENDED: Final = frozenset({RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING})
_ENDED: Final = frozenset({StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED})
# A Pending step with these reasons has begun, and its next attempt follows by itself.
_FOLLOWED: Final = frozenset({Reason.RETRYING, Reason.WAITING_FOR_WORKER})
_AWAITING: Final = frozenset({Reason.AWAITING_APPROVAL, Reason.AWAITING_OVERRIDE})
RUN_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
RUN_ID_RULE: Final = "a runId has 1 to 128 of the characters a-z, A-Z, 0-9, _ and -"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsEnd:
    """The end of the steps before `finally`: *outcome* is succeeded or failed.

    *failed_step* is the path of the step that failed them. *reason* is the reason of its state; if
    no step failed them, it is how Step Functions says that their execution ended.
    *status_reason* is the API's RunStatusReason of the failure.
    """

    outcome: RunStatus
    failed_step: str | None = None
    reason: str | None = None
    status_reason: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The record of a run. *machine*, *execution*, and the members after *rerun_of* change later.

    *machine* changes if the stack is updated before the run has an execution. *execution* changes
    if it is stopped before `finally`, which another execution then runs. *steps_end* is recorded
    before `finally` begins.

    *machine* and *execution* are the names of its state machine and Step Functions execution, and
    *distributed* are the ids of the machine's Distributed Maps.
    *longest_s* is the longest that the run can take, in seconds; what is stored of it is kept
    accordingly. *queue_depth* is how many runs of its pack may be unfinished, itself included;
    None is any number. *manifest_digest* is that of the manifest's text, which is stored; older
    runs have none. *created_by_name* is what the registry calls *created_by*; no rule reads it.
    *rerun_of* is the run that this one repeats, if it repeats one. *settled* is true once a failed
    run takes no artifacts of steps that still run, and *sealed* once the evidence of a run that
    has ended is recorded.
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
    distributed: tuple[str, ...] = ()
    longest_s: int = 0
    queue_depth: int | None = None
    idempotency_key: str | None = None
    manifest_digest: str | None = None
    created_by_name: str | None = None
    rerun_of: str | None = None
    steps_end: StepsEnd | None = None
    outcome: RunStatus | None = None
    settled: bool = False
    sealed: bool = False

    @property
    def takes_artifacts(self) -> bool:
        """Whether the artifacts of a step that ends now are recorded."""
        return self.outcome is None or (self.outcome is RunStatus.FAILED and not self.settled)


# The code of the error of what may not begin, because a failure has stopped the steps around it.
BLOCK_STOPPED: Final = "block_stopped"


def run_ended(run_id: str, outcome: str) -> ConflictError:
    """Return the error of a call that would begin something in a run that has ended."""
    return ConflictError("run_ended", f"the run {run_id} has ended as {outcome}")


# The code of the error of a report about an attempt that its worker has lost.
LEASE_LOST: Final = "lease_lost"


def lease_lost(step_path: str) -> ConflictError:
    """Return the error of a worker that reports for an attempt which it has lost."""
    message = (
        f"another worker runs {step_path} now, or its attempt has ended; stop, and keep nothing"
    )
    return ConflictError(LEASE_LOST, message)


def block_stopped(run_id: str) -> ConflictError:
    """Return the error of a call that would begin something in a block that has been stopped."""
    message = f"a failure has stopped a block of the run {run_id} that this step is in"
    return ConflictError(BLOCK_STOPPED, message)


@dataclass(frozen=True, slots=True)
class StepReference:
    """A step of a run, as a state machine names it.

    *prefix* is that of the step's path: the iterations of maps and loops around it, such as
    `outer[1]::`. It is empty outside of them.
    """

    tenant: str
    run_id: str
    step_id: str
    prefix: str = ""

    @property
    def path(self) -> str:
        """The step path, which is unique in the run."""
        return step_path.join(self.prefix, self.step_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """A value that a run has recorded at a path, for later steps and for repeated calls.

    It is the end of a step's last attempt, a policy's verdict, or the item list or iteration count
    of a block. *path* is the step path; `recorded_outcomes` adds a suffix for lists and counts.
    *outputs* is the value, and None when a step's attempt failed. *final* is false while the step
    may be attempted again.
    """

    path: str
    attempt: int
    status: StepStatus
    outputs: Json = None
    final: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLoss:
    """The loss of the worker of an attempt, which was then offered again. Times are RFC 3339 text.

    *started_at* is when the worker began the attempt; it is None if that is not asked for. If
    *is_given_back*, the worker was stopped and gave the attempt back, else it was silent.
    """

    attempt: int
    worker: str
    pool: str
    lost_at: str
    is_given_back: bool = False
    started_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """The state of a step, as its run's journal gives it. Times are RFC 3339 text.

    *path* is the step path, *template_id* the step's id in the pack, and *parent_path* the path of
    the block that directly holds the step. *failure* is why the last attempt failed, while the step
    waits for the next one. *was_reached* stays true once the run has reached the step.
    *gate_message* is what the template of a gate's message gave when the gate opened. *pool* is the
    pool whose workers run the step, and *worker* the name of the one that runs or has run its last
    attempt; both are None for other steps. *wanted_labels* are those that this worker must have, in
    the form of `job.labels_text`, and *last_loss* is the last loss of a worker with this attempt.
    *execution* is the name of the execution that the last attempt is, if it calls a state machine.
    *has_job* is whether a worker, or a machine of others, runs the step.
    """

    path: str
    template_id: str
    parent_path: str | None
    kind: StepKind
    enabled: bool
    continue_on_error: bool
    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    reason: Reason | None = None
    last_transition_at: str | None = None
    next_attempt_at: str | None = None
    error_message: str | None = None
    failure: Reason | None = None
    was_reached: bool = False
    gate_message: str | None = None
    pool: str | None = None
    worker: str | None = None
    wanted_labels: str = ""
    last_loss: WorkerLoss | None = None
    execution: str | None = None
    has_job: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether the step is Succeeded, Failed or Skipped."""
        return self.status in _ENDED

    @property
    def is_fatal(self) -> bool:
        """Whether the step failed and its failure is not let pass."""
        return self.status is StepStatus.FAILED and not self.continue_on_error

    @property
    def is_waiting(self) -> bool:
        """Whether the step is a gate that waits for a decision."""
        return self.reason in _AWAITING

    @property
    def is_under_way(self) -> bool:
        """Whether an attempt of the step runs, or follows without any decision of a person."""
        return self.status is StepStatus.RUNNING or self.reason in _FOLLOWED


@dataclass(frozen=True, slots=True)
class UnlistedIterations:
    """The *count* iterations of a map or loop that have not begun and are not listed.

    All are in the same state. *steps* are the states of the steps directly in one of them.
    """

    count: int
    steps: tuple[StepState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """The state of a run, as its journal gives it; *steps* are in the order of the plan.

    *unlisted* has the iterations that *steps* lacks, by the path of their map or loop.
    """

    status: RunStatus
    started_at: str | None
    ended_at: str | None
    updated_at: str
    steps: tuple[StepState, ...]
    unlisted: Mapping[str, UnlistedIterations] = field(default_factory=dict)
