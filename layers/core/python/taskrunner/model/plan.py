"""The plan: all that a run will do as far as it can be known before it starts. Frozen values.

A plan is what an approval approves, so everything that decides what happens is in it, and nothing
else: no run id, tenant, time, comment or order of keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.json_types import Json, JsonMapping

DEFAULT_TIMEOUT_S: Final = 600
# run_step may take 900 s on Lambda; the last minute is kept for recording what happened.
MAX_TIMEOUT_S: Final = 840
DEFAULT_EXPIRY_S: Final = 7 * 24 * 3600
DEFAULT_MAX_ITERATIONS: Final = 1000
MAX_ITERATIONS: Final = 10_000


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
    """What a policy gate does when its policy fails."""

    ABORT = "abort"
    WARN = "warn"
    REQUEST_OVERRIDE = "requestOverride"
    BRANCH = "branch"


class Aggregation(StrEnum):
    """What becomes of the values of a loop's iterations."""

    COLLECT = "collect"
    MERGE = "merge"
    LAST = "last"
    FIRST = "first"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a step is attempted in all, and the pause between two attempts in seconds."""

    max_attempts: int = 1
    backoff_s: int = 0


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """What holds for each step that says nothing of its own."""

    retries: Retries = Retries()
    continue_on_error: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """Parameters with what planning could resolve filled in.

    *value* is JSON with null wherever something is still open; *open* has the text of each open
    template by the JSON pointer (RFC 6901) of its place. Kept apart, so that an input's value that
    happens to contain `{{` is never taken for a template.
    """

    value: Json = None
    open: JsonMapping = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Items:
    """What a map or loop goes over: *values* when planning knows them, else an *expression*."""

    values: tuple[Json, ...] | None = None
    expression: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What every step has. *enabled* is None while its condition can only be known at run time."""

    id: str
    name: str | None = None
    when: str | None = None
    enabled: bool | None = True
    continue_on_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep(_Step):
    """Runs an executor."""

    uses: str
    parameters: Template
    retries: Retries
    timeout_s: int

    @property
    def kind(self) -> StepKind:
        """Its name on the wire."""
        return StepKind.RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGate(_Step):
    """Waits for a decision on an approval."""

    approval_id: str
    message: str | None

    @property
    def kind(self) -> StepKind:
        """Its name on the wire."""
        return StepKind.GATE_APPROVAL


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyGate(_Step):
    """Evaluates a policy, and acts on its failure.

    *retries* counts evaluations in all. *override* is an approval's id, *branch* the steps that are
    run on a failure; each is there for its own failure action alone.
    """

    policy_id: str
    parameters: Template
    failure_action: FailureAction
    retries: Retries
    override: str | None = None
    branch: tuple[Step, ...] = ()

    @property
    def kind(self) -> StepKind:
        """Its name on the wire."""
        return StepKind.GATE_POLICY


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel(_Step):
    """Children at the same time, at most *max_parallel* of them; None is all."""

    steps: tuple[Step, ...]
    max_parallel: int | None = None

    @property
    def kind(self) -> StepKind:
        """Its name on the wire."""
        return StepKind.PARALLEL


@dataclass(frozen=True, slots=True, kw_only=True)
class MapStep(_Step):
    """The template *steps* for every item, at the same time."""

    items: Items
    iterator: str
    index: str
    steps: tuple[Step, ...]
    max_parallel: int | None = None

    @property
    def kind(self) -> StepKind:
        """Its name on the wire."""
        return StepKind.MAP


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop(_Step):
    """The *steps* for every item, one iteration after another, until *until* is true after one.

    *output* is the expression of an iteration's value; None is the outputs of its last step.
    """

    items: Items
    iterator: str
    index: str
    steps: tuple[Step, ...]
    max_iterations: int
    until: str | None = None
    aggregation: Aggregation = Aggregation.COLLECT
    output: str | None = None

    @property
    def kind(self) -> StepKind:
        """Its name on the wire."""
        return StepKind.LOOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The *steps* of a conditional for when its *condition* is the first that is true."""

    condition: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional(_Step):
    """The first branch whose condition is true, else *otherwise*.

    *taken* is the branch by its number when planning knows it; the number of branches means
    *otherwise*, None that it is decided at run time. *union* merges the outputs of what ran.
    """

    branches: tuple[Branch, ...]
    otherwise: tuple[Step, ...] = ()
    taken: int | None = None
    union: bool = False

    @property
    def kind(self) -> StepKind:
        """Its name on the wire."""
        return StepKind.CONDITIONAL

    def arm(self, number: int) -> tuple[Step, ...]:
        """The steps of branch *number*, or *otherwise*."""
        return self.branches[number].steps if number < len(self.branches) else self.otherwise

    @property
    def arms(self) -> tuple[tuple[Step, ...], ...]:
        """All branches' steps, and *otherwise* last."""
        return (*(branch.steps for branch in self.branches), self.otherwise)


Step: TypeAlias = RunStep | ApprovalGate | PolicyGate | Parallel | MapStep | Loop | Conditional
Iterated: TypeAlias = MapStep | Loop


def children(step: Step) -> tuple[Step, ...]:
    """The steps that stand directly in *step*, in the order in which they are written."""
    match step:
        case RunStep() | ApprovalGate():
            return ()
        case PolicyGate():
            return step.branch
        case Parallel() | MapStep() | Loop():
            return step.steps
        case Conditional():
            return tuple(child for arm in step.arms for child in arm)
        case _:
            assert_never(step)


def walk(steps: Iterable[Step]) -> Iterator[Step]:
    """All of *steps* with everything in them, each before its children."""
    for step in steps:
        yield step
        yield from walk(children(step))


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who may decide a gate, how many of them, and until when."""

    id: str
    grants: tuple[str, ...] = ()
    min_approvals: int = 1
    distinct_from_requester: bool = False
    expires_after_s: int = DEFAULT_EXPIRY_S
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One condition of a policy, and what to say when it does not hold."""

    id: str
    require: str
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a policy gate evaluates: all of its *rules* must hold.

    With *uses*, `lambda:<name>`, there are none, and that function says whether it holds.
    """

    id: str
    version: str
    rules: tuple[Rule, ...] = ()
    uses: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What an executor may use."""

    mode: str = "sealed"
    egress_allowlist: tuple[str, ...] = ()
    cpu_limit_millicores: int = 1000
    memory_limit_mib: int = 512
    quota_s: int = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """What the pack's author promises; None promises nothing."""

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
    """An expression, evaluated when the run ends."""

    name: str
    expression: str


Output: TypeAlias = FileOutput | ObjectOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One pack with its inputs resolved; of its *secrets* there are the names alone."""

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

    def all_steps(self) -> Iterator[Step]:
        """Every step of the pack, each before its children."""
        return walk(self.steps)

    def step(self, step_id: str) -> Step:
        """The step of that id, which is unique in a pack."""
        return next(step for step in self.all_steps() if step.id == step_id)

    def approval(self, approval_id: str) -> Approval:
        """The approval of that id; the check stage proved that each gate has one."""
        return next(approval for approval in self.approvals if approval.id == approval_id)

    def policy(self, policy_id: str) -> Policy:
        """The policy of that id; the check stage proved that each gate has one."""
        return next(policy for policy in self.policies if policy.id == policy_id)

    def blocks_around(self, step_id: str) -> tuple[Step, ...]:
        """The blocks around the step of that id, the outermost first."""
        return _enclosing(self.steps, step_id) or ()

    def iterations(self, step_id: str) -> tuple[Iterated, ...]:
        """The maps and loops around the step of that id, the outermost first."""
        blocks = self.blocks_around(step_id)
        return tuple(step for step in blocks if isinstance(step, MapStep | Loop))


def _enclosing(steps: Iterable[Step], step_id: str) -> tuple[Step, ...] | None:
    """The steps around the one of that id, the outermost first; None when it is not in *steps*."""
    for step in steps:
        if step.id == step_id:
            return ()
        inner = _enclosing(children(step), step_id)
        if inner is not None:
            return (step, *inner)
    return None
