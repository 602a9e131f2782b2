"""The gates that a decision is about.

With the scope `run` a decision is about all gates of its approval. With the scope `gate` it is
about the gates that it names, or about the only one that waits. It must never meet a gate that its
caller did not mean: neither a second one that waits, nor the one that opened since the caller's
last decision, of which this one may be a repetition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.errors import ConflictError, NotFoundError
from taskrunner.model import step_path
from taskrunner.model.approval import ApprovalRecord, Verdict, refusal_of_caller
from taskrunner.model.plan import ApprovalGate, ApprovalScope, PolicyGate
from taskrunner.model.refusal import RefusalCode
from taskrunner.model.wording import nearest, shortened
from taskrunner.runtime.gate_decisions import waiting_gates
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.caller import Caller
    from taskrunner.model.plan import Approval, Plan, Step
    from taskrunner.model.run import Run
    from taskrunner.ports import World

# The step ids that an answer lists, of which a message has only the first.
_MOST_LISTED: Final = 100
_MOST_IN_MESSAGE: Final = 5


def find_approval(plan: Plan, approval_id: str, run_id: str) -> Approval:
    """Return an approval of the run's plan.

    Raises:
        NotFoundError: the plan has none of that id.
    """
    approval = next((known for known in plan.approvals if known.id == approval_id), None)
    if approval is None:
        known_ids = [known.id for known in plan.approvals]
        hint = nearest(approval_id, known_ids) if known_ids else "; its pack has no approvals"
        raise NotFoundError(f"approval {approval_id[:80]} of run {run_id}", hint)
    return approval


@dataclass(frozen=True, slots=True)
class GateChoice:
    """The choice of gates for a decision of *caller* with *verdict*."""

    plan: Plan
    approval: Approval
    run: Run
    caller: Caller
    verdict: Verdict
    world: World

    def paths(self, step_ids: Sequence[str] | None) -> list[str | None]:
        """Return the gate of each record to decide; None stands for the record of the approval.

        *step_ids* are the gates that the decision names, if it names any.

        Raises:
            NotFoundError: a step id is not one of a gate of the approval.
            ForbiddenError: the caller may not decide the approval.
            ConflictError: `approval_ambiguous`, or `approval_not_open`.
        """
        refusal = refusal_of_caller(
            self.approval, self.verdict, caller=self.caller, requester=self.run.created_by
        )
        if refusal is not None:
            raise refusal.error
        for step_id in step_ids or ():
            self._check_gate(step_id)
        if self.approval.scope is ApprovalScope.GATE:
            return [self._only_gate()] if step_ids is None else list(dict.fromkeys(step_ids))
        if step_ids is not None:
            self._check_all_named(step_ids)
        return [None]

    def _check_gate(self, path: str) -> None:
        """Check that the plan has a gate of the approval at *path*."""
        what = f"gate {shortened(path, 80)} of the approval {self.approval.id}"
        gates = [step.id for step in self.plan.all_steps() if self._waits(step)]
        try:
            iterations, step_id = step_path.parse(path)
        except ValueError:
            raise NotFoundError(what, nearest(path, gates)) from None
        if step_id not in gates:
            raise NotFoundError(what, nearest(step_id, gates))
        blocks = [block.id for block in self.plan.iterations(step_id)]
        if [iteration.block_id for iteration in iterations] != blocks:
            example = step_path.join("".join(f"{block}[0]::" for block in blocks), step_id)
            raise NotFoundError(f"{what} (the first one is called {example})")

    def _waits(self, step: Step) -> bool:
        match step:
            case ApprovalGate(approval_id=approval_id) | PolicyGate(override=approval_id):
                return approval_id == self.approval.id
            case _:
                return False

    def _check_all_named(self, step_ids: Sequence[str]) -> None:
        """Check that a decision about all gates of the approval names all that wait."""
        waiting = self._waiting()
        record = self.world.approvals.get(self.run.tenant, self.run.run_id, self.approval.id)
        latest = record.latest_decision(self.caller.subject)
        is_repeated = latest is not None and latest.verdict is self.verdict
        if not waiting or record.verdict is not None or is_repeated:
            return  # the rules of a decision say what follows
        for step_id in step_ids:
            if step_id not in waiting:
                message = f"{step_id} does not wait for the approval {self.approval.id}"
                raise ConflictError(RefusalCode.NOT_OPEN.value, message)
        if not set(waiting) <= set(step_ids):
            message = (
                f"one decision about {self.approval.id} serves all of its gates, and others wait "
                f"too: {_listed(waiting)}; name all of them in stepId, or omit it"
            )
            raise _ambiguous(message, waiting)

    def _only_gate(self) -> str:
        """Return the gate that a decision is about which names none.

        A repetition must not decide the next gate. So a decision of a caller who made the same one
        before, without a name too, may be about the gate that waits or about the one before.
        """
        waiting = self._waiting()  # before the decisions, because these are stored before a wake
        repeated = self._decided_before()
        candidates = [*waiting, *(path for path in repeated if path not in waiting)]
        if len(candidates) == 1:
            return candidates[0]
        if not waiting:
            return repeated[-1] if repeated else self._last_gate()
        if len(waiting) > 1:
            message = (
                f"{len(waiting)} gates wait for the approval {self.approval.id}, and each needs "
                f"its own decision: {_listed(waiting)}; name the one that you decide in stepId"
            )
            raise _ambiguous(message, waiting)
        message = (
            f"you have {self.verdict} {repeated[-1]} without naming it, so this may be a "
            f"repetition; to decide {waiting[0]}, which waits now, name it in stepId"
        )
        raise _ambiguous(message, waiting)

    def _waiting(self) -> list[str]:
        if self.run.outcome is not None:
            return []
        record = ApprovalRecord(approval_id=self.approval.id)
        found = waiting_gates(self.run, self.plan, record, self.world)
        return [gate.step_path for gate in found]

    def _decided_before(self) -> list[str]:
        """The gates that the caller has decided alike without naming them, the latest one last."""
        subject, approvals = self.caller.subject, self.world.approvals
        if self.verdict is Verdict.EXPIRED:
            gates = approvals.gates(self.run, self.approval.id)
            return [gate.step_path for gate in gates if gate.expired_by == subject]
        records = approvals.records(self.run.tenant, self.run.run_id, self.approval.id)
        found = [
            (decision.decided_at, str(record.gate_path))
            for record in records
            for decision in [record.latest_decision(subject)]
            if decision is not None and decision.verdict is self.verdict and not decision.names_gate
        ]
        return [path for _, path in sorted(found)]

    def _last_gate(self) -> str:
        """Return the gate of which the rules say why it cannot be decided.

        Raises:
            ConflictError: `approval_not_open`, if there is not just one.
        """
        opened = [gate.step_path for gate in self.world.approvals.gates(self.run, self.approval.id)]
        if len(opened) == 1:
            return opened[0]
        message = f"no gate waits for the approval {self.approval.id}"
        raise ConflictError(RefusalCode.NOT_OPEN.value, message)


def _ambiguous(message: str, waiting: Sequence[str]) -> ConflictError:
    details = {"stepIds": list(waiting[:_MOST_LISTED])}
    return ConflictError("approval_ambiguous", message, details)


def _listed(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:_MOST_IN_MESSAGE])
    more = len(paths) - _MOST_IN_MESSAGE
    return f"{shown} and {more} more" if more > 0 else shown
