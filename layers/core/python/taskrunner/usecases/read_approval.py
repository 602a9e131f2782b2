"""Read one approval of a run: what an approver must see, and whether the caller may decide it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.model import api_view, step_path
from taskrunner.model.approval import (
    ApprovalGates,
    ApprovalRecord,
    refusal_of_closed,
    refusal_to_approve,
)
from taskrunner.model.brief import brief_of
from taskrunner.model.entries.gate_entries import GateOpened
from taskrunner.model.entries.reading import read
from taskrunner.model.plan import ApprovalGate, ApprovalScope, PolicyGate
from taskrunner.runtime.delivery import outside_of_stopped_blocks
from taskrunner.runtime.gate_choice import find_approval
from taskrunner.runtime.gate_view import findings, gate_views
from taskrunner.runtime.run_values import RunValues

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskrunner.model.approval import Decision, GateRecord
    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Approval, Plan
    from taskrunner.model.run import Run
    from taskrunner.ports import RunSnapshot, World

# The gates in the iterations of a loop may be thousands, and each has its findings.
_MAX_GATES: Final = 20
# Each has a summary of up to 2,000 characters, and an answer has at most 6 MB.
_MAX_DECISIONS: Final = 100


def read_approval(  # noqa: PLR0913 - a request has this many parts
    tenant: str,
    run_id: str,
    approval_id: str,
    caller: Caller,
    world: World,
    *,
    gate_path: str | None = None,
) -> JsonObject:
    """Return the API's RunApprovalResponse; *caller* may decide it or not.

    It has the first gates that wait, or only the one at *gate_path*, if that waits.

    Raises:
        NotFoundError: the tenant has no such run, or the run's pack no such approval.
    """
    snapshot = world.runs.snapshot(tenant, run_id)
    run, plan = snapshot.run, world.plans.get(tenant, snapshot.run.plan_hash)
    approval = find_approval(plan, approval_id, run_id)
    waiting = [] if run.outcome else _waiting(run, plan, approval_id, world)
    records = _Records(approval, world.approvals.records(tenant, run_id, approval_id), caller, run)
    named = [gate for gate in waiting if gate_path in {None, gate.step_path}]
    shown = named[:_MAX_GATES]
    gates = _gates(plan, snapshot, shown, world)
    view: JsonObject = {
        "runId": run.run_id,
        "approvalId": approval.id,
        "planHash": run.plan_hash,
        "pack": {"name": run.pack_name, "version": run.pack_version},
        "requestedBy": run.created_by,
        "status": records.status(waiting),
        "grants": list(approval.grants),
        "minApprovals": approval.min_approvals,
        "distinctFromRequester": approval.distinct_from_requester,
        "gates": [view | records.of_gate(gate) for view, gate in zip(gates, shown, strict=True)],
        **records.decisions(),
        **(brief_of(plan) or {}),
        **records.standing(waiting),
    }
    if run.created_by_name is not None:
        view["requestedByName"] = run.created_by_name
    if approval.scope is ApprovalScope.GATE:
        view["scope"] = approval.scope.value
    if approval.message is not None:
        view["message"] = approval.message
    if len(waiting) > len(shown):
        view["gatesOmitted"] = len(waiting) - len(shown)
    return view


def _waiting(run: Run, plan: Plan, approval_id: str, world: World) -> list[GateRecord]:
    """The gates that wait, except those that a failure beside them has stopped."""
    waiting = world.approvals.waiting(run, approval_id)
    return outside_of_stopped_blocks(waiting, run, plan, world)


def _gates(
    plan: Plan, snapshot: RunSnapshot, waiting: Sequence[GateRecord], world: World
) -> list[JsonObject]:
    """The gates that wait, with what they guard and the outputs that they name."""
    if not waiting:
        return []
    run = snapshot.run
    views = gate_views(plan, run.distributed)
    openings = _openings(run.tenant, run.run_id, world)
    values = RunValues(plan, snapshot, world)
    return [
        _gate(plan, gate.step_path, views, openings.get(gate.step_path, {}), values)
        for gate in waiting
    ]


def _gate(
    plan: Plan,
    path: str,
    views: Mapping[str, JsonObject],
    opening: JsonObject,
    values: RunValues,
) -> JsonObject:
    iterations, step_id = step_path.parse(path)
    step = plan.step(step_id)
    assert isinstance(step, ApprovalGate | PolicyGate)  # noqa: S101 - no other step waits
    prefix = iterations[-1].prefix if iterations else ""
    view = views[step_id] | {"stepId": path, "templateId": step_id} | opening
    if isinstance(step, ApprovalGate) and step.message is not None:
        view.setdefault("message", step.message)
    return view | {"findings": findings(plan, step, prefix, values)}


def _openings(tenant: str, run_id: str, world: World) -> Mapping[str, JsonObject]:
    """Return when each gate opened and expires, and its message then, by step path."""
    openings: dict[str, JsonObject] = {}
    for placed in world.runs.journal(tenant, run_id):
        entry, fact = placed.entry, read(placed.entry)
        if isinstance(fact, GateOpened) and entry.step_path is not None:
            opening = {
                "openedAt": entry.occurred_at,
                "expiresAt": fact.expires_at,
                "message": fact.message,
            }
            openings[entry.step_path] = {k: v for k, v in opening.items() if v is not None}
    return openings


class _Records:
    """The decisions about an approval, of all gates or of each one, and what *caller* may add."""

    def __init__(
        self, approval: Approval, records: Sequence[ApprovalRecord], caller: Caller, run: Run
    ) -> None:
        self._approval = approval
        self._caller = caller
        self._requester = run.created_by
        self._by_gate = {record.gate_path: record for record in records}
        self._is_by_gate = approval.scope is ApprovalScope.GATE

    def _record(self, gate: GateRecord | None) -> ApprovalRecord:
        path = gate.step_path if gate is not None and self._is_by_gate else None
        empty = ApprovalRecord(approval_id=self._approval.id, gate_path=path)
        return self._by_gate.get(path, empty)

    def status(self, waiting: Sequence[GateRecord]) -> str:
        """Return the verdict, or that of all gates if each has its own and they agree."""
        verdicts = {record.verdict for record in self._by_gate.values()}
        verdict = verdicts.pop() if len(verdicts) == 1 else None
        if verdict is not None and not (waiting and self._is_by_gate):
            return verdict.value
        return "waiting" if waiting else "closed"

    def decisions(self) -> JsonObject:
        """Return the decisions so far, the latest ones if there are very many."""
        found = sorted(
            (
                (decision, record.gate_path)
                for record in self._by_gate.values()
                for decision in record.decisions
            ),
            key=lambda pair: pair[0].decided_at,
        )
        shown = [_decision(decision, gate_path) for decision, gate_path in found[-_MAX_DECISIONS:]]
        omitted = len(found) - len(shown)
        return {"decisions": shown} | ({"decisionsOmitted": omitted} if omitted else {})

    def of_gate(self, gate: GateRecord) -> JsonObject:
        """Return the decisions about a gate that needs its own, and if the caller may add one."""
        if not self._is_by_gate:
            return {}
        decisions = self._record(gate).decisions
        approved_by = [api_view.approved_by(decision) for decision in decisions]
        return {"approvedBy": approved_by} | self._standing_at(gate)

    def standing(self, waiting: Sequence[GateRecord]) -> JsonObject:
        """Return whether the caller may approve at any gate, and else why not at the first one."""
        gates = waiting if self._is_by_gate else waiting[:1]
        standings = [self._standing_at(gate) for gate in gates] or [self._standing_at(None)]
        may_decide = (standing for standing in standings if standing["canDecide"])
        return next(may_decide, standings[0])

    def _standing_at(self, gate: GateRecord | None) -> JsonObject:
        record = self._record(gate)
        refusal = refusal_of_closed(record, ApprovalGates(is_waiting=gate is not None))
        if refusal is None:
            refusal = refusal_to_approve(
                self._approval, record, caller=self._caller, requester=self._requester
            )
        if refusal is None:
            return {"canDecide": True}
        reason = {"code": refusal.code.value, "message": refusal.message}
        return {"canDecide": False, "cannotDecideReason": reason}


def _decision(decision: Decision, gate_path: str | None) -> JsonObject:
    view = {
        "stepId": gate_path,
        "decision": decision.verdict.value,
        "approver": decision.approver,
        "approverName": decision.approver_name,
        "decidedAt": decision.decided_at,
        "actorId": decision.actor,
        "summary": decision.summary,
    }
    return {name: value for name, value in view.items() if value is not None}
