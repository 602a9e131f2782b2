"""The plan: everything a run will do, as far as it is known before the run starts.

An approval approves a plan. So a plan holds everything that decides what happens, and nothing else:
no run id, tenant, time, comment or order of keys.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias, TypedDict, assert_never

from taskrunner.model.machine_call import has_job
from taskrunner.model.retries import Retries
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.json_types import Json, JsonMapping

# The name by which an iteration of a loop reads the value of the one before.
PREVIOUS: Final = "previous"
DEFAULT_TIMEOUT_S: Final = 600
# Lambda ends run_step after 900 s; the last minute is kept for recording what happened.
MAX_TIMEOUT_S: Final = 840
# The limits of steps that workers, or machines of others, run.
DEFAULT_JOB_TIMEOUT_S: Final = 3600
MAX_JOB_TIMEOUT_S: Final = 24 * 3600
DEFAULT_EXPIRY_S: Final = 7 * 24 * 3600
DEFAULT_MAX_ITERATIONS: Final = 1000
MAX_ITERATIONS: Final = 10_000


def longest_timeout_s(uses: str) -> int:
    """Return the longest time limit, in seconds, of a step with the executor *uses*."""
    return MAX_JOB_TIMEOUT_S if has_job(uses) else MAX_TIMEOUT_S


class StepKind(StrEnum):
    """The kinds of step, by their names on the wire."""

    RUN = "Run"
    GATE_APPROVAL = "GateApproval"
    GATE_POLICY = "GatePolicy"
    PARALLEL = "Parallel"
    MAP = "Map"
    LOOP = "Loop"
    CONDITIONAL = "Conditional"


class FailureAction(StrEnum):
    """The reaction of a policy gate to a failed policy."""

    ABORT = "abort"
    WARN = "warn"
    REQUEST_OVERRIDE = "requestOverride"
    BRANCH = "branch"


class ApprovalScope(StrEnum):
    """The gates that one decision about an approval serves."""

    RUN = "run"  # every gate of the approval in the run
    GATE = "gate"  # one gate, in one iteration


class Aggregation(StrEnum):
    """The ways in which a loop combines the values of its iterations."""

    COLLECT = "collect"
    MERGE = "merge"
    LAST = "last"
    FIRST = "first"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """The pack's defaults for steps that do not say themselves how to fail."""

    retries: Retries = field(default_factory=Retries)
    continue_on_error: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """Parameters, filled in as far as planning knows them.

    *value* is JSON, with null in every place that is still open. *open* maps the JSON pointer
    (RFC 6901) of such a place to the text of its template. The two are kept apart, so that an
    input's value that happens to contain `{{` is never read as a template.
    """

    value: Json = None
    open: JsonMapping = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a map or loop: *values* when planning knows them, else an *expression*."""

    values: tuple[Json, ...] | None = None
    expression: str | None = None


class StepFields(TypedDict):
    """The fields that every kind of step has, for code that builds steps of several kinds."""

    id: str
    name: str | None
    when: str | None
    enabled: bool | None
    continue_on_error: bool


class IteratedFields(TypedDict):
    """The fields that a map and a loop share, for code that builds both."""

    items: Items
    iterator: str
    index: str
    steps: tuple[Step, ...]
    fail_fast: bool | None


class LimitFields(TypedDict):
    """The fields that a parallel and a map share, for code that builds both."""

    max_parallel: int | None
    max_parallel_from_inputs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """The fields of every step. *enabled* is None when its condition is known only at run time."""

    id: str
    name: str | None = None
    when: str | None = None
    enabled: bool | None = True
    continue_on_error: bool = False

    @property
    def stops_at_failure(self) -> bool:
        """Whether the first failure in it that may not happen stops the rest of it."""
        return not self.continue_on_error

    @property
    def fails_at_its_end(self) -> bool:
        """Whether it fails the run, or the block around it, only when all of it has ended."""
        return not (self.continue_on_error or self.stops_at_failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep(_Step):
    """A step that runs an executor."""

    kind: ClassVar[StepKind] = StepKind.RUN

    uses: str
    parameters: Template
    retries: Retries
    timeout_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGate(_Step):
    """A step that waits for a decision on an approval."""

    kind: ClassVar[StepKind] = StepKind.GATE_APPROVAL

    approval_id: str
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyGate(_Step):
    """A step that evaluates a policy and acts on its failure.

    *retries* counts all evaluations. *override* is the id of an approval and belongs to the failure
    action requestOverride; *branch* has the steps that the failure action branch runs.
    """

    kind: ClassVar[StepKind] = StepKind.GATE_POLICY

    policy_id: str
    parameters: Template
    failure_action: FailureAction
    retries: Retries
    override: str | None = None
    branch: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The *steps* of a parallel that run one after another, beside those of its other lanes.

    *branch* is what the pack calls the lane: its name, else its number. It is None for a lane of a
    parallel with `steps`, which has one step.
    """

    steps: tuple[Step, ...]
    branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel(_Step):
    """A block whose lanes run at the same time, at most *max_parallel* of them (None: all).

    A limit *max_parallel_from_inputs* is not in the machine, but in the execution's input.
    """

    kind: ClassVar[StepKind] = StepKind.PARALLEL

    lanes: tuple[Lane, ...]
    max_parallel: int | None = None
    max_parallel_from_inputs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _OverItems(_Step):
    """The fields of a map and a loop, which run their *steps* for each item.

    *fail_fast* says whether the first failure stops the remaining items; None means the opposite of
    *continue_on_error*.
    """

    items: Items
    iterator: str
    index: str
    steps: tuple[Step, ...]
    fail_fast: bool | None = None

    @property
    def stops_at_failure(self) -> bool:
        """Whether the first failure stops the remaining items."""
        return not self.continue_on_error if self.fail_fast is None else self.fail_fast


@dataclass(frozen=True, slots=True, kw_only=True)
class MapStep(_OverItems):
    """A block that runs the template *steps* for every item, several items at the same time.

    *output* is the expression of an item's value; None means the outputs of its last step.
    A limit *max_parallel_from_inputs* is not in the machine, but in the execution's input.
    """

    kind: ClassVar[StepKind] = StepKind.MAP

    max_parallel: int | None = None
    max_parallel_from_inputs: bool = False
    output: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop(_OverItems):
    """A block that runs its *steps* for one item after another, until *until* is true.

    *output* is the expression of an iteration's value; None means the outputs of its last step.
    *keeps_values* is whether that value is recorded, because the next iteration reads it as
    `previous`.
    """

    kind: ClassVar[StepKind] = StepKind.LOOP

    max_iterations: int
    until: str | None = None
    aggregation: Aggregation = Aggregation.COLLECT
    output: str | None = None
    keeps_values: bool = False

    @property
    def takes_turns(self) -> bool:
        """Whether the run is asked after each iteration where the loop goes on."""
        return self.until is not None or self.keeps_values


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The *steps* that a conditional runs when this *condition* is its first that is true."""

    condition: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional(_Step):
    """A block that runs the first branch whose condition is true, else *otherwise*.

    *taken* is the number of the branch when planning knows it. The number of branches stands for
    *otherwise*, and None for a branch that is chosen at run time. *union* merges the outputs of the
    steps that ran into one object.
    """

    kind: ClassVar[StepKind] = StepKind.CONDITIONAL

    branches: tuple[Branch, ...]
    otherwise: tuple[Step, ...] = ()
    taken: int | None = None
    union: bool = False

    def arm(self, number: int) -> tuple[Step, ...]:
        """Return the steps of branch *number*, or *otherwise*."""
        return self.branches[number].steps if number < len(self.branches) else self.otherwise

    @property
    def arms(self) -> tuple[tuple[Step, ...], ...]:
        """The steps of all branches, and *otherwise* last."""
        return (*(branch.steps for branch in self.branches), self.otherwise)


Step: TypeAlias = RunStep | ApprovalGate | PolicyGate | Parallel | MapStep | Loop | Conditional
Gate: TypeAlias = ApprovalGate | PolicyGate
Iterated: TypeAlias = MapStep | Loop


def children(step: Step) -> tuple[Step, ...]:
    """Return the steps directly inside *step*, in the order in which they are written."""
    match step:
        case RunStep() | ApprovalGate():
            return ()
        case PolicyGate():
            return step.branch
        case Parallel():
            return tuple(child for lane in step.lanes for child in lane.steps)
        case MapStep() | Loop():
            return step.steps
        case Conditional():
            return tuple(child for arm in step.arms for child in arm)
        case _:
            assert_never(step)


def walk(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield *steps* and everything inside them, each step before its children."""
    for step in steps:
        yield step
        yield from walk(children(step))


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A rule for decisions: the grants and number of approvers, and how long a gate waits.

    *scope* says whether one decision serves all gates of a run, or each gate needs its own.
    """

    id: str
    grants: tuple[str, ...] = ()
    min_approvals: int = 1
    distinct_from_requester: bool = False
    expires_after_s: int = DEFAULT_EXPIRY_S
    message: str | None = None
    scope: ApprovalScope = ApprovalScope.RUN

    def record_path(self, step_path: str) -> str | None:
        """Return the gate whose own record the gate at *step_path* has; None: that of the run."""
        return step_path if self.scope is ApprovalScope.GATE else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One condition of a policy, and the message for when it is false."""

    id: str
    require: str
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy for gates to evaluate: all of its *rules* must be true.

    A policy with *uses*, `lambda:<name>`, has no rules: that function decides.
    """

    id: str
    version: str
    rules: tuple[Rule, ...] = ()
    uses: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """The limits of an executor."""

    mode: str = "sealed"
    egress_allowlist: tuple[str, ...] = ()
    cpu_limit_millicores: int = 1000
    memory_limit_mib: int = 512
    quota_s: int = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """The service levels that the pack's author promises; None promises nothing."""

    run_p95_s: int | None = None
    approval_p95_s: int | None = None
    max_queue_depth: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOutput:
    """A file that a step writes, captured under *name*."""

    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOutput:
    """The value of an expression when the run ends."""

    name: str
    expression: str


Output: TypeAlias = FileOutput | ObjectOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One pack with its inputs resolved. *secrets* has names; a plan holds no secret's value.

    *final_steps* are those of `finally`, which run after *steps* have ended, however they did.
    """

    pack_name: str
    pack_version: str
    inputs: JsonMapping
    failure: FailurePolicy
    sandbox: Sandbox
    slo: Slo
    approvals: tuple[Approval, ...]
    policies: tuple[Policy, ...] = ()
    secrets: tuple[str, ...] = ()
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]
    final_steps: tuple[Step, ...] = ()

    def all_steps(self) -> Iterator[Step]:
        """Yield every step of the pack, each before its children."""
        return walk((*self.steps, *self.final_steps))

    def step(self, step_id: str) -> Step:
        """Return the step of that id, which is unique in a pack."""
        return next(step for step in self.all_steps() if step.id == step_id)

    @property
    def has_jobs(self) -> bool:
        """Whether workers, or machines of others, run steps of the pack."""
        return any(isinstance(step, RunStep) and has_job(step.uses) for step in self.all_steps())

    def branches(self) -> dict[str, str]:
        """Return the branches of parallels, by the ids of the steps directly in them."""
        return {
            child.id: lane.branch
            for block in self.all_steps()
            if isinstance(block, Parallel)
            for lane in block.lanes
            if lane.branch is not None
            for child in lane.steps
        }

    def approval(self, approval_id: str) -> Approval:
        """Return the approval of that id; the compiler proved that each gate has one."""
        return next(approval for approval in self.approvals if approval.id == approval_id)

    def policy(self, policy_id: str) -> Policy:
        """Return the policy of that id; the compiler proved that each gate has one."""
        return next(policy for policy in self.policies if policy.id == policy_id)

    def blocks_around(self, step_id: str) -> tuple[Step, ...]:
        """Return the blocks around the step of that id, the outermost first."""
        return _blocks_around((*self.steps, *self.final_steps), step_id) or ()

    def is_final(self, step_id: str) -> bool:
        """Return whether the step of that id is one of `finally`, or inside one of them."""
        return any(step.id == step_id for step in walk(self.final_steps))

    def iterations(self, step_id: str) -> tuple[Iterated, ...]:
        """Return the maps and loops around the step of that id, the outermost first."""
        blocks = self.blocks_around(step_id)
        return tuple(step for step in blocks if isinstance(step, MapStep | Loop))


def _blocks_around(steps: Iterable[Step], step_id: str) -> tuple[Step, ...] | None:
    """Return the blocks around a step, the outermost first; None when *steps* do not hold it."""
    for step in steps:
        if step.id == step_id:
            return ()
        inner = _blocks_around(children(step), step_id)
        if inner is not None:
            return (step, *inner)
    return None
