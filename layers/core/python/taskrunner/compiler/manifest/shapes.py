"""The shape of a manifest, as pydantic models: which keys it has and how their values look.

Names, expressions and parameters are checked later: a shape cannot say what is right there.
"""

from __future__ import annotations

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
from taskrunner.model.json_types import Json  # noqa: TC001 - pydantic evaluates annotations


class Metadata(Shape):
    """The pack's name and version; all other keys are the author's own."""

    model_config = ConfigDict(extra="allow")
    name: PackName
    version: Version


def _json_schema(value: Json) -> Json:
    if not isinstance(value, (dict, bool)):
        raise PydanticCustomError("schema_type", "not a JSON Schema")
    return value


class InputShape(Shape):
    """A value that a run is given."""

    name: Name
    type: Literal["string", "integer", "number", "boolean", "array", "object"]
    required: bool = False
    default: Json = None
    json_schema: Annotated[Json, AfterValidator(_json_schema)] = Field(default=None, alias="schema")
    description: str | None = None


class FailureShape(Shape):
    """The pack's defaults for its steps."""

    retries: RetriesShape = RetriesShape()
    continue_on_error: bool = False


class SecretShape(Shape):
    """The name of a secret that steps may read."""

    name: Name


class SandboxShape(Shape):
    """The limits of an executor."""

    mode: Literal["sealed", "open"] = "sealed"
    egress_allowlist: list[Annotated[str, Field(min_length=1, max_length=259)]] = Field(default=[])
    cpu_limit_millicores: Annotated[int, Field(ge=1, le=6000)] = 1000
    memory_limit_mib: int = Field(default=512, ge=16, le=10240, alias="memoryLimitMiB")
    quota_seconds: Annotated[int, Field(ge=1, le=604800)] = 900


class SloShape(Shape):
    """The service levels that the author promises."""

    run_p95_seconds: int | None = Field(default=None, ge=1, alias="runP95Seconds")
    approval_p95_seconds: int | None = Field(default=None, ge=1, alias="approvalP95Seconds")
    max_queue_depth: Annotated[int, Field(ge=1)] | None = None


class ApprovalShape(Shape):
    """A rule for decisions: the grants and number of approvers, and how long a gate waits."""

    id: Identifier
    grants: list[Annotated[str, Field(min_length=1, max_length=128)]] = Field(default=[])
    min_approvals: Annotated[int, Field(ge=1, le=20)] = 1
    distinct_from_requester: bool = False
    expires_after_seconds: Annotated[int, Field(ge=60, le=364 * 86400)] = 604800
    message: Message | None = None
    scope: Literal["run", "gate"] = "run"


class RuleShape(Shape):
    """One condition of a policy."""

    id: Identifier
    require: ExpressionText
    message: Message | None = None


class PolicyShape(Shape):
    """A policy for gates to evaluate: rules, or a function."""

    id: Identifier
    version: str
    rules: Annotated[list[RuleShape], Field(min_length=1)] | None = None
    uses: str | None = None


class OutputShape(Shape):
    """A result that a run keeps."""

    name: OutputName
    type: Literal["file", "object"]
    path: str | None = None
    expression: str | None = None


class Spec(Shape):
    """The content of a pack."""

    inputs: list[InputShape] = Field(default=[])
    secrets: list[SecretShape] = Field(default=[])
    sandbox: SandboxShape = SandboxShape()
    slo: SloShape = SloShape()
    failure: FailureShape = FailureShape()
    approvals: list[ApprovalShape] = Field(default=[])
    policies: list[PolicyShape] = Field(default=[])
    steps: Annotated[list[StepShape], Field(min_length=1)]
    final_steps: Annotated[list[StepShape], Field(min_length=1)] | None = Field(
        default=None, alias="finally"
    )
    outputs: list[OutputShape] = Field(default=[])


class Pack(Shape):
    """A manifest of the right shape."""

    api_version: Literal["stellaops.io/pack.v1"]
    kind: Literal["TaskPack"]
    metadata: Metadata
    spec: Spec
