"""A gate that a run's state machine has reached, with the approval that it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from taskrunner.model.approval import GateRecord
from taskrunner.model.plan import ApprovalGate, PolicyGate
from taskrunner.runtime.run_lifecycle import check_not_ended

if TYPE_CHECKING:
    from taskrunner.model.approval import ApprovalRecord
    from taskrunner.model.plan import Approval
    from taskrunner.model.run import Run, StepReference
    from taskrunner.ports import Head, World


class ReachedGate(NamedTuple):
    """A gate by its step path, its approval, and what has been decided so far."""

    path: str
    head: Head
    step: ApprovalGate | PolicyGate
    approval: Approval
    record: ApprovalRecord

    @property
    def run(self) -> Run:
        """The gate's run."""
        return self.head.run

    @property
    def is_override(self) -> bool:
        """Whether the approval overrides a policy that does not hold."""
        return isinstance(self.step, PolicyGate)

    @property
    def message(self) -> str | None:
        """The pack's message to approvers."""
        return self.step.message if isinstance(self.step, ApprovalGate) else self.approval.message


def find_gate(reference: StepReference, world: World) -> ReachedGate:
    """Return the gate that the state machine of a run in progress has reached.

    Raises:
        NotFoundError: there is no such run.
        ConflictError: `run_ended`.
    """
    head = world.runs.head(reference.tenant, reference.run_id)
    check_not_ended(head.run)
    plan = world.plans.get(reference.tenant, head.run.plan_hash)
    step = plan.step(reference.step_id)
    assert isinstance(step, ApprovalGate | PolicyGate)  # noqa: S101 - the compiler wires no other
    approval_id = step.approval_id if isinstance(step, ApprovalGate) else step.override or ""
    record = world.approvals.get(reference.tenant, reference.run_id, approval_id)
    return ReachedGate(reference.path, head, step, plan.approval(approval_id), record)


def unopened(path: str, record: ApprovalRecord) -> GateRecord:
    """Return a gate that was not opened before *record* was decided: it gets the last decision."""
    return GateRecord(step_path=path, recorded_decisions=len(record.decisions) - 1)
