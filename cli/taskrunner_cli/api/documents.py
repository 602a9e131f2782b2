"""The documents that the API answers with, as types; field names are those of the contract.

They are TypedDicts, which `shapes` checks. Models would slow down every command: `runs` takes
780 ms of CPU time, and on the same machine pydantic adds 215 ms for one type, cattrs 95 ms.

A member is required here only if nothing can be shown without it, and never if the API's document
calls it optional. Every reader does without the others.

No `from __future__ import annotations` here: it would hide `NotRequired` from `__required_keys__`.
"""

from typing import Final, Literal, NotRequired, TypeAlias, TypedDict

RunStatus: TypeAlias = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
StepStatus: TypeAlias = Literal["Pending", "Running", "Succeeded", "Failed", "Skipped"]
Verdict: TypeAlias = Literal["approved", "rejected"]

FINAL_RUN_STATUSES: Final[frozenset[RunStatus]] = frozenset({"succeeded", "failed", "cancelled"})
FINAL_STEP_STATUSES: Final[frozenset[StepStatus]] = frozenset({"Succeeded", "Failed", "Skipped"})
WAITING_REASONS: Final = frozenset({"awaiting-approval", "awaiting-override"})
"""The values of `statusReason` of a gate that waits for a decision."""
STATUS_OF_LAST_EVENT: Final[dict[str, RunStatus]] = {
    "run.completed": "succeeded",
    "run.failed": "failed",
    "run.schedule-failed": "failed",
    "run.cancelled": "cancelled",
}
"""The statuses of ended runs, by the event of the entry that ends a log."""


class PackName(TypedDict):
    """A pack's name and version."""

    name: str
    version: NotRequired[str]


class FailurePolicy(TypedDict):
    """A pack's policy for failing steps."""

    maxAttempts: int
    backoffSeconds: int
    continueOnError: bool


class WorkerWait(TypedDict):
    """The cause of a step's wait for a worker, as a word and as a sentence."""

    cause: NotRequired[str]
    message: NotRequired[str]


class WorkerLoss(TypedDict):
    """An attempt whose worker was lost."""

    attempt: NotRequired[int]
    worker: NotRequired[str]
    startedAt: NotRequired[str]
    lostAt: NotRequired[str]
    message: NotRequired[str]


class Step(TypedDict):
    """A step of a run, in its current state."""

    stepId: str
    kind: NotRequired[str]
    enabled: NotRequired[bool]
    continueOnError: NotRequired[bool]
    status: StepStatus
    attempts: NotRequired[int]
    name: NotRequired[str]
    templateId: NotRequired[str]
    parentId: NotRequired[str]
    branch: NotRequired[str]
    approvalId: NotRequired[str]
    gateMessage: NotRequired[str]
    lastTransitionAt: NotRequired[str]
    nextAttemptAt: NotRequired[str]
    maxParallel: NotRequired[int]
    statusReason: NotRequired[str]
    errorMessage: NotRequired[str]
    counts: NotRequired[dict[str, int]]
    childrenOmitted: NotRequired[int]
    phase: NotRequired[str]
    pool: NotRequired[str]
    worker: NotRequired[str]
    workerWait: NotRequired[WorkerWait]
    lastLoss: NotRequired[WorkerLoss]
    executionArn: NotRequired[str]
    executionUrl: NotRequired[str]


class StepAttempt(TypedDict):
    """An attempt of a step."""

    attempt: int
    status: StepStatus
    worker: NotRequired[str]
    executionArn: NotRequired[str]
    startedAt: NotRequired[str]
    endedAt: NotRequired[str]
    reason: NotRequired[str]
    message: NotRequired[str]


class Retries(TypedDict):
    """The number of a step's attempts, and the pauses between them."""

    maxAttempts: int
    backoffSeconds: NotRequired[int]
    backoffRate: NotRequired[float]
    maxBackoffSeconds: NotRequired[int]
    jitter: NotRequired[str]
    on: NotRequired[list[str]]


class StepDetail(Step):
    """A step with its attempts, and its outputs as later steps read them."""

    uses: NotRequired[str]
    startedAt: NotRequired[str]
    endedAt: NotRequired[str]
    outputs: NotRequired[object]
    outputsOmitted: NotRequired[bool]
    attemptHistory: NotRequired[list[StepAttempt]]
    losses: NotRequired[list[WorkerLoss]]
    retries: NotRequired[Retries]


class RunWarning(TypedDict):
    """A warning to the creator of a run, as a word and as a sentence."""

    code: NotRequired[str]
    message: NotRequired[str]


class RunState(TypedDict):
    """A run with its steps, in its current state."""

    runId: str
    planHash: str
    failurePolicy: NotRequired[FailurePolicy]
    createdAt: NotRequired[str]
    updatedAt: NotRequired[str]
    steps: list[Step]
    status: NotRequired[RunStatus]
    pack: NotRequired[PackName]
    tenantId: NotRequired[str]
    definitionHash: NotRequired[str]
    startedAt: NotRequired[str]
    endedAt: NotRequired[str]
    createdBy: NotRequired[str]
    createdByName: NotRequired[str]
    rerunOf: NotRequired[str]
    executionArn: NotRequired[str]
    executionUrl: NotRequired[str]
    position: NotRequired[str]
    nextCursor: NotRequired[str]
    stepsOmitted: NotRequired[int]
    warnings: NotRequired[list[RunWarning]]


class MapInfo(TypedDict):
    """A map's items: their number if planning knows it, otherwise the expression."""

    mode: NotRequired[str]
    iterator: NotRequired[str]
    index: NotRequired[str]
    itemCount: NotRequired[int]
    itemsExpression: NotRequired[str]
    failFast: NotRequired[bool]


class LoopInfo(TypedDict):
    """A loop's items and the way its outputs are combined."""

    itemsExpression: NotRequired[str]
    aggregationMode: NotRequired[str]
    iterator: NotRequired[str]
    index: NotRequired[str]
    maxIterations: NotRequired[int]
    failFast: NotRequired[bool]


class BranchInfo(TypedDict):
    """A branch of a conditional."""

    condition: NotRequired[str]
    stepCount: NotRequired[int]


class ConditionalInfo(TypedDict):
    """A conditional's branches, in order."""

    branches: NotRequired[list[BranchInfo]]
    elseStepCount: NotRequired[int]
    outputUnion: NotRequired[bool]


class PolicyInfo(TypedDict):
    """A policy gate's policy, and its effect when it fails."""

    policyId: NotRequired[str]
    policyVersion: NotRequired[str]
    failureAction: NotRequired[str]
    retryCount: NotRequired[int]


class SimulatedStep(TypedDict):
    """A step of a plan, and the status with which its run would begin."""

    id: str
    templateId: NotRequired[str]
    kind: NotRequired[str]
    enabled: NotRequired[bool]
    status: str
    children: NotRequired[list["SimulatedStep"]]
    statusReason: NotRequired[str]
    uses: NotRequired[str]
    approvalId: NotRequired[str]
    gateMessage: NotRequired[str]
    maxParallel: NotRequired[int]
    mapInfo: NotRequired[MapInfo]
    loopInfo: NotRequired[LoopInfo]
    conditionalInfo: NotRequired[ConditionalInfo]
    policyInfo: NotRequired[PolicyInfo]
    branch: NotRequired[str]
    retries: NotRequired[Retries]
    phase: NotRequired[str]


class SimulatedOutput(TypedDict):
    """An output of a pack, a file or an object."""

    name: str
    type: NotRequired[str]
    requiresRuntimeValue: NotRequired[bool]
    pathExpression: NotRequired[str]
    valueExpression: NotRequired[str]


class Budget(TypedDict):
    """The most that a run of the plan can use."""

    historyEvents: NotRequired[int]
    stateTransitions: NotRequired[int]
    estimatedCostUsd: NotRequired[float]
    invocations: NotRequired[int]
    definitionBytes: NotRequired[int]
    inputBytes: NotRequired[int]


class PlanChange(TypedDict):
    """A change from one plan to another; *field* is a JSON pointer in the thing of this *id*."""

    change: str
    part: str
    id: NotRequired[str]
    field: NotRequired[str]
    old: NotRequired[object]
    new: NotRequired[object]


class PlanDiff(TypedDict):
    """The changes from one plan to another, and how many there are."""

    changes: list[PlanChange]
    total: NotRequired[int]


class PlanComparison(TypedDict):
    """A plan compared with another one; *reason* says why there is nothing to compare with."""

    compareTo: NotRequired[str]
    planHash: NotRequired[str]
    runId: NotRequired[str]
    identical: NotRequired[bool]
    diff: NotRequired[PlanDiff]
    reason: NotRequired[str]


class Simulation(TypedDict):
    """A pack's plan for the given inputs."""

    planHash: str
    failurePolicy: NotRequired[FailurePolicy]
    steps: list[SimulatedStep]
    outputs: NotRequired[list[SimulatedOutput]]
    hasPendingApprovals: NotRequired[bool]
    pack: NotRequired[PackName]
    definitionHash: NotRequired[str]
    budget: NotRequired[Budget]
    comparison: NotRequired[PlanComparison]


class RunReason(TypedDict):
    """The reason of a run's failure, cancellation or wait, with the step that failed or waits."""

    stepId: NotRequired[str]
    reason: NotRequired[str]
    message: NotRequired[str]


class RunSummary(TypedDict):
    """An entry in the list of runs."""

    runId: str
    pack: NotRequired[PackName]
    status: NotRequired[RunStatus]
    planHash: NotRequired[str]
    createdAt: NotRequired[str]
    endedAt: NotRequired[str]
    statusReason: NotRequired[RunReason]


class RunPlan(TypedDict):
    """The plan of a run, compared with another one if that was asked for."""

    planHash: str
    comparison: NotRequired[PlanComparison]


class RunPage(TypedDict):
    """A page of the tenant's runs, newest first, with the cursor of the next page."""

    runs: list[RunSummary]
    nextCursor: NotRequired[str]


class Approver(TypedDict):
    """Somebody who has approved already."""

    approver: str
    approverName: NotRequired[str]
    decidedAt: NotRequired[str]


class Reason(TypedDict):
    """A reason as a code for programs and a sentence for people."""

    code: str
    message: NotRequired[str]


class Finding(TypedDict):
    """An output of a step that a gate names, with its value once there is one."""

    name: str
    value: NotRequired[object]


class WaitingGate(TypedDict):
    """A gate that waits, the steps that it guards, and the outputs that it names.

    One that needs its own decision has its own approvers, and says whether the caller may decide.
    """

    stepId: str
    approvedBy: NotRequired[list[Approver]]
    canDecide: NotRequired[bool]
    cannotDecideReason: NotRequired[Reason]
    message: NotRequired[str]
    guards: NotRequired[list[str]]
    guardsOmitted: NotRequired[int]
    guardsInIteration: NotRequired[list[str]]
    unless: NotRequired[str]
    guardsNothingBecause: NotRequired[str]
    findings: NotRequired[list[Finding]]


class RecordedDecision(TypedDict):
    """A decision that was made before."""

    stepId: NotRequired[str]
    decision: str
    approver: str
    approverName: NotRequired[str]
    decidedAt: NotRequired[str]
    actorId: NotRequired[str]
    summary: NotRequired[str]


class OpenApproval(TypedDict):
    """An approval, as an entry in the list of those that are open, or alone with its gates."""

    runId: str
    approvalId: str
    stepId: NotRequired[str]
    scope: NotRequired[str]
    grants: NotRequired[list[str]]
    openedAt: NotRequired[str]
    expiresAt: NotRequired[str]
    planHash: NotRequired[str]
    message: NotRequired[str]
    pack: NotRequired[PackName]
    requestedBy: NotRequired[str]
    requestedByName: NotRequired[str]
    minApprovals: NotRequired[int]
    distinctFromRequester: NotRequired[bool]
    inputs: NotRequired[dict[str, object]]
    inputsOmitted: NotRequired[int]
    secrets: NotRequired[list[str]]
    approvedBy: NotRequired[list[Approver]]
    canDecide: NotRequired[bool]
    cannotDecideReason: NotRequired[Reason]
    gates: NotRequired[list[WaitingGate]]
    gatesOmitted: NotRequired[int]
    decisions: NotRequired[list[RecordedDecision]]


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
    type: NotRequired[str]
    status: NotRequired[str]
    stepId: NotRequired[str]
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
    resumed: NotRequired[bool]


class CancelAnswer(TypedDict):
    """The answer to a cancellation: the word `cancelled`, and the status that the run has."""

    status: NotRequired[str]
    runStatus: NotRequired[RunStatus]
