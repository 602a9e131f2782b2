"""Read one approval of a run: what an approver must see, and whether the caller may decide it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.errors import NotFoundError
from taskrunner.model import step_path
from taskrunner.model.approval import (
    ApprovalGates,
    ApprovalRecord,
    refusal_of_closed,
    refusal_to_approve,
)
from taskrunner.model.brief import brief_of
from taskrunner.model.entries.gate_entries import GateOpened
from taskrunner.model.entries.reading import read
from taskrunner.model.plan import ApprovalGate, PolicyGate
from taskrunner.runtime.gate_view import findings, gate_views
from taskrunner.runtime.run_values import RunValues

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskrunner.model.approval import Decision, GateRecord
    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Approval, Plan
    from taskrunner.ports import RunSnapshot, World

# The gates in the iterations of a loop may be thousands, and each has its findings.
_MAX_GATES: Final = 20


def read_approval(
    tenant: str, run_id: str, approval_id: str, caller: Caller, world: World
) -> JsonObject:
    """Return the API's RunApprovalResponse; *caller* may decide it or not.

    Raises:
        NotFoundError: the tenant has no such run, or the run's pack no such approval.
    """
    snapshot = world.runs.snapshot(tenant, run_id)
    run, plan = snapshot.run, world.plans.get(tenant, snapshot.run.plan_hash)
    approval = next((item for item in plan.approvals if item.id == approval_id), None)
    if approval is None:
        raise NotFoundError(f"approval {approval_id} of run {run_id}")
    record = _record(tenant, run_id, approval_id, world)
    waiting = [] if run.outcome else list(world.approvals.waiting(run, approval_id))
    view: JsonObject = {
        "runId": run.run_id,
        "approvalId": approval.id,
        "planHash": run.plan_hash,
        "pack": {"name": run.pack_name, "version": run.pack_version},
        "requestedBy": run.created_by,
        "status": _status(record, waiting),
        "grants": list(approval.grants),
        "minApprovals": approval.min_approvals,
        "distinctFromRequester": approval.distinct_from_requester,
        "gates": _gates(plan, snapshot, waiting[:_MAX_GATES], world),
        "decisions": [_decision(decision) for decision in record.decisions],
        **(brief_of(plan) or {}),
        **_standing(approval, record, waiting, caller, run.created_by),
    }
    if approval.message is not None:
        view["message"] = approval.message
    if len(waiting) > _MAX_GATES:
        view["gatesOmitted"] = len(waiting) - _MAX_GATES
    return view


def _record(tenant: str, run_id: str, approval_id: str, world: World) -> ApprovalRecord:
    records = world.approvals.records(tenant, run_id)
    found = (record for record in records if record.approval_id == approval_id)
    return next(found, ApprovalRecord(approval_id=approval_id))


def _status(record: ApprovalRecord, waiting: Sequence[GateRecord]) -> str:
    if record.verdict is not None:
        return record.verdict.value
    return "waiting" if waiting else "closed"


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
        view["message"] = step.message
    return view | {"findings": findings(plan, step, prefix, values)}


def _openings(tenant: str, run_id: str, world: World) -> Mapping[str, JsonObject]:
    """When each gate opened and when it expires, by step path."""
    openings: dict[str, JsonObject] = {}
    for placed in world.runs.journal(tenant, run_id):
        entry, fact = placed.entry, read(placed.entry)
        if isinstance(fact, GateOpened) and entry.step_path is not None:
            opening = {"openedAt": entry.occurred_at}
            expiry = {} if fact.expires_at is None else {"expiresAt": fact.expires_at}
            openings[entry.step_path] = opening | expiry
    return openings


def _decision(decision: Decision) -> JsonObject:
    view = {
        "decision": decision.verdict.value,
        "approver": decision.approver,
        "decidedAt": decision.decided_at,
        "actorId": decision.actor,
        "summary": decision.summary,
    }
    return {name: value for name, value in view.items() if value is not None}


def _standing(
    approval: Approval,
    record: ApprovalRecord,
    waiting: Sequence[GateRecord],
    caller: Caller,
    requester: str,
) -> JsonObject:
    refusal = refusal_of_closed(record, ApprovalGates(is_waiting=bool(waiting)))
    if refusal is None:
        refusal = refusal_to_approve(approval, record, caller=caller, requester=requester)
    if refusal is None:
        return {"canDecide": True}
    reason = {"code": refusal.code.value, "message": refusal.message}
    return {"canDecide": False, "cannotDecideReason": reason}
