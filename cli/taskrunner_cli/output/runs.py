"""Tables and lines for people: how runs, steps, logs, artifacts and approvals look."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from taskrunner_cli.api.documents import (
    AWAITING,
    Artifact,
    LogEntry,
    OpenApproval,
    RunState,
    RunSummary,
    SimulatedStep,
    Simulation,
    Step,
)
from taskrunner_cli.output.formatting import clock_time, date_time, duration, status, text

if TYPE_CHECKING:
    from taskrunner_cli.evidence.verification import Check

_LEVELS: Final = {"debug": "bright_black", "info": "default", "warn": "yellow", "error": "red"}


def pack_name(run: RunState | RunSummary | Simulation) -> str:
    """Return a pack's name and version, as far as they are known."""
    pack = run.get("pack")
    return f"{pack['name']} {pack['version']}" if pack else ""


def headline(run: RunState) -> Text:
    """Return one line about a run: which, of which pack, how it stands."""
    return Text.assemble(
        ("run ", "dim"), text(run["runId"], "bold"), "  ", text(pack_name(run)), "  ",
        status(run["status"]),
    )  # fmt: skip


def step_detail(step: Step) -> str:
    """Return why a step stands as it does, in the service's words."""
    reason = step.get("statusReason", "")
    said = step.get("gateMessage") if reason in AWAITING else step.get("errorMessage")
    parts = [
        reason,
        said or "",
        f"next try {clock_time(n)}" if (n := step.get("nextAttemptAt")) else "",
    ]
    return ": ".join(part for part in parts if part)


def step_table(steps: Iterable[Step], spans: Mapping[str, timedelta] | None = None) -> Table:
    """Return the steps of a run, one a line; *spans* adds how long each took."""
    table = _table(
        "step", "status", "attempts", "last change" if spans is None else "time", "detail"
    )
    depths: dict[str, int] = {}
    for step in steps:
        depth = depths[step["stepId"]] = depths.get(step.get("parentId", ""), -1) + 1
        waits = step.get("statusReason") in AWAITING and step["status"] in {"Pending", "Running"}
        when = clock_time(step.get("lastTransitionAt"))
        table.add_row(
            text("  " * depth + step["stepId"], "bold"),
            status(step["status"], looks_like="waiting" if waits else ""),
            text(step["attempts"] or ""),
            when if spans is None else duration(spans.get(step["stepId"])),
            text(step_detail(step)),
        )
    return table


def run_view(run: RunState) -> RenderableType:
    """Return a run with its steps and the facts one asks for next."""
    facts = _facts()
    rows = {
        "plan": run["planHash"],
        "tenant": run.get("tenantId", ""),
        "created": f"{date_time(run['createdAt'])} {_by(run.get('createdBy'))}",
        "ended": date_time(run.get("endedAt")),
    }
    for name, value in rows.items():
        if value.strip():
            facts.add_row(name, text(value))
    return Group(headline(run), facts, step_table(run["steps"]))


def run_list(runs: Sequence[RunSummary]) -> RenderableType:
    """Return runs, one a line."""
    if not runs:
        return Text("no runs yet", style="dim")
    table = _table("run", "pack", "status", "created", "ended")
    for run in runs:
        table.add_row(
            text(run["runId"], "bold"),
            text(pack_name(run)),
            status(run["status"]),
            date_time(run["createdAt"]),
            date_time(run.get("endedAt")),
        )
    return table


def approval_list(approvals: Sequence[OpenApproval]) -> RenderableType:
    """Return open approvals, one a line."""
    if not approvals:
        return Text("nothing waits for an approval", style="dim")
    table = _table("run", "approval", "step", "message", "grants", "open since", "expires")
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
    """Return what somebody decides about: the gate, the plan, and what comes after it."""
    gates = [step for step in run["steps"] if step.get("approvalId") == approval_id]
    pending = [s["stepId"] for s in run["steps"] if s["status"] == "Pending" and s not in gates]
    facts = _facts()
    facts.add_row("approval", text(approval_id, "yellow"))
    for gate in gates:
        facts.add_row("asks", text(gate.get("gateMessage") or gate["stepId"]))
        facts.add_row("open since", date_time(gate.get("lastTransitionAt")))
    facts.add_row("plan", text(run["planHash"]))
    facts.add_row("created", text(f"{date_time(run['createdAt'])} {_by(run.get('createdBy'))}"))
    facts.add_row("then", text(" → ".join(pending) or "nothing: it is the last step"))
    return Group(headline(run), facts)


def artifact_list(artifacts: Sequence[Artifact]) -> RenderableType:
    """Return artifacts, one a line."""
    if not artifacts:
        return Text("no artifacts", style="dim")
    table = _table("artifact", "type", "status", "captured", "from")
    for artifact in artifacts:
        origin = artifact.get("sourcePath") or artifact.get("expressionJson") or ""
        table.add_row(
            text(artifact["name"], "bold"),
            text(artifact["type"]),
            status(artifact["status"]),
            clock_time(artifact.get("capturedAt")),
            text(": ".join(part for part in (artifact.get("notes", ""), origin) if part)),
        )
    return table


def check_list(checks: "Iterable[Check]") -> RenderableType:
    """Return the checks of a piece of evidence, one a line."""
    table = _table("check", "result", "detail")
    for check in checks:
        table.add_row(text(check.name, "bold"), status(check.result.value), text(check.detail))
    return table


def facts(rows: Mapping[str, str]) -> RenderableType:
    """Return names and what they stand for, one a line."""
    table = _facts()
    for name, value in rows.items():
        table.add_row(name, text(value))
    return table


def log_line(entry: LogEntry) -> Text:
    """Return a line of the log as one line of text."""
    style = _LEVELS.get(entry["level"], "default")
    message = entry["message"].replace("\n", "\n" + " " * 28)
    return Text.assemble(
        (clock_time(entry["timestamp"]), "dim"), "  ",
        text(f"{entry['eventType']:<16}", style), "  ",
        text(message, style),
    )  # fmt: skip


def simulation_view(simulation: Simulation) -> RenderableType:
    """Return what a pack would do."""
    table = _table("step", "kind", "would be", "uses", "detail")
    _simulated_rows(table, simulation["steps"], 0)
    facts = _facts()
    facts.add_row("plan", text(simulation["planHash"]))
    facts.add_row(
        "approvals", "waits for one" if simulation["hasPendingApprovals"] else "needs none"
    )
    if (budget := simulation.get("budget")) is not None:
        facts.add_row("at most", text(_budget(budget)))
    for output in simulation["outputs"]:
        facts.add_row("output", text(f"{output['name']} ({output['type']})"))
    return Group(text(pack_name(simulation), "bold"), facts, table)


def _simulated_rows(table: Table, steps: Iterable[SimulatedStep], depth: int) -> None:
    for step in steps:
        detail = (step.get("statusReason", ""), step.get("gateMessage", ""), block_detail(step))
        table.add_row(
            text("  " * depth + step["id"], "bold"),
            text(step["kind"]),
            status(step["status"]),
            text(step.get("uses") or step.get("approvalId") or ""),
            text(": ".join(part for part in detail if part)),
        )
        _simulated_rows(table, step["children"], depth + 1)


def block_detail(step: SimulatedStep) -> str:
    """Return what a block would do, in a few words."""
    parts = []
    if (info := step.get("mapInfo")) is not None:
        count = info.get("itemCount")
        parts.append(f"over {info.get('itemsExpression')}" if count is None else f"{count} items")
        parts.append(info["mode"])
    if (info := step.get("loopInfo")) is not None:
        parts.append(f"over {info['itemsExpression']}, {info['aggregationMode']}")
    if (info := step.get("conditionalInfo")) is not None:
        parts += [branch["condition"] for branch in info["branches"]]
    if (info := step.get("policyInfo")) is not None:
        parts.append(f"{info['policyId']} {info['policyVersion']}, else {info['failureAction']}")
    if (most := step.get("maxParallel")) is not None:
        parts.append(f"{most} at a time")
    return ", ".join(parts)


def _budget(budget: Mapping[str, Any]) -> str:
    transitions, cost = budget["stateTransitions"], budget["estimatedCostUsd"]
    return f"{transitions} transitions, {budget['historyEvents']} history events, {cost:.4f} USD"


def _by(caller: str | None) -> str:
    return f"by {caller}" if caller else ""


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        wraps = column in {"detail", "message", "from"}
        table.add_column(column, overflow="fold", no_wrap=not wraps)
    return table


def _facts() -> Table:
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    return facts
