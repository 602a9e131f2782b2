"""The plan: all that a run will do as far as it can be known before it starts. Frozen values.

A plan is what an approval approves, so everything that decides what happens is in it, and nothing
else: no run id, tenant, time, comment or order of keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json, JsonMapping

DEFAULT_TIMEOUT_S: Final = 600
# run_step may take 900 s on Lambda; the last minute is kept for recording what happened.
MAX_TIMEOUT_S: Final = 840
DEFAULT_EXPIRY_S: Final = 7 * 24 * 3600


class StepKind(StrEnum):
    """The kinds of step, by their names on the wire."""

    RUN = "Run"
    GATE_APPROVAL = "GateApproval"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep:
    """Runs an executor."""

    id: str
    name: str | None
    when: str | None
    enabled: bool
    continue_on_error: bool
    retries: Retries
    timeout_s: int
    uses: str
    parameters: Template

    @property
    def kind(self) -> StepKind:
        """Its name on the wire."""
        return StepKind.RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGate:
    """Waits for a decision on an approval."""

    id: str
    name: str | None
    when: str | None
    enabled: bool
    continue_on_error: bool
    approval_id: str
    message: str | None

    @property
    def kind(self) -> StepKind:
        """Its name on the wire."""
        return StepKind.GATE_APPROVAL


Step: TypeAlias = RunStep | ApprovalGate


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
    """One pack with its inputs resolved."""

    pack_name: str
    pack_version: str
    inputs: JsonMapping
    failure: FailurePolicy
    sandbox: Sandbox
    slo: Slo
    approvals: tuple[Approval, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]

    def step(self, step_id: str) -> Step:
        """The step of that id, which is unique in a pack."""
        return next(step for step in self.steps if step.id == step_id)

    def approval(self, approval_id: str) -> Approval:
        """The approval of that id; the check stage proved that each gate has one."""
        return next(approval for approval in self.approvals if approval.id == approval_id)
