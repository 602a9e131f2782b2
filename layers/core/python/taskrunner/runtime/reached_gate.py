"""A gate that a run's state machine has reached, with the approval that it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from taskrunner.model.approval import GateRecord, Verdict
from taskrunner.model.failure import stoppable_blocks
from taskrunner.model.plan import ApprovalGate, PolicyGate
from taskrunner.runtime.run_lifecycle import check_not_ended, check_not_stopped
from taskrunner.runtime.running_step import running_step

if TYPE_CHECKING:
    from taskrunner.model.approval import ApprovalRecord
    from taskrunner.model.plan import Approval, Plan
    from taskrunner.model.run import Run, StepReference
    from taskrunner.ports import RunSnapshot, World
    from taskrunner.runtime.running_step import RunningStep


class ReachedGate(NamedTuple):
    """A gate by its step path, its approval, and what has been decided so far.

    *gate* is the record of the gate itself, and None when it has not been opened.
    """

    reference: StepReference
    snapshot: RunSnapshot
    plan: Plan
    step: ApprovalGate | PolicyGate
    approval: Approval
    record: ApprovalRecord
    gate: GateRecord | None
    world: World

    @property
    def path(self) -> str:
        """The gate's step path."""
        return self.reference.path

    @property
    def running(self) -> RunningStep:
        """The gate as a step whose expressions can be evaluated."""
        return running_step(self.reference, self.snapshot, self.plan, self.world)

    @property
    def run(self) -> Run:
        """The gate's run."""
        return self.snapshot.run

    @property
    def verdict(self) -> Verdict | None:
        """The decision about the gate that its journal has, and None while it may still wait."""
        if self.gate is None:
            return None
        if self.gate.expired_by is not None:
            return Verdict.EXPIRED
        is_recorded = self.gate.recorded_decisions >= len(self.record.decisions)
        return self.record.verdict if is_recorded else None

    @property
    def known(self) -> GateRecord:
        """The record of the gate; one that was not opened gets the approval's last decision."""
        recorded = len(self.record.decisions) - (self.record.verdict is not None)
        return self.gate or GateRecord(step_path=self.path, recorded_decisions=recorded)

    @property
    def inside(self) -> list[str]:
        """The blocks around the gate that a failure beside it can stop."""
        return stoppable_blocks(self.plan, self.path)

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

    A gate that is decided is found in an ended run too, because its decision may have ended the
    run.

    Raises:
        NotFoundError: there is no such run.
        ConflictError: `run_ended` or `block_stopped`.
    """
    snapshot = world.runs.snapshot(reference.tenant, reference.run_id)
    plan = world.plans.get(reference.tenant, snapshot.run.plan_hash)
    step = plan.step(reference.step_id)
    assert isinstance(step, ApprovalGate | PolicyGate)  # noqa: S101 - the compiler wires no other
    approval_id = step.approval_id if isinstance(step, ApprovalGate) else step.override or ""
    approval = plan.approval(approval_id)
    record = world.approvals.get(
        reference.tenant, reference.run_id, approval_id, approval.record_path(reference.path)
    )
    gate = world.approvals.gate(snapshot.run, reference.path)
    reached = ReachedGate(reference, snapshot, plan, step, approval, record, gate, world)
    if reached.verdict is None:
        check_not_ended(snapshot.run)
        check_not_stopped(snapshot.run, plan, reference.path, world)
    return reached
