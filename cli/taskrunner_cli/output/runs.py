"""Views of runs: the list, a run with its steps, and its log."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from taskrunner_cli.api.documents import (
    WAITING_REASONS,
    LogEntry,
    PackName,
    RunState,
    RunSummary,
    Step,
)
from taskrunner_cli.output.formatting import clock_time, date_time, duration, status, text
from taskrunner_cli.output.tables import facts, new_table

_LEVEL_STYLES: Final = {
    "debug": "bright_black",
    "info": "default",
    "warn": "yellow",
    "error": "red",
}
_MESSAGE_INDENT: Final = 28  # the columns before a log entry's message


def pack_title(pack: PackName | None) -> str:
    """Return a pack's name and version; empty if it is unknown."""
    return f"{pack['name']} {pack['version']}" if pack else ""


def headline(run: RunState) -> Text:
    """Return a run's id, pack and status in one line."""
    return Text.assemble(
        ("run ", "dim"), text(run["runId"], "bold"),
        "  ", text(pack_title(run.get("pack"))),
        "  ", status(run["status"]),
    )  # fmt: skip


def run_view(run: RunState) -> RenderableType:
    """Return a run with its plan, its times and its steps."""
    rows = {
        "plan": run["planHash"],
        "tenant": run.get("tenantId", ""),
        "created": created(run),
        "ended": date_time(run.get("endedAt")),
    }
    return Group(
        headline(run),
        facts({name: value for name, value in rows.items() if value.strip()}),
        step_table(run["steps"]),
    )


def created(run: RunState) -> str:
    """Return when a run was created, and by whom."""
    author = run.get("createdBy")
    return f"{date_time(run['createdAt'])} {f'by {author}' if author else ''}"


def step_table(steps: Iterable[Step], durations: Mapping[str, timedelta] | None = None) -> Table:
    """Return a run's steps, a row for each, with *durations* or the times of the last change."""
    time_column = "last change" if durations is None else "time"
    table = new_table("step", "status", "attempts", time_column, "detail")
    depths: dict[str, int] = {}
    for step in steps:
        depth = depths[step["stepId"]] = depths.get(step.get("parentId", ""), -1) + 1
        waits = is_waiting(step) and step["status"] in {"Pending", "Running"}
        table.add_row(
            text("  " * depth + step["stepId"], "bold"),
            status(step["status"], looks_like="waiting" if waits else ""),
            text(step["attempts"] or ""),
            clock_time(step.get("lastTransitionAt"))
            if durations is None
            else duration(durations.get(step["stepId"])),
            text(_step_detail(step)),
        )
    return table


def is_waiting(step: Step) -> bool:
    """Return whether a step is a gate that waits for a decision."""
    return step.get("statusReason") in WAITING_REASONS


def gate_hints(run: RunState) -> list[Text]:
    """Return the command to type for each gate that the run waits at."""
    return [
        text(f"taskrunner approve {run['runId']} {step['approvalId']} --as approver", "cyan")
        for step in run["steps"]
        if is_waiting(step) and "approvalId" in step
    ]


def run_list(runs: Sequence[RunSummary]) -> RenderableType:
    """Return the list of runs, a row for each."""
    if not runs:
        return Text("no runs yet", style="dim")
    table = new_table("run", "pack", "status", "created", "ended")
    for run in runs:
        table.add_row(
            text(run["runId"], "bold"),
            text(pack_title(run["pack"])),
            status(run["status"]),
            date_time(run["createdAt"]),
            date_time(run.get("endedAt")),
        )
    return table


def log_line(entry: LogEntry) -> Text:
    """Return a log entry as text: its time, its event and its message."""
    style = _LEVEL_STYLES.get(entry["level"], "default")
    message = entry["message"].replace("\n", "\n" + " " * _MESSAGE_INDENT)
    return Text.assemble(
        (clock_time(entry["timestamp"]), "dim"), "  ",
        text(f"{entry['eventType']:<16}", style), "  ",
        text(message, style),
    )  # fmt: skip


def _step_detail(step: Step) -> str:
    """Return the reason for a step's status, with the service's message and the next attempt."""
    next_attempt = step.get("nextAttemptAt")
    parts = [
        step.get("statusReason"),
        step.get("gateMessage") if is_waiting(step) else step.get("errorMessage"),
        f"next try {clock_time(next_attempt)}" if next_attempt else None,
    ]
    return ": ".join(part for part in parts if part)
