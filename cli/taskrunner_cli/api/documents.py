"""The documents that the API answers with, as types; field names are those of the contract.

They are TypedDicts, because `--output json` prints a document exactly as it came, with members that
are new to this version. A model would drop those. It would also slow down every command: `runs`
takes 780 ms of CPU time, and on the same machine pydantic adds 215 ms for one type, cattrs 95 ms.

No `from __future__ import annotations` here: it would hide `NotRequired` from `__required_keys__`,
by which `answers` checks a document.
"""

from typing import Final, Literal, NotRequired, TypeAlias, TypedDict

RunStatus: TypeAlias = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
StepStatus: TypeAlias = Literal["Pending", "Running", "Succeeded", "Failed", "Skipped"]
Verdict: TypeAlias = Literal["approved", "rejected"]

FINAL_RUN_STATUSES: Final[frozenset[RunStatus]] = frozenset({"succeeded", "failed", "cancelled"})
FINAL_STEP_STATUSES: Final[frozenset[StepStatus]] = frozenset({"Succeeded", "Failed", "Skipped"})
WAITING_REASONS: Final = frozenset({"awaiting-approval", "awaiting-override"})
"""The values of `statusReason` of a gate that waits for a decision."""


class PackName(TypedDict):
    """A pack's name and version."""

    name: str
    version: str


class FailurePolicy(TypedDict):
    """A pack's policy for failing steps."""

    maxAttempts: int
    backoffSeconds: int
    continueOnError: bool


class Step(TypedDict):
    """A step of a run, in its current state."""

    stepId: str
    kind: str
    enabled: bool
    continueOnError: bool
    status: StepStatus
    attempts: int
    name: NotRequired[str]
    templateId: NotRequired[str]
    parentId: NotRequired[str]
    approvalId: NotRequired[str]
    gateMessage: NotRequired[str]
    lastTransitionAt: NotRequired[str]
    nextAttemptAt: NotRequired[str]
    statusReason: NotRequired[str]
    errorMessage: NotRequired[str]


class RunState(TypedDict):
    """A run with its steps, in its current state."""

    runId: str
    planHash: str
    failurePolicy: FailurePolicy
    createdAt: str
    updatedAt: str
    steps: list[Step]
    status: RunStatus
    pack: NotRequired[PackName]
    tenantId: NotRequired[str]
    definitionHash: NotRequired[str]
    startedAt: NotRequired[str]
    endedAt: NotRequired[str]
    createdBy: NotRequired[str]


class MapInfo(TypedDict):
    """A map's items: their number if planning knows it, otherwise the expression."""

    mode: str
    iterator: NotRequired[str]
    index: NotRequired[str]
    itemCount: NotRequired[int]
    itemsExpression: NotRequired[str]


class LoopInfo(TypedDict):
    """A loop's items and the way its outputs are combined."""

    itemsExpression: str
    aggregationMode: str
    iterator: NotRequired[str]
    index: NotRequired[str]
    maxIterations: NotRequired[int]


class BranchInfo(TypedDict):
    """A branch of a conditional."""

    condition: str
    stepCount: NotRequired[int]


class ConditionalInfo(TypedDict):
    """A conditional's branches, in order."""

    branches: list[BranchInfo]
    elseStepCount: NotRequired[int]
    outputUnion: NotRequired[bool]


class PolicyInfo(TypedDict):
    """A policy gate's policy, and its effect when it fails."""

    policyId: str
    policyVersion: str
    failureAction: str
    retryCount: NotRequired[int]


class SimulatedStep(TypedDict):
    """A step of a plan, and the status with which its run would begin."""

    id: str
    templateId: str
    kind: str
    enabled: bool
    status: str
    children: list["SimulatedStep"]
    statusReason: NotRequired[str]
    uses: NotRequired[str]
    approvalId: NotRequired[str]
    gateMessage: NotRequired[str]
    maxParallel: NotRequired[int]
    mapInfo: NotRequired[MapInfo]
    loopInfo: NotRequired[LoopInfo]
    conditionalInfo: NotRequired[ConditionalInfo]
    policyInfo: NotRequired[PolicyInfo]


class SimulatedOutput(TypedDict):
    """An output of a pack, a file or an object."""

    name: str
    type: str
    requiresRuntimeValue: bool
    pathExpression: NotRequired[str]
    valueExpression: NotRequired[str]


class Budget(TypedDict):
    """The most that a run of the plan can use."""

    historyEvents: int
    stateTransitions: int
    estimatedCostUsd: float
    invocations: NotRequired[int]
    definitionBytes: NotRequired[int]
    inputBytes: NotRequired[int]


class Simulation(TypedDict):
    """A pack's plan for the given inputs."""

    planHash: str
    failurePolicy: FailurePolicy
    steps: list[SimulatedStep]
    outputs: list[SimulatedOutput]
    hasPendingApprovals: bool
    pack: NotRequired[PackName]
    definitionHash: NotRequired[str]
    budget: NotRequired[Budget]


class RunSummary(TypedDict):
    """An entry in the list of runs."""

    runId: str
    pack: PackName
    status: RunStatus
    planHash: str
    createdAt: str
    endedAt: NotRequired[str]


class RunPage(TypedDict):
    """A page of the tenant's runs, newest first, with the cursor of the next page."""

    runs: list[RunSummary]
    nextCursor: NotRequired[str]


class OpenApproval(TypedDict):
    """An entry in the list of open approvals."""

    runId: str
    approvalId: str
    stepId: str
    message: str
    grants: list[str]
    openedAt: str
    expiresAt: str
    planHash: str


class ApprovalPage(TypedDict):
    """A page of the tenant's open approvals, with the cursor of the next page."""

    approvals: list[OpenApproval]
    nextCursor: NotRequired[str]


class LogEntry(TypedDict):
    """An entry of a run's log."""

    timestamp: str
    level: str
    eventType: str
    message: str
    stepId: NotRequired[str]
    metadata: NotRequired[dict[str, str]]
    cursor: NotRequired[str]


class Artifact(TypedDict):
    """A file or value that a run captured, or failed to capture."""

    name: str
    type: str
    status: str
    sourcePath: NotRequired[str]
    storedPath: NotRequired[str]
    notes: NotRequired[str]
    capturedAt: NotRequired[str]
    expressionJson: NotRequired[str]
    sizeBytes: NotRequired[int]
    sha256: NotRequired[str]


class DecisionAnswer(TypedDict):
    """The answer to a decision: the verdict, and whether the run goes on."""

    status: str
    resumed: bool


class CancelAnswer(TypedDict):
    """The answer to a cancellation: the run's status."""

    status: str
