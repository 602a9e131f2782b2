"""Stage 2: the values of a manifest become a Pack of the right shape, or a list of every misfit.

pydantic knows the shapes; its errors are told in an author's words here. Unknown keys are refused
everywhere but under `metadata`. The flat form of a step (`type: run` beside its fields) is read as
the nested one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from taskrunner.compiler import report
from taskrunner.model.plan import DEFAULT_MAX_ITERATIONS, MAX_ITERATIONS, MAX_TIMEOUT_S
from taskrunner.model.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

    from taskrunner.compiler.source import Source
    from taskrunner.errors import Diagnostic
    from taskrunner.model.json_path import Path
    from taskrunner.model.json_types import Json, JsonObject

API_VERSION: Final = "stellaops.io/pack.v1"
KIND: Final = "TaskPack"
KNOWN_KINDS: Final = (
    "run", "parallel", "map", "loop", "conditional", "gate.approval", "gate.policy",
)  # fmt: skip

_PACK_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_STEP_ID = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"
_INPUT_NAME = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
_OUTPUT_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
StepId = Annotated[str, Field(pattern=_STEP_ID)]
Name = Annotated[str, Field(pattern=_INPUT_NAME)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
_SEMVER = (
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$"
)
_FORMS = {
    _PACK_NAME: "1 to 63 of a-z, 0-9 and '-', with no '-' at its ends",
    _SEMVER: "a semantic version such as 1.0.0",
    _STEP_ID: "1 to 63 letters, digits, '_' and '-', beginning with a letter or digit",
    _INPUT_NAME: "1 to 64 letters, digits, '_' and '-', beginning with a letter or '_'",
    _OUTPUT_NAME: "1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or digit",
}


class _Shape(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        # A pattern of ours is anchored, and Rust's engine is linear in the text.
        regex_engine="rust-regex",
    )


class Metadata(_Shape):
    """Who the pack is; further keys are the author's own."""

    model_config = ConfigDict(extra="allow")
    name: Annotated[str, Field(pattern=_PACK_NAME)]
    version: Annotated[str, Field(pattern=_SEMVER, max_length=128)]


def _json_schema(value: Json) -> Json:
    if not isinstance(value, (dict, bool)):
        raise PydanticCustomError("schema_type", "no JSON Schema")
    return value


class Input(_Shape):
    """A value that a run is given."""

    name: Name
    type: Literal["string", "integer", "number", "boolean", "array", "object"]
    required: bool = False
    default: Any = None
    json_schema: Annotated[Any, AfterValidator(_json_schema)] = Field(default=None, alias="schema")
    description: str | None = None


class RetriesShape(_Shape):
    """How often, and the pause between."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = 1
    backoff_seconds: Annotated[int, Field(ge=0, le=86400)] = 0


class Failure(_Shape):
    """The pack's defaults for its steps."""

    retries: RetriesShape = RetriesShape()
    continue_on_error: bool = False


class SecretShape(_Shape):
    """A secret that steps may be given, by its name."""

    name: Name


class SandboxShape(_Shape):
    """What an executor may use."""

    mode: Literal["sealed", "open"] = "sealed"
    egress_allowlist: list[Annotated[str, Field(min_length=1, max_length=259)]] = []
    cpu_limit_millicores: Annotated[int, Field(ge=1, le=6000)] = 1000
    memory_limit_mib: int = Field(default=512, ge=16, le=10240, alias="memoryLimitMiB")
    quota_seconds: Annotated[int, Field(ge=1, le=604800)] = 900


class SloShape(_Shape):
    """What the author promises."""

    run_p95_seconds: int | None = Field(default=None, ge=1, alias="runP95Seconds")
    approval_p95_seconds: int | None = Field(default=None, ge=1, alias="approvalP95Seconds")
    max_queue_depth: Annotated[int, Field(ge=1)] | None = None


class ApprovalShape(_Shape):
    """Who may decide, how many, until when."""

    id: StepId
    grants: list[Annotated[str, Field(min_length=1, max_length=128)]] = []
    min_approvals: Annotated[int, Field(ge=1, le=20)] = 1
    distinct_from_requester: bool = False
    expires_after_seconds: Annotated[int, Field(ge=60, le=364 * 86400)] = 604800
    message: Text | None = None


class Run(_Shape):
    """Runs an executor."""

    uses: Annotated[str, Field(min_length=1, max_length=256)]
    parameters: dict[str, Any] = Field(default={}, alias="with")


class GateOfApproval(_Shape):
    """Waits for a decision."""

    id: StepId
    message: Text | None = None


class PolicyRetries(_Shape):
    """How often a policy that fails is evaluated again, and the pause between."""

    count: Annotated[int, Field(ge=0, le=20)] = 0
    backoff_seconds: Annotated[int, Field(ge=0, le=86400)] = 0


class Override(_Shape):
    """The approval that overrides a policy."""

    approval: StepId


class GateOfPolicy(_Shape):
    """Evaluates a policy and acts on its failure; `policy` and `id` are the same."""

    policy: StepId | None = None
    id: StepId | None = None
    version: str | None = None
    parameters: dict[str, Any] = Field(default={}, alias="with")
    failure_action: Literal["abort", "warn", "requestOverride", "branch"] = "abort"
    retries: PolicyRetries = PolicyRetries()
    override: Override | None = None
    branch: Annotated[list[StepShape], Field(min_length=1)] | None = None

    @property
    def policy_id(self) -> str | None:
        """The policy, by whichever of its two names it was given."""
        return self.policy or self.id


class Gate(_Shape):
    """A gate, of which there are two."""

    approval: GateOfApproval | None = None
    policy: GateOfPolicy | None = None


class ParallelShape(_Shape):
    """Children at the same time."""

    steps: Annotated[list[StepShape], Field(min_length=1)]
    max_parallel: Annotated[int, Field(ge=1, le=1000)] | None = None


class Range(_Shape):
    """Whole numbers from *start* to *end*, which is one of them."""

    start: int = 0
    end: int
    step: int = 1


class ItemsShape(_Shape):
    """What is gone over: exactly one of three; an expression may stand in its place."""

    expression: Annotated[str, Field(min_length=1)] | None = None
    range: Range | None = None
    static: list[Any] | None = None


class MapShape(_Shape):
    """The template for every item; `step` is for one, `steps` for several."""

    items: ItemsShape
    step: StepShape | None = None
    steps: Annotated[list[StepShape], Field(min_length=1)] | None = None
    iterator: Name = "item"
    index: Name = "index"
    max_parallel: Annotated[int, Field(ge=1, le=1000)] | None = None


class LoopShape(_Shape):
    """One iteration after another."""

    items: ItemsShape
    body: Annotated[list[StepShape], Field(min_length=1)]
    iterator: Name = "item"
    index: Name = "index"
    max_iterations: Annotated[int, Field(ge=1, le=MAX_ITERATIONS)] = DEFAULT_MAX_ITERATIONS
    until: Annotated[str, Field(min_length=1)] | None = None
    aggregation: Literal["collect", "merge", "last", "first", "none"] = "collect"
    outputs: Annotated[str, Field(min_length=1)] | None = None


class BranchShape(_Shape):
    """What is done when a condition is the first that is true."""

    condition: Annotated[str, Field(min_length=1)]
    steps: Annotated[list[StepShape], Field(min_length=1)]


class ConditionalShape(_Shape):
    """The first branch whose condition is true, else `else`."""

    branches: Annotated[list[BranchShape], Field(min_length=1)]
    otherwise: list[StepShape] = Field(default=[], alias="else")
    output_union: bool = False


class StepShape(_Shape):
    """What every step may say, and its one kind."""

    id: StepId
    name: Text | None = None
    when: Annotated[str, Field(min_length=1)] | None = None
    continue_on_error: bool | None = None
    retries: RetriesShape | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=MAX_TIMEOUT_S)] | None = None
    run: Run | None = None
    parallel: ParallelShape | None = None
    map: MapShape | None = None
    loop: LoopShape | None = None
    conditional: ConditionalShape | None = None
    gate: Gate | None = None


# They stand before the step that they hold, and their fields are looked at for hints.
for _shape in (
    GateOfPolicy,
    Gate,
    ParallelShape,
    MapShape,
    LoopShape,
    BranchShape,
    ConditionalShape,
):
    _shape.model_rebuild()


class RuleShape(_Shape):
    """One condition of a policy."""

    id: StepId
    require: Annotated[str, Field(min_length=1)]
    message: Text | None = None


class PolicyShape(_Shape):
    """What a policy gate evaluates."""

    id: StepId
    version: str
    rules: Annotated[list[RuleShape], Field(min_length=1)] | None = None
    uses: str | None = None


class OutputShape(_Shape):
    """What a run leaves behind."""

    name: Annotated[str, Field(pattern=_OUTPUT_NAME)]
    type: Literal["file", "object"]
    path: str | None = None
    expression: str | None = None


class Spec(_Shape):
    """What the pack does."""

    inputs: list[Input] = []
    secrets: list[SecretShape] = []
    sandbox: SandboxShape = SandboxShape()
    slo: SloShape = SloShape()
    failure: Failure = Failure()
    approvals: list[ApprovalShape] = []
    policies: list[PolicyShape] = []
    steps: Annotated[list[StepShape], Field(min_length=1)]
    outputs: list[OutputShape] = []


class Pack(_Shape):
    """A manifest of the right shape."""

    api_version: Literal["stellaops.io/pack.v1"]
    kind: Literal["TaskPack"]
    metadata: Metadata
    spec: Spec


def parse(source: Source) -> Pack:
    """Check the shape of *source*.

    Raises:
        InvalidPackError: with every misfit, in the order of their lines.
    """
    if not isinstance(source.value, dict):
        message = "a manifest is a mapping of keys; it starts with apiVersion and kind"
        raise report.invalid([source.diagnostic((), message)])
    shaper = _Shaper(source)
    value = shaper.nested(source.value)
    try:
        pack = Pack.model_validate(value)
    except ValidationError as error:
        shaper.report(error)
        pack = None
    if shaper.problems or pack is None:
        raise report.invalid(problem for _, problem in sorted(shaper.problems))
    return pack


def as_written(path: Path, source: Source) -> Path:
    """Where an author finds what the later stages see in the nested, uniform form."""
    written: list[str | int] = []
    node, rest = source.value, path
    while rest:
        kind = _flat_kind(node)
        if kind is not None and rest[: len(kind)] == kind:
            rest = rest[len(kind) :]
            if kind == ("gate", "approval"):
                rest = tuple("approval" if part == "id" else part for part in rest)
        if rest == ("expression",) and isinstance(node, str):
            break  # an expression in the place of `{expression: ...}`
        if not rest:
            break
        written.append(rest[0])
        node = _member(node, rest[0])
        rest = rest[1:]
    return tuple(written)


def _flat_kind(node: Json) -> tuple[str, ...] | None:
    """The keys that the nested form of a flat step would have."""
    if not isinstance(node, dict) or node.get("type") not in KNOWN_KINDS or "id" not in node:
        return None
    kind = tuple(node["type"].split("."))
    return None if kind[0] in node else kind


def _member(node: Json, part: str | int) -> Json:
    if isinstance(node, dict):
        return node.get(part)
    is_item = isinstance(node, list) and isinstance(part, int) and part < len(node)
    return node[part] if is_item else None


class _Shaper:
    """Turns flat steps into nested ones, and pydantic's errors into diagnostics."""

    def __init__(self, source: Source) -> None:
        self.problems: list[tuple[int, Diagnostic]] = []
        self._source = source
        self._settled: set[Path] = set()  # places whose mistake is told already

    def nested(self, manifest: JsonObject) -> JsonObject:
        """*manifest* with every step in its nested form."""
        spec = manifest.get("spec")
        if not isinstance(spec, dict):
            return manifest
        return manifest | {"spec": spec | self._lists(spec, ("spec",), ("steps",))}

    def _lists(self, block: JsonObject, path: Path, names: Sequence[str]) -> JsonObject:
        """Those members of *block* that are lists of steps, with each step in its nested form."""
        return {
            name: [self._step(step, (*path, name, i)) for i, step in enumerate(block[name])]
            for name in names
            if isinstance(block.get(name), list)
        }

    def _step(self, step: Json, path: Path) -> Json:
        if not isinstance(step, dict):
            return step
        if "type" in step:
            step = self._unflattened(step, path)
            if path in self._settled:
                return step
        kinds = _kinds(step)
        if len(kinds) != 1:
            what = "no kind" if not kinds else "more than one kind (" + ", ".join(kinds) + ")"
            message = f"the step has {what}; it needs exactly one of {', '.join(KNOWN_KINDS)}"
            self._settle(path, path, message)
            return step
        node: Json = step
        at = path
        for key in kinds[0].split("."):
            node, at = _member(node, key), (*at, key)
            if node is None:
                # To pydantic null is as good as absent, but then the step would have no kind.
                self._settle(path, at, f"'{key}' must be a mapping, not nothing")
                return step
        return self._inside(step, kinds[0], path)

    def _settle(self, step: Path, path: Path, message: str) -> None:
        self._problem(as_written(path, self._source), message)
        self._settled.add(step)

    def _inside(self, step: JsonObject, kind: str, path: Path) -> JsonObject:
        """*step* with the steps inside it in their nested form, and its items as a mapping."""
        keys = tuple(kind.split("."))
        block = step
        for key in keys:
            block = block[key]
        if not isinstance(block, dict):
            return step
        at = (*path, *keys)
        changed = block | self._lists(block, at, ("steps", "body", "branch", "else"))
        if kind == "map" and isinstance(block.get("step"), dict):
            changed["step"] = self._step(block["step"], (*at, "step"))
        if kind in {"map", "loop"} and isinstance(block.get("items"), str):
            changed["items"] = {"expression": block["items"]}
        if kind == "conditional" and isinstance(block.get("branches"), list):
            changed["branches"] = [
                branch | self._lists(branch, (*at, "branches", i), ("steps",))
                if isinstance(branch, dict)
                else branch
                for i, branch in enumerate(block["branches"])
            ]
        for key in reversed(keys):
            changed = {key: changed}
        return step | changed

    def _unflattened(self, step: JsonObject, path: Path) -> JsonObject:
        kind = step["type"]
        common = {key: value for key, value in step.items() if key in _COMMON_KEYS}
        own = {key: value for key, value in step.items() if key not in _COMMON_KEYS | {"type"}}
        if kind not in KNOWN_KINDS:
            known = nearest(kind if isinstance(kind, str) else "", KNOWN_KINDS)
            self._settle(path, (*path, "type"), f"{_shown(kind)} is no kind of step{known}")
            return common
        if str(kind).split(".")[0] in own:
            message = "a step is flat or nested: remove 'type' or the kind's key"
            self._settle(path, (*path, "type"), message)
            return common
        if kind == "gate.approval":
            # In the flat form `id` is the step's, so the approval is named by `approval`.
            own = {"id" if key == "approval" else key: value for key, value in own.items()}
        for part in reversed(str(kind).split(".")):
            own = {part: own}
        return common | own

    def report(self, error: ValidationError) -> None:
        """Tell pydantic's findings in an author's words."""
        for detail in error.errors(include_url=False, include_context=True):
            path = tuple(detail["loc"])
            if any(path[:length] in self._settled for length in range(len(path) + 1)):
                continue
            written = as_written(path, self._source)
            self._problem(written, _message(detail, written, self._known_keys(path)))

    def _known_keys(self, path: Path) -> list[str]:
        known = _keys_at(Pack, path[:-1])
        written = as_written(path, self._source)
        if len(written) < len(path):
            known |= _COMMON_KEYS  # in the flat form they stand side by side
        return sorted(known)

    def _problem(self, path: Path, message: str) -> None:
        self.problems.append((self._source.line(path), self._source.diagnostic(path, message)))


_KIND_KEYS: Final = frozenset(kind.split(".")[0] for kind in KNOWN_KINDS)
_COMMON_KEYS: Final = {
    (info.alias or name)
    for name, info in StepShape.model_fields.items()
    if name not in _KIND_KEYS
}  # fmt: skip


def _kinds(step: JsonObject) -> list[str]:
    kinds = [key for key in step if key in _KIND_KEYS and key != "gate"]
    gate = step.get("gate")
    if isinstance(gate, dict):
        kinds += [f"gate.{key}" for key in gate if f"gate.{key}" in KNOWN_KINDS]
        if gate and not kinds:
            kinds.append("gate")  # of a key that pydantic tells better
    elif "gate" in step:
        kinds.append("gate")  # of the wrong type, which pydantic tells better
    return kinds


def _keys_at(model: type[BaseModel], path: Path) -> set[str]:
    """The keys that a manifest may have at *path*."""
    for part in path:
        if isinstance(part, int):
            continue
        field = next((f for n, f in model.model_fields.items() if (f.alias or n) == part), None)
        inner = None if field is None else _model_in(field.annotation)
        if inner is None:
            return set()
        model = inner
    return {field.alias or name for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - typing has no type for this
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (model := _model_in(inner)) is not None:
            return model
    return None


_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "list_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "schema_type": "a mapping, true or false",
}


def _message(detail: ErrorDetails, written: Path, known: list[str]) -> str:
    last, kind, context = written[-1], detail["type"], detail.get("ctx", {})
    key = f"'{last}'" if isinstance(last, str) else f"item {last} of '{written[-2]}'"
    given = _shown(detail["input"])
    if kind == "missing":
        return f"{key} is missing; it is required"
    if kind == "extra_forbidden":
        if written[:2] == ("spec", "secrets") and last == "value":
            return "a value never stands in a pack; store it in the deployment and keep its name"
        return f"unknown key {key}{nearest(str(last), known)}"
    if last == "items" and kind in _TYPES:
        return f"{key} must be an expression, {{range: ...}} or {{static: [...]}}, not {given}"
    if kind in _TYPES:
        is_scalar = isinstance(detail["input"], (bool, int, float))
        cure = "; put it in quotes" if kind == "string_type" and is_scalar else ""
        return f"{key} must be {_TYPES[kind]}, not {given}{cure}"
    if kind == "literal_error":
        return f"{key} must be {context['expected']}, not {given}"
    if kind == "string_pattern_mismatch":
        return f"{key} is {given}, but must be {_FORMS[context['pattern']]}"
    if kind in {"greater_than_equal", "less_than_equal"}:
        bound = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
        return f"{key} must be {bound}, not {given}"
    if kind in {"too_short", "string_too_short"}:
        return f"{key} must not be empty"
    return f"{key} is {given}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _shown(value: Json) -> str:
    if isinstance(value, str):
        return f"'{value[:60]}'" + ("..." if len(value) > 60 else "")  # noqa: PLR2004
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nothing" if value is None else str(value)
