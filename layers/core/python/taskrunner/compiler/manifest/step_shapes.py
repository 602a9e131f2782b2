"""The shapes of steps: the fields of every step, and those of each kind.

A new kind is a shape with a `kind`, a field of StepShape and a member of StepBody; mypy then names
every `match` that has to handle it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, TypeAlias, assert_never

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from taskrunner.compiler.manifest.fields import (
    Attempts,
    BackoffRate,
    BackoffSeconds,
    ExpressionText,
    Identifier,
    MaxBackoffSeconds,
    MaxParallel,
    Message,
    Name,
    Shape,
)
from taskrunner.expressions.tokens import is_whole_expression
from taskrunner.model.json_types import Json
from taskrunner.model.plan import DEFAULT_MAX_ITERATIONS, MAX_ITERATIONS, MAX_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


RetriedReason: TypeAlias = Literal["timeout", "memory-exceeded", "egress-denied", "executor-error"]


class RetriesShape(Shape):
    """The number of attempts, the first one included, the pauses between them, and their reasons.

    *on* has the reasons of failures that are tried again.
    """

    max_attempts: Attempts = 1
    backoff_seconds: BackoffSeconds = 0
    backoff_rate: BackoffRate = 1
    max_backoff_seconds: MaxBackoffSeconds | None = None
    jitter: Literal["none", "full"] = "none"
    on: Annotated[list[RetriedReason], Field(min_length=1)] | None = None


class RunShape(Shape):
    """Runs an executor."""

    kind: ClassVar[str] = "run"

    uses: Annotated[str, Field(min_length=1, max_length=256)]
    parameters: Parameters = Field(default={}, alias="with")


class ApprovalGateShape(Shape):
    """Waits for a decision."""

    kind: ClassVar[str] = "gate.approval"

    id: Identifier
    message: Message | None = None


class PolicyRetriesShape(Shape):
    """The number of evaluations after a failed one, and the pause before each."""

    count: Annotated[int, Field(ge=0, le=20)] = 0
    backoff_seconds: BackoffSeconds = 0


class OverrideShape(Shape):
    """The approval that overrides a policy."""

    approval: Identifier


class PolicyGateShape(Shape):
    """Evaluates a policy and acts on its failure. `policy` and `id` mean the same."""

    kind: ClassVar[str] = "gate.policy"

    policy: Identifier | None = None
    id: Identifier | None = None
    version: str | None = None
    parameters: Parameters = Field(default={}, alias="with")
    failure_action: Literal["abort", "warn", "requestOverride", "branch"] = "abort"
    retries: PolicyRetriesShape = PolicyRetriesShape()
    override: OverrideShape | None = None
    branch: Annotated[list[StepShape], Field(min_length=1)] | None = None

    @property
    def policy_id(self) -> str:
        """The policy, by whichever of the two keys names it."""
        return self.policy or self.id or ""


class GateShape(Shape):
    """Holds one of the two kinds of gate."""

    approval: ApprovalGateShape | None = None
    policy: PolicyGateShape | None = None


class ParallelShape(Shape):
    """Runs its steps at the same time."""

    kind: ClassVar[str] = "parallel"

    steps: Annotated[list[StepShape], Field(min_length=1)]
    max_parallel: MaxParallel | None = None


class RangeShape(Shape):
    """Whole numbers from *start* to *end*, which is one of them."""

    start: int = 0
    end: int
    step: int = 1


class ItemsShape(Shape):
    """The items of a map or loop: exactly one of these three."""

    expression: ExpressionText | None = None
    range: RangeShape | None = None
    static: list[Json] | None = None


class MapShape(Shape):
    """Runs a template for every item: one `step` or several `steps`.

    *outputs* is the expression of an item's value.
    """

    kind: ClassVar[str] = "map"

    items: ItemsShape
    step: StepShape | None = None
    steps: Annotated[list[StepShape], Field(min_length=1)] | None = None
    iterator: Name = "item"
    index: Name = "index"
    max_parallel: MaxParallel | None = None
    outputs: ExpressionText | None = None


class LoopShape(Shape):
    """Runs its body for one item after another."""

    kind: ClassVar[str] = "loop"

    items: ItemsShape
    body: Annotated[list[StepShape], Field(min_length=1)]
    iterator: Name = "item"
    index: Name = "index"
    max_iterations: Annotated[int, Field(ge=1, le=MAX_ITERATIONS)] = DEFAULT_MAX_ITERATIONS
    until: ExpressionText | None = None
    aggregation: Literal["collect", "merge", "last", "first", "none"] = "collect"
    outputs: ExpressionText | None = None


class BranchShape(Shape):
    """The steps of a conditional for when this condition is its first that is true."""

    condition: ExpressionText
    steps: Annotated[list[StepShape], Field(min_length=1)]


class ConditionalShape(Shape):
    """Runs the first branch whose condition is true, else `else`."""

    kind: ClassVar[str] = "conditional"

    branches: Annotated[list[BranchShape], Field(min_length=1)]
    otherwise: list[StepShape] = Field(default=[], alias="else")
    output_union: bool = False


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
    name: Message | None = None
    when: ExpressionText | None = None
    continue_on_error: bool | None = None
    retries: RetriesShape | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=MAX_TIMEOUT_S)] | None = None
    run: RunShape | None = None
    parallel: ParallelShape | None = None
    map: MapShape | None = None
    loop: LoopShape | None = None
    conditional: ConditionalShape | None = None
    gate: GateShape | None = None

    @property
    def body(self) -> StepBody:
        """The fields of the step's kind; the schema stage proved that it has exactly one."""
        gate = self.gate or GateShape()
        bodies = (
            self.run, self.parallel, self.map, self.loop, self.conditional,
            gate.approval, gate.policy,
        )  # fmt: skip
        return next(body for body in bodies if body is not None)


# These stand before StepShape, which they hold.
for _shape in (
    PolicyGateShape,
    GateShape,
    ParallelShape,
    MapShape,
    LoopShape,
    BranchShape,
    ConditionalShape,
):
    _shape.model_rebuild()


def body_path(step: StepShape, path: JsonPath) -> JsonPath:
    """Return the path of the fields of *step*'s kind, where *path* is that of the step."""
    return (*path, *step.body.kind.split("."))


def walk(steps: Sequence[StepShape], path: JsonPath) -> Iterator[tuple[JsonPath, StepShape]]:
    """Yield the steps of the list at *path* and everything inside them, each with its path."""
    for index, step in enumerate(steps):
        yield from _walk_step(step, (*path, index))


def _walk_step(step: StepShape, path: JsonPath) -> Iterator[tuple[JsonPath, StepShape]]:
    yield path, step
    fields_path = body_path(step, path)
    match body := step.body:
        case RunShape() | ApprovalGateShape():
            pass
        case ParallelShape():
            yield from walk(body.steps, (*fields_path, "steps"))
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
