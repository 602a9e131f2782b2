"""Views of approvals: the list, and the facts that an approver decides by."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from taskrunner_cli.api.documents import OpenApproval, RunState
from taskrunner_cli.output.formatting import date_time, text
from taskrunner_cli.output.runs import created, headline
from taskrunner_cli.output.tables import new_facts, new_table


def approval_list(approvals: Sequence[OpenApproval]) -> RenderableType:
    """Return the list of open approvals, a row for each."""
    if not approvals:
        return Text("no open approvals", style="dim")
    table = new_table("run", "approval", "step", "message", "grants", "open since", "expires")
    for approval in approvals:
        table.add_row(
            text(approval["runId"], "bold"),
            text(approval["approvalId"], "yellow"),
            text(approval["stepId"]),
            text(approval["message"]),
            text(", ".join(approval["grants"])),
            date_time(approval["openedAt"]),
            date_time(approval["expiresAt"]),
        )
    return table


def approval_question(run: RunState, approval_id: str) -> RenderableType:
    """Return the gates of an approval, the plan, and the steps that are still pending."""
    gates = [step for step in run["steps"] if step.get("approvalId") == approval_id]
    pending = [
        step["stepId"] for step in run["steps"] if step["status"] == "Pending" and step not in gates
    ]
    facts = new_facts()
    facts.add_row("approval", text(approval_id, "yellow"))
    for gate in gates:
        facts.add_row("message", text(gate.get("gateMessage") or gate["stepId"]))
        facts.add_row("open since", date_time(gate.get("lastTransitionAt")))
    facts.add_row("plan", text(run["planHash"]))
    facts.add_row("created", text(created(run)))
    facts.add_row("pending", text(" → ".join(pending) or "nothing: the gate is the last step"))
    return Group(headline(run), facts)
