"""The shapes of steps: the fields of every step, and those of each kind.

A new kind is a shape with a `kind`, a field of StepShape and a member of StepBody; mypy then names
every `match` that has to handle it.
"""

# Annotations are not postponed here, as they are elsewhere: pydantic would compile each one again.

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, TypeAlias, assert_never

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from taskrunner.compiler.manifest.fields import (
    Attempts,
    BackoffRate,
    BackoffSeconds,
    EvaluationsAgain,
    ExpressionText,
    Identifier,
    Iterations,
    MaxBackoffSeconds,
    MaxParallel,
    Message,
    Name,
    Shape,
    TimeoutSeconds,
    WholeNumber,
)
from taskrunner.expressions.tokens import is_whole_expression
from taskrunner.model.json_types import Json
from taskrunner.model.plan import DEFAULT_MAX_ITERATIONS

if TYPE_CHECKING:
    from taskrunner.model.json_path import JsonPath

KINDS: Final = (
    "run", "parallel", "map", "loop", "conditional", "gate.approval", "gate.policy",
)  # fmt: skip


def _parameters(value: Json) -> Json:
    """Return a mapping, or one whole expression that gives one."""
    if not isinstance(value, dict) and not (isinstance(value, str) and is_whole_expression(value)):
        raise PydanticCustomError("parameters_type", "not parameters")
    return value


Parameters: TypeAlias = Annotated[Json, AfterValidator(_parameters)]


RetriedReason: TypeAlias = Literal[
    "timeout", "memory-exceeded", "egress-denied", "executor-error", "worker-lost"
]


class RetriesShape(Shape):
    """The number of attempts, the first one included, the pauses between them, and their reasons.

    *on* has the reasons of failures that are tried again.
    """

    max_attempts: Attempts = 1
    """The number of attempts, the first one included."""
    backoff_seconds: BackoffSeconds = 0
    """The pause before the second attempt."""
    backoff_rate: BackoffRate = 1
    """By how much each pause is longer than the one before."""
    max_backoff_seconds: MaxBackoffSeconds | None = None
    """The longest pause."""
    jitter: Literal["none", "full"] = "none"
    """Whether a pause is a random part of its length (`full`)."""
    on: Annotated[list[RetriedReason], Field(min_length=1)] | None = None
    """The reasons of failures that are tried again."""


class RunShape(Shape):
    """Runs an executor."""

    kind: ClassVar[str] = "run"

    uses: Annotated[str, Field(min_length=1, max_length=256)]
    """The executor, such as `builtin:assert` or `lambda:NAME`."""
    parameters: Parameters = Field(default={}, alias="with")
    """The executor's parameters."""


class ApprovalGateShape(Shape):
    """Waits for a decision."""

    kind: ClassVar[str] = "gate.approval"

    id: Identifier
    """The approval, as `spec.approvals` declares it."""
    message: Message | None = None
    """The question to approvers here."""


class PolicyRetriesShape(Shape):
    """The number of evaluations after a failed one, and the pause before each."""

    count: EvaluationsAgain = 0
    """The number of evaluations after a failed one."""
    backoff_seconds: BackoffSeconds = 0
    """The pause before each."""


class OverrideShape(Shape):
    """The approval that overrides a policy."""

    approval: Identifier
    """The approval, as `spec.approvals` declares it."""


class PolicyGateShape(Shape):
    """Evaluates a policy and acts on its failure. `policy` and `id` mean the same."""

    kind: ClassVar[str] = "gate.policy"

    policy: Identifier | None = None
    """The policy, as `spec.policies` declares it."""
    id: Identifier | None = None
    """The same as `policy`."""
    version: str | None = None
    """The version of the policy that is meant."""
    parameters: Parameters = Field(default={}, alias="with")
    """The parameters of the policy."""
    failure_action: Literal["abort", "warn", "requestOverride", "branch"] = "abort"
    """The action when the policy is not fulfilled."""
    retries: PolicyRetriesShape = PolicyRetriesShape.model_construct()
    """The evaluations after a failed one."""
    override: OverrideShape | None = None
    """The approval that is requested with `failureAction: requestOverride`."""
    branch: Annotated[list["StepShape"], Field(min_length=1)] | None = None
    """The steps that run with `failureAction: branch`."""

    @property
    def policy_id(self) -> str:
        """The policy, by whichever of the two keys names it."""
        return self.policy or self.id or ""


class GateShape(Shape):
    """Holds one of the two kinds of gate."""

    approval: ApprovalGateShape | None = None
    """Waits for a decision."""
    policy: PolicyGateShape | None = None
    """Evaluates a policy."""


class LaneShape(Shape):
    """Steps of a parallel that run one after another, beside those of its other branches."""

    name: Name | None = None
    """The branch's name; without one it has its number, from 0."""
    steps: Annotated[list["StepShape"], Field(min_length=1)]
    """The steps that run one after another."""


class ParallelShape(Shape):
    """Runs `steps` at the same time, or `branches` of several steps each."""

    kind: ClassVar[str] = "parallel"

    steps: Annotated[list["StepShape"], Field(min_length=1)] | None = None
    """The steps that run at the same time."""
    branches: Annotated[list[LaneShape], Field(min_length=1)] | None = None
    """The lists of steps that run at the same time, each in its order."""
    max_parallel: MaxParallel | None = None
    """The number of them that run at once, at most."""


class RangeShape(Shape):
    """Whole numbers from *start* to *end*, which is one of them."""

    start: WholeNumber = 0
    """The first number."""
    end: WholeNumber
    """The last number."""
    step: WholeNumber = 1
    """The distance between two numbers."""


class ItemsShape(Shape):
    """The items of a map or loop: exactly one of these three."""

    expression: ExpressionText | None = None
    """An expression that gives a list."""
    range: RangeShape | None = None
    """Whole numbers."""
    static: list[Json] | None = None
    """A list."""


class MapShape(Shape):
    """Runs a template for every item: one `step` or several `steps`.

    *outputs* is the expression of an item's value.
    """

    kind: ClassVar[str] = "map"

    items: ItemsShape
    """The items: an expression, a range or a list."""
    step: "StepShape | None" = None
    """The step that runs for every item."""
    steps: Annotated[list["StepShape"], Field(min_length=1)] | None = None
    """The steps that run for every item."""
    iterator: Name = "item"
    """The name by which the steps read their item."""
    index: Name = "index"
    """The name by which the steps read their item's number."""
    max_parallel: MaxParallel | None = None
    """The number of items that run at once, at most."""
    fail_fast: bool | None = None
    """Whether the first failure stops the remaining items; as a default, the opposite of
    continueOnError."""
    outputs: ExpressionText | None = None
    """The expression of an item's value."""


class LoopShape(Shape):
    """Runs its body for one item after another."""

    kind: ClassVar[str] = "loop"

    items: ItemsShape
    """The items: an expression, a range or a list."""
    body: Annotated[list["StepShape"], Field(min_length=1)]
    """The steps that run for every item."""
    iterator: Name = "item"
    """The name by which the steps read their item."""
    index: Name = "index"
    """The name by which the steps read their item's number."""
    max_iterations: Iterations = DEFAULT_MAX_ITERATIONS
    """The number of iterations at most."""
    until: ExpressionText | None = None
    """The condition that ends the loop after an iteration."""
    fail_fast: bool | None = None
    """Whether the first failure stops the remaining items; as a default, the opposite of
    continueOnError."""
    aggregation: Literal["collect", "merge", "last", "first", "none"] = "collect"
    """The way in which the values of iterations become the loop's."""
    outputs: ExpressionText | None = None
    """The expression of an iteration's value."""


class BranchShape(Shape):
    """The steps of a conditional for when this condition is its first that is true."""

    condition: ExpressionText
    """The expression that must be true."""
    steps: Annotated[list["StepShape"], Field(min_length=1)]
    """The steps that run then."""


class ConditionalShape(Shape):
    """Runs the first branch whose condition is true, else `else`."""

    kind: ClassVar[str] = "conditional"

    branches: Annotated[list[BranchShape], Field(min_length=1)]
    """The branches, of which the first true one runs."""
    otherwise: list["StepShape"] = Field(default=[], alias="else")
    """The steps that run when no condition is true."""
    output_union: bool = False
    """Whether the outputs of the steps are merged into one object."""


StepBody: TypeAlias = (
    RunShape
    | ParallelShape
    | MapShape
    | LoopShape
    | ConditionalShape
    | ApprovalGateShape
    | PolicyGateShape
)


class StepShape(Shape):
    """The fields of every step, and its one kind."""

    id: Identifier
    """The step's name: expressions read `steps.ID`."""
    name: Message | None = None
    """The step's title."""
    when: ExpressionText | None = None
    """The condition without which the step is skipped."""
    continue_on_error: bool | None = None
    """Whether the run goes on when the step fails."""
    retries: RetriesShape | None = None
    """The step's attempts."""
    timeout_seconds: TimeoutSeconds | None = None
    """The seconds that one attempt may take."""
    run: RunShape | None = None
    """Runs an executor."""
    parallel: ParallelShape | None = None
    """Runs steps at the same time."""
    map: MapShape | None = None
    """Runs steps for every item, at the same time."""
    loop: LoopShape | None = None
    """Runs steps for one item after another."""
    conditional: ConditionalShape | None = None
    """Runs the first branch whose condition is true."""
    gate: GateShape | None = None
    """Waits for a decision, or evaluates a policy."""

    @property
    def body(self) -> StepBody:
        """The fields of the step's kind; the schema stage proved that it has exactly one."""
        gate = self.gate or _NO_GATE
        body = (
            self.run or self.parallel or self.map or self.loop or self.conditional
            or gate.approval or gate.policy
        )  # fmt: skip
        assert body is not None  # noqa: S101 - see above
        return body


# Made once, because the kind of a step is asked for often.
_NO_GATE: Final = GateShape.model_construct()


def body_path(step: "StepShape", path: "JsonPath") -> "JsonPath":
    """Return the path of the fields of *step*'s kind, where *path* is that of the step."""
    return (*path, *step.body.kind.split("."))


def walk(steps: Sequence["StepShape"], path: "JsonPath") -> Iterator[tuple["JsonPath", StepShape]]:
    """Yield the steps of the list at *path* and everything inside them, each with its path."""
    for index, step in enumerate(steps):
        yield from _walk_step(step, (*path, index))


def _walk_step(step: "StepShape", path: "JsonPath") -> Iterator[tuple["JsonPath", StepShape]]:
    yield path, step
    fields_path = body_path(step, path)
    match body := step.body:
        case RunShape() | ApprovalGateShape():
            pass
        case ParallelShape():
            yield from walk(body.steps or (), (*fields_path, "steps"))
            for index, lane in enumerate(body.branches or ()):
                yield from walk(lane.steps, (*fields_path, "branches", index, "steps"))
        case MapShape():
            if body.step is not None:
                yield from _walk_step(body.step, (*fields_path, "step"))
            yield from walk(body.steps or (), (*fields_path, "steps"))
        case LoopShape():
            yield from walk(body.body, (*fields_path, "body"))
        case ConditionalShape():
            for index, branch in enumerate(body.branches):
                yield from walk(branch.steps, (*fields_path, "branches", index, "steps"))
            yield from walk(body.otherwise, (*fields_path, "else"))
        case PolicyGateShape():
            yield from walk(body.branch or (), (*fields_path, "branch"))
        case _:
            assert_never(body)
