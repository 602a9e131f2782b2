"""The documents of the API as the command line reads them, field names as on the wire.

TypedDicts, so that a document is printed again exactly as it came and is still type checked where
it is read. No `from __future__ import annotations` here: it would hide `NotRequired` from
`__required_keys__`, by which the client checks what it received.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NotRequired, TypeAlias, TypedDict

Json: TypeAlias = Mapping[str, Any]

RunStatus: TypeAlias = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
StepStatus: TypeAlias = Literal["Pending", "Running", "Succeeded", "Failed", "Skipped"]
Decision: TypeAlias = Literal["approved", "rejected"]

ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
AWAITING: Final = frozenset({"awaiting-approval", "awaiting-override"})


class PackName(TypedDict):
    """Which pack, as it calls itself."""

    name: str
    version: str


class FailurePolicy(TypedDict):
    """What the pack does about a failing step."""

    maxAttempts: int
    backoffSeconds: int
    continueOnError: bool


class Step(TypedDict):
    """One step of a run, as the fold of the run's journal sees it now."""

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
    """A run: the contract's fields and the additions this service promises."""

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


class SimulatedStep(TypedDict):
    """What a step would do."""

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
    mapInfo: NotRequired[dict[str, Any]]
    loopInfo: NotRequired[dict[str, Any]]
    conditionalInfo: NotRequired[dict[str, Any]]
    policyInfo: NotRequired[dict[str, Any]]


class SimulatedOutput(TypedDict):
    """What the pack would hand out."""

    name: str
    type: str
    requiresRuntimeValue: bool
    pathExpression: NotRequired[str]
    valueExpression: NotRequired[str]


class Simulation(TypedDict):
    """The answer of a simulation."""

    planHash: str
    failurePolicy: FailurePolicy
    steps: list[SimulatedStep]
    outputs: list[SimulatedOutput]
    hasPendingApprovals: bool
    pack: NotRequired[PackName]
    definitionHash: NotRequired[str]
    budget: NotRequired[dict[str, Any]]


class RunSummary(TypedDict):
    """One line of the list of runs."""

    runId: str
    pack: PackName
    status: RunStatus
    planHash: str
    createdAt: str
    endedAt: NotRequired[str]


class RunPage(TypedDict):
    """Runs of the tenant, newest first, and where the next ones begin."""

    runs: list[RunSummary]
    nextCursor: NotRequired[str]


class OpenApproval(TypedDict):
    """A gate that waits for somebody."""

    runId: str
    approvalId: str
    stepId: str
    message: str
    grants: list[str]
    openedAt: str
    expiresAt: str
    planHash: str


class ApprovalPage(TypedDict):
    """Open approvals of the tenant, and where the next ones begin."""

    approvals: list[OpenApproval]
    nextCursor: NotRequired[str]


class LogEntry(TypedDict):
    """One line of a run's log."""

    timestamp: str
    level: str
    eventType: str
    message: str
    stepId: NotRequired[str]
    metadata: NotRequired[dict[str, str]]
    cursor: NotRequired[str]


class Artifact(TypedDict):
    """Something a run captured."""

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
    """What became of a decision."""

    status: str
    resumed: bool


class CancelAnswer(TypedDict):
    """What became of a cancellation."""

    status: str


class PlanError(TypedDict):
    """One thing wrong with a pack."""

    path: str
    message: str
