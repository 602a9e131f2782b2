"""Views of runs: the list, a run with its steps, and its log."""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from taskrunner_cli.api.documents import LogEntry, PackName, RunReason, RunState, RunSummary
from taskrunner_cli.output.decisions import Decisions, who_and_why
from taskrunner_cli.output.formatting import clock_time, date_time, status, text
from taskrunner_cli.output.step_output import is_output, printed_lines
from taskrunner_cli.output.steps import is_waiting, step_rows, step_table
from taskrunner_cli.output.tables import Facts, ResultTable
from taskrunner_cli.output.wording import counted, who

_LEVEL_STYLES: Final = {
    "debug": "bright_black",
    "info": "default",
    "warn": "yellow",
    "error": "red",
}
APPROVER_OF_STACK: Final = " --as approver"
"""The option of `approve` that chooses a client of the local stack."""

MOST_FAILURES: Final = 5
"""The number of failed steps that stand above a run's table."""

_MOST_GATES: Final = 3  # of an approval, with a command for each

_MESSAGE_INDENT: Final = 28  # the columns before a log entry's message


def pack_title(pack: PackName | None) -> str:
    """Return a pack's name and version; empty if it is unknown."""
    return f"{pack['name']} {pack.get('version', '')}".strip() if pack else ""


def headline(run: RunState) -> Text:
    """Return a run's id, pack and status in one line."""
    parts = [Text.assemble(("run ", "dim"), text(run["runId"], "bold"))]
    if pack := pack_title(run.get("pack")):
        parts.append(text(pack))
    if word := run.get("status"):
        parts.append(status(word))
    line = Text("  ").join(parts)
    line.no_wrap, line.overflow = True, "ignore"  # only the terminal wraps it, so ids stay whole
    return line


@dataclass(frozen=True, slots=True)
class RunHistory:
    """The part of a run that only its log says.

    Args:
        decisions: who decided at its gates.
        durations: how long its steps took, by their ids; None if the log was not read.

    """

    decisions: Decisions = field(default_factory=Decisions)
    durations: Mapping[str, timedelta] | None = None


def run_view(
    run: RunState, history: RunHistory | None = None, *, lists_all: bool = False
) -> RenderableType:
    """Return a run: why it failed, its plan and its times, and its steps as a tree.

    Args:
        run: the run.
        history: what its log says, if it was read.
        lists_all: whether the steps in all iterations are listed.

    """
    history = history or RunHistory()
    decisions = history.decisions
    rows = {
        "plan": run["planHash"],
        "tenant": run.get("tenantId", ""),
        "created": created(run),
        "repeats": run.get("rerunOf", ""),
        "ended": date_time(run.get("endedAt")),
        "execution": run.get("executionUrl") or run.get("executionArn", ""),
        "cancelled": f"by {decisions.cancelled_by}" if decisions.cancelled_by else "",
    }
    steps = step_rows(run["steps"], lists_all=lists_all)
    return Group(
        headline(run),
        *failures(run, decisions),
        Facts({name: value for name, value in rows.items() if value}),
        step_table(steps, durations=history.durations, decisions=decisions.by_gate()),
        *unlisted_steps(run, len(steps)),
    )


def failures(run: RunState, decisions: Decisions, most: int = MOST_FAILURES) -> list[Text]:
    """Return the first steps that failed, and why; of a block those in it only.

    The reason of a gate is followed by who rejected it, and their words.
    """
    by_gate = decisions.by_gate()
    failed = [step for step in run["steps"] if step["status"] == "Failed"]
    parents = {step.get("parentId") for step in failed}
    inner = [step for step in failed if step["stepId"] not in parents]
    lines = []
    for step in inner[:most]:
        decided = by_gate.get(step["stepId"])
        why = (step.get("statusReason"), decided, step.get("errorMessage"))
        reason = ": ".join(part for part in why if part)
        lines.append(Text.assemble(text(f"✗ {step['stepId']}  ", "bold red"), text(reason)))
    if more := len(inner) - most:
        lines += [text(f"… and {counted(more, 'more failed step')}", "dim")] if more > 0 else []
    return lines


def unlisted_steps(run: RunState, listed: int) -> list[Text]:
    """Return how many steps of a run are not among those *listed*, and how to see them."""
    # The service too leaves out steps in iterations only.
    hidden = len(run["steps"]) - listed + run.get("stepsOmitted", 0)
    if not hidden:
        return []
    command = f"taskrunner show {run['runId']} --all"
    line = text(f"… and {counted(hidden, 'more step')} in iterations: {command}", "dim")
    line.no_wrap, line.overflow = True, "ignore"  # the command is to be copied
    return [line]


def created(run: RunState) -> str:
    """Return when a run was created, and by whom."""
    author = who(run.get("createdBy", ""), run.get("createdByName"))
    parts = [date_time(run.get("createdAt")), f"by {author}" if author else ""]
    return " ".join(part for part in parts if part)


def gate_hints(
    run: RunState, options: str = APPROVER_OF_STACK, by_gate: Collection[str] = ()
) -> list[Text]:
    """Return the command to type for each approval that the run waits for, with *options*.

    Approvals in *by_gate* have a command for each gate, up to a few.
    """
    gates: dict[str, list[str]] = {}
    for step in run["steps"]:
        if is_waiting(step) and (approval := step.get("approvalId")):
            gates.setdefault(approval, []).append(step["stepId"])
    hints: list[Text] = []
    for approval, step_ids in gates.items():
        command = f"taskrunner approve {run['runId']} {approval}"
        if approval in by_gate and len(step_ids) > 1:
            hints += _hints_by_gate(command, step_ids, options)
        else:
            hints.append(text(f"{command}{options}", "cyan"))
    return hints


def _hints_by_gate(command: str, step_ids: Sequence[str], options: str) -> Iterator[Text]:
    for step_id in step_ids[:_MOST_GATES]:
        yield text(f"{command} --step {shlex.quote(step_id)}{options}", "cyan")
    if (more := len(step_ids) - _MOST_GATES) > 0:
        yield text(f"… and {counted(more, 'more gate')}: taskrunner approvals", "dim")


def run_list(runs: Sequence[RunSummary], *, is_filtered: bool = False) -> RenderableType:
    """Return the list of runs, a row for each."""
    if not runs:
        return Text("no such runs" if is_filtered else "no runs yet", style="dim")
    table = ResultTable("run", "pack", "status", "created", "ended", "detail")
    for run in runs:
        table.add_row(
            text(run["runId"], "bold"),
            text(pack_title(run.get("pack"))),
            status(run.get("status", "")),
            date_time(run.get("createdAt")),
            date_time(run.get("endedAt")),
            text(_why(run.get("statusReason", {}))),
        )
    return table


def _why(reason: RunReason) -> str:
    """Return why a run ended or waits; empty if its summary does not say."""
    code, message = reason.get("reason", ""), reason.get("message", "")
    says_it = message.casefold().startswith(code.replace("-", " "))
    parts = (reason.get("stepId"), "" if says_it else code, message)
    return ": ".join(part for part in parts if part)


def log_line(entry: LogEntry, words: str = "") -> Text:
    """Return a log entry as text: its time, its event, its step and its message.

    Output of a step is shortened to the lines that have *words*, if some of them do.
    """
    style = _LEVEL_STYLES.get(entry["level"], "default")
    margin = Text("\n" + " " * _MESSAGE_INDENT)
    if is_output(entry):
        message = margin.join(printed_lines(entry, words))
    else:
        acted = who_and_why(entry)
        words = _named_message(entry)
        words = words.removesuffix(".") + acted if acted else words
        message = margin.join(text(line, style) for line in words.split("\n"))
    return Text.assemble(
        (clock_time(entry["timestamp"]), "dim"), "  ",
        text(f"{entry['eventType']:<16}", style), "  ",
        message,
    )  # fmt: skip


def _named_message(entry: LogEntry) -> str:
    """Return an entry's message with its step, unless it has that, and with a later attempt."""
    message, step_id = entry["message"], entry.get("stepId", "")
    attempt = entry.get("metadata", {}).get("attempt", "1")
    if entry["eventType"] == "step.started" and attempt != "1":
        message += f" (attempt {attempt})"
    is_named = not step_id or step_id in re.split(r"[\s,]+", message)
    return message if is_named else f"{step_id}: {message}"
