"""Views of approvals: the list, and the facts that an approver decides by."""

import json
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from taskrunner_cli.api.documents import (
    FINAL_RUN_STATUSES,
    Approver,
    OpenApproval,
    PlanComparison,
    RecordedDecision,
    RunState,
    Step,
    WaitingGate,
)
from taskrunner_cli.output.formatting import date_time, text
from taskrunner_cli.output.plan_diff import comparison_lines
from taskrunner_cli.output.runs import created, headline, pack_title
from taskrunner_cli.output.steps import is_waiting, step_rows
from taskrunner_cli.output.tables import Facts, ResultTable
from taskrunner_cli.output.wording import who


def approval_list(approvals: Sequence[OpenApproval], *, numbered: bool = False) -> RenderableType:
    """Return the list of open approvals, a row for each, with its number if *numbered*."""
    if not approvals:
        return Text("no open approvals", style="dim")
    rows = [_cells(approval) for approval in approvals]
    if numbered:
        rows = [{"#": text(number), **row} for number, row in enumerate(rows, start=1)]
    columns = [name for name in rows[0] if any(row[name].plain for row in rows)]
    table = ResultTable(*columns)
    for row in rows:
        table.add_row(*(row[name] for name in columns))
    return table


def _cells(approval: OpenApproval) -> dict[str, Text]:
    return {
        "run": text(approval["runId"], "bold"),
        "approval": text(approval["approvalId"], "yellow"),
        "step": text(approval.get("stepId", "")),
        "pack": text(pack_title(approval.get("pack"))),
        "requester": text(who(approval.get("requestedBy", ""), approval.get("requestedByName"))),
        "message": text(approval.get("message", "")),
        "grants": text(", ".join(approval.get("grants", []))),
        "open since": text(date_time(approval.get("openedAt"))),
        "expires": text(date_time(approval.get("expiresAt"))),
        "you": text(_may_decide(approval)),
    }


def numbered_steps(step_ids: Sequence[str]) -> RenderableType:
    """Return the gates to choose from, a row for each, with its number."""
    table = ResultTable("#", "step")
    for number, step_id in enumerate(step_ids, start=1):
        table.add_row(text(number), text(step_id))
    return table


def _may_decide(approval: OpenApproval) -> str:
    """Return whether the caller may decide; empty if the service does not say it."""
    match approval.get("canDecide"):
        case None:
            return ""
        case True:
            return "may decide"
        case _:
            reason = approval.get("cannotDecideReason")
            return f"may not: {reason['code']}" if reason else "may not decide"


def approval_question(
    run: RunState,
    approval_id: str,
    entry: OpenApproval | None = None,
    comparison: PlanComparison | None = None,
    step_ids: Sequence[str] = (),
) -> RenderableType:
    """Return what an approver decides by: the gates, the requester, the inputs and the plan.

    Args:
        run: the run.
        approval_id: the approval.
        entry: the approval as the service describes it, if it does.
        comparison: the plan compared with the one that was last approved, if the service can.
        step_ids: the gates that are decided, if each needs its own decision; empty for all.

    """
    gates = [step for step in run["steps"] if step.get("approvalId") == approval_id]
    waiting = [
        gate
        for gate in gates
        if is_waiting(gate) and gate["stepId"] in (step_ids or [gate["stepId"]])
    ]
    facts = Facts()
    facts.add_row("approval", text(approval_id, "yellow"))
    for message, same in _by_message(waiting or gates).items():
        facts.add_row("message" if message else "gate", text(message or same[0]["stepId"]))
        if len(same) > 1:
            facts.add_row("gates", text(", ".join(gate["stepId"] for gate in same)))
        if waiting:  # after a decision, that is the last change
            facts.add_row("open since", date_time(same[0].get("lastTransitionAt")))
    facts.add_row("plan", text(run["planHash"]))
    facts.add_row("created", text(created(run)))
    if entry is not None:
        _add_entry(facts, entry, step_ids)
    lists_guards = entry is not None and entry.get("gates")
    if not lists_guards and run.get("status") not in FINAL_RUN_STATUSES:
        facts.add_row("pending", text(_pending(run, gates)))
    changes = list(comparison_lines(comparison)) if comparison else []
    return Group(headline(run), facts, *changes)


def _add_entry(facts: Facts, entry: OpenApproval, step_ids: Sequence[str]) -> None:
    """Add what the service says of the approval itself."""
    if expires := date_time(entry.get("expiresAt")):
        facts.add_row("expires", expires)
    if (needed := entry.get("minApprovals", 1)) > 1:
        facts.add_row("approvers", text(f"{needed} are needed"))
    for approver in entry.get("approvedBy", []):
        since = date_time(approver.get("decidedAt"))
        facts.add_row("approved by", text(f"{_name(approver)} {since}"))
    for decision in entry.get("decisions", []):
        facts.add_row(decision["decision"], text(_who_decided(decision)))
    _add_inputs(facts, entry.get("inputs", {}))
    if omitted := entry.get("inputsOmitted"):
        facts.add_row("input", text(f"… and {omitted} more"))
    if secrets := entry.get("secrets"):
        facts.add_row("secrets", text(", ".join(secrets)))
    _add_gates(facts, entry, step_ids)
    if entry.get("canDecide") is False:
        reason = entry.get("cannotDecideReason")
        facts.add_row("you", text(reason.get("message") or reason["code"] if reason else "", "red"))


def _add_gates(facts: Facts, entry: OpenApproval, step_ids: Sequence[str]) -> None:
    for gate in entry.get("gates", []):
        if gate["stepId"] in (step_ids or [gate["stepId"]]):
            _add_gate(facts, gate, is_by_gate=entry.get("scope") == "gate")
    if omitted := entry.get("gatesOmitted"):
        facts.add_row("gates", text(f"… and {omitted} more"))


def _add_gate(facts: Facts, gate: WaitingGate, *, is_by_gate: bool) -> None:
    """Add what a gate guards, the outputs that it names, and the approvers of its own."""
    if is_by_gate:
        facts.add_row("gate", text(gate["stepId"], "bold"))
    for approver in gate.get("approvedBy", []):
        since = date_time(approver.get("decidedAt"))
        facts.add_row("approved by", text(f"{_name(approver)} {since}"))
    guarded = ", ".join(
        f"{step} of the same iteration" if step in gate.get("guardsInIteration", []) else step
        for step in gate.get("guards", [])
    )
    more = f" … and {omitted} more" if (omitted := gate.get("guardsOmitted")) else ""
    idle = gate.get("guardsNothingBecause")
    facts.add_row("guards", text(f"nothing: {idle}" if idle else f"{guarded or 'nothing'}{more}"))
    for finding in gate.get("findings", []):
        value = json.dumps(finding["value"], ensure_ascii=False) if "value" in finding else "-"
        facts.add_row("finding", text(f"{finding['name']} = {value}"))


def _who_decided(decision: RecordedDecision) -> str:
    actor = f" ({decision['actorId']})" if "actorId" in decision else ""
    summary = f": {decision['summary']}" if "summary" in decision else ""
    at = f" at {decision['stepId']}" if "stepId" in decision else ""
    time = date_time(decision.get("decidedAt"))
    return f"by {_name(decision)}{actor}{at} {time}{summary}"


def _name(decision: Approver | RecordedDecision) -> str:
    return who(decision["approver"], decision.get("approverName"))


def _add_inputs(facts: Facts, inputs: Mapping[str, object]) -> None:
    for name, value in inputs.items():
        facts.add_row("input", text(f"{name} = {json.dumps(value, ensure_ascii=False)}"))


def _by_message(gates: Sequence[Step]) -> dict[str, list[Step]]:
    """Return the gates by what they ask; in a map, each item may have the same gate."""
    by_message: dict[str, list[Step]] = {}
    for gate in gates:
        by_message.setdefault(gate.get("gateMessage", ""), []).append(gate)
    return by_message


def _pending(run: RunState, gates: Sequence[Step]) -> str:
    """Return the run's pending steps, also of other lanes; of a map or loop, only the map or loop.

    A run's state does not say which of them the gates guard, or in what order they run.
    """
    steps = [row.step for row in step_rows(run["steps"])]
    pending = [
        step["stepId"] for step in steps if step["status"] == "Pending" and step not in gates
    ]
    return ", ".join(pending) or "no other step"
