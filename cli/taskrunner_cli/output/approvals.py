"""Views of approvals: the list, and the facts that an approver decides by."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from taskrunner_cli.api.documents import OpenApproval, RunState, Step
from taskrunner_cli.output.formatting import date_time, text
from taskrunner_cli.output.runs import created, headline
from taskrunner_cli.output.steps import is_waiting, step_rows
from taskrunner_cli.output.tables import Facts, ResultTable


def approval_list(approvals: Sequence[OpenApproval]) -> RenderableType:
    """Return the list of open approvals, a row for each."""
    if not approvals:
        return Text("no open approvals", style="dim")
    table = ResultTable("run", "approval", "step", "message", "grants", "open since", "expires")
    for approval in approvals:
        table.add_row(
            text(approval["runId"], "bold"),
            text(approval["approvalId"], "yellow"),
            text(approval.get("stepId", "")),
            text(approval.get("message", "")),
            text(", ".join(approval.get("grants", []))),
            date_time(approval.get("openedAt")),
            date_time(approval.get("expiresAt")),
        )
    return table


def approval_question(run: RunState, approval_id: str) -> RenderableType:
    """Return the gates of an approval, the plan, and the steps that are still pending."""
    gates = [step for step in run["steps"] if step.get("approvalId") == approval_id]
    waiting = [gate for gate in gates if is_waiting(gate)]
    facts = Facts()
    facts.add_row("approval", text(approval_id, "yellow"))
    for message, same in _by_message(waiting or gates).items():
        facts.add_row("message" if message else "gate", text(message or same[0]["stepId"]))
        if len(same) > 1:
            facts.add_row("gates", text(", ".join(gate["stepId"] for gate in same)))
        facts.add_row("open since", date_time(same[0].get("lastTransitionAt")))
    facts.add_row("plan", text(run["planHash"]))
    facts.add_row("created", text(created(run)))
    facts.add_row("pending", text(_pending(run, gates)))
    return Group(headline(run), facts)


def _by_message(gates: Sequence[Step]) -> dict[str, list[Step]]:
    """Return the gates by what they ask; in a map, each item may have the same gate."""
    by_message: dict[str, list[Step]] = {}
    for gate in gates:
        by_message.setdefault(gate.get("gateMessage", ""), []).append(gate)
    return by_message


def _pending(run: RunState, gates: Sequence[Step]) -> str:
    """Return the steps that a decision may let run; of a map or loop, only the map or loop."""
    steps = [row.step for row in step_rows(run["steps"])]
    pending = [
        step["stepId"] for step in steps if step["status"] == "Pending" and step not in gates
    ]
    return " → ".join(pending) or "nothing: the gate is the last step"
