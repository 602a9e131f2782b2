"""The shape of a manifest, as pydantic models: which keys it has and how their values look.

Names, expressions and parameters are checked later: a shape cannot say what is right there.
"""

# Annotations are not postponed here, as they are elsewhere: pydantic would compile each one again.

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from taskrunner.compiler.manifest.fields import (
    ExpressionText,
    Identifier,
    Message,
    Name,
    OutputName,
    PackName,
    Shape,
    Version,
)
from taskrunner.compiler.manifest.step_shapes import RetriesShape, StepShape
from taskrunner.model.json_types import Json


class Metadata(Shape):
    """The pack's name and version; all other keys are the author's own."""

    model_config = ConfigDict(extra="allow")
    name: PackName
    """The pack's name."""
    version: Version
    """The pack's semantic version, such as 1.0.0."""


def _json_schema(value: Json) -> Json:
    if not isinstance(value, (dict, bool)):
        raise PydanticCustomError("schema_type", "not a JSON Schema")
    return value


class InputShape(Shape):
    """A value that a run is given."""

    name: Name
    """The name by which expressions read it: `inputs.NAME`."""
    type: Literal["string", "integer", "number", "boolean", "array", "object"]
    """The type of its value."""
    required: bool = False
    """Whether a run must be given it."""
    default: Json = None
    """The value when a run is not given one."""
    json_schema: Annotated[Json, AfterValidator(_json_schema)] = Field(default=None, alias="schema")
    """A JSON Schema that the value must fit."""
    description: str | None = None
    """The purpose of the input."""


class FailureShape(Shape):
    """The pack's defaults for its steps."""

    retries: RetriesShape = RetriesShape.model_construct()
    """The attempts of steps that say nothing of them."""
    continue_on_error: bool = False
    """Whether a run goes on after a failed step."""


class SecretShape(Shape):
    """The name of a secret that steps may read."""

    name: Name
    """The name of a secret in the deployment; a pack never holds its value."""


class SandboxShape(Shape):
    """The limits of an executor."""

    mode: Literal["sealed", "open"] = "sealed"
    """`sealed` or `open`; what executors reach, `egressAllowlist` alone says."""
    egress_allowlist: list[Annotated[str, Field(min_length=1, max_length=259)]] = Field(default=[])
    """The hosts that executors may reach."""
    cpu_limit_millicores: Annotated[int, Field(ge=1, le=6000)] = 1000
    """The processor time of an executor, in thousandths of a core."""
    memory_limit_mib: int = Field(default=512, ge=16, le=10240, alias="memoryLimitMiB")
    """The memory of an executor, in MiB."""
    quota_seconds: Annotated[int, Field(ge=1, le=604800)] = 900
    """The seconds that all executors of a run may take together."""


class SloShape(Shape):
    """The service levels that the author promises."""

    run_p95_seconds: int | None = Field(default=None, ge=1, alias="runP95Seconds")
    """The seconds in which 95% of runs end."""
    approval_p95_seconds: int | None = Field(default=None, ge=1, alias="approvalP95Seconds")
    """The seconds in which 95% of approvals are decided."""
    max_queue_depth: Annotated[int, Field(ge=1)] | None = None
    """The number of runs of this pack and tenant that may be unfinished."""


class ApprovalShape(Shape):
    """A rule for decisions: the grants and number of approvers, and how long a gate waits."""

    id: Identifier
    """The name by which gates refer to it."""
    grants: list[Annotated[str, Field(min_length=1, max_length=128)]] = Field(default=[])
    """The grants that an approver needs."""
    min_approvals: Annotated[int, Field(ge=1, le=20)] = 1
    """The number of approvers."""
    distinct_from_requester: bool = False
    """Whether the requester of the run may not approve."""
    expires_after_seconds: Annotated[int, Field(ge=60, le=364 * 86400)] = 604800
    """The seconds that a gate waits for a decision."""
    message: Message | None = None
    """The question to approvers."""
    scope: Literal["run", "gate"] = "run"
    """Whether one decision holds for the whole run or for one gate."""


class RuleShape(Shape):
    """One condition of a policy."""

    id: Identifier
    """The rule's name."""
    require: ExpressionText
    """The expression that must be true."""
    message: Message | None = None
    """The message when it is not."""


class PolicyShape(Shape):
    """A policy for gates to evaluate: rules, or a function."""

    id: Identifier
    """The name by which gates refer to it."""
    version: str
    """The policy's version, in quotes."""
    rules: Annotated[list[RuleShape], Field(min_length=1)] | None = None
    """The conditions that must all be true."""
    uses: str | None = None
    """The function that decides, instead of rules."""


class OutputShape(Shape):
    """A result that a run keeps."""

    name: OutputName
    """The output's name."""
    type: Literal["file", "object"]
    """A file that a step has written, or the value of an expression."""
    path: str | None = None
    """The path of the file."""
    expression: str | None = None
    """The expression of the value."""


class Spec(Shape):
    """The content of a pack."""

    inputs: list[InputShape] = Field(default=[])
    """The values that a run is given."""
    secrets: list[SecretShape] = Field(default=[])
    """The secrets that steps may read."""
    sandbox: SandboxShape = SandboxShape.model_construct()
    """The limits of executors."""
    slo: SloShape = SloShape.model_construct()
    """The service levels that are promised."""
    failure: FailureShape = FailureShape.model_construct()
    """The defaults for steps that fail."""
    approvals: list[ApprovalShape] = Field(default=[])
    """The rules for decisions."""
    policies: list[PolicyShape] = Field(default=[])
    """The policies that gates evaluate."""
    steps: Annotated[list[StepShape], Field(min_length=1)]
    """The steps, which run one after another."""
    final_steps: Annotated[list[StepShape], Field(min_length=1)] = Field(
        default=[], alias="finally"
    )
    """The steps that run at the end, whatever happened before."""
    outputs: list[OutputShape] = Field(default=[])
    """The results that a run keeps."""


class Pack(Shape):
    """A manifest of the right shape."""

    api_version: Literal["stellaops.io/pack.v1"]
    """The edition of the language."""
    kind: Literal["TaskPack"]
    """The kind of document."""
    metadata: Metadata
    """The pack's name and version, and keys of your own."""
    spec: Spec
    """The purpose of the pack."""


# The one shape that validates: built here, so that the first pack does not wait for it.
Pack.model_rebuild()
