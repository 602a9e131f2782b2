"""The table of a run's steps; the iterations of maps and loops are counted, not listed.

A map of 30 items with 4 steps each is one row with `17/30`. Below it stand only the steps that
somebody looks for: those that failed, wait for a decision or are tried again, and a few that run.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Final, NamedTuple

from rich.text import Text

from taskrunner_cli.api.documents import FINAL_STEP_STATUSES, WAITING_REASONS, Step
from taskrunner_cli.output.branches import BranchLine, with_branches
from taskrunner_cli.output.formatting import clock_time, duration, status, text
from taskrunner_cli.output.tables import ResultTable
from taskrunner_cli.output.tree import tree_guides
from taskrunner_cli.output.worker_steps import first_for_each_wait, place_of

_ITERATED_KINDS: Final = frozenset({"Map", "Loop"})
_ITERATION: Final = re.compile(r"\[(\d{1,9})\]::")
_MOST_RUNNING_ROWS: Final = 5
_MOST_DECISIONS: Final = 3  # of a map or loop
_RETRYING: Final = "retrying"
_MAX_PARALLEL: Final = {"Map": 40}  # of Step Functions' inline maps, if the pack says nothing


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step with its place in the table.

    Args:
        step: the step.
        depth: the number of blocks and branches around it.
        progress: how many iterations of a map or loop have ended; empty for other steps.

    """

    step: Step
    depth: int
    progress: str


class _Position(NamedTuple):
    """The number of blocks and branches around a step, and whether one of them iterates."""

    depth: int
    is_iterated: bool


def step_rows(steps: Sequence[Step], *, lists_all: bool = False) -> list[StepRow]:
    """Return the steps to show, in their order; with *lists_all*, all of them."""
    positions = _positions(steps)
    children: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        children[step.get("parentId", "")].append(step)
    running = {
        step["stepId"]
        for step in steps
        if step["status"] == "Running"
        and positions[step["stepId"]].is_iterated
        and step["stepId"] not in children
    }
    also_shown = running if len(running) <= _MOST_RUNNING_ROWS else set()
    also_shown |= first_for_each_wait(steps)
    rows = [
        StepRow(step, position.depth, _progress(step, children.get(step["stepId"], [])))
        for step in steps
        if not (position := positions[step["stepId"]]).is_iterated
        or lists_all
        or _matters(step)
        or step["stepId"] in also_shown
    ]
    return rows if lists_all else _failures_first(rows, positions)


def _failures_first(rows: Sequence[StepRow], positions: Mapping[str, "_Position"]) -> list[StepRow]:
    """Return *rows* with the failed steps of a map or loop before its other steps."""
    ordered: list[StepRow] = []
    for is_iterated, group in groupby(rows, lambda row: positions[row.step["stepId"]].is_iterated):
        same = list(group)
        if is_iterated:
            same.sort(key=lambda row: row.step["status"] != "Failed")
        ordered += same
    return ordered


def step_table(
    rows: Iterable[StepRow],
    *,
    durations: Mapping[str, timedelta] | None = None,
    decisions: Mapping[str, str] | None = None,
) -> ResultTable:
    """Return the table of *rows*.

    Args:
        rows: the steps.
        durations: their durations by id; None for the times of their last changes.
        decisions: who decided at a gate, by the gate's id.

    """
    time_column = "last change" if durations is None else "time"
    table = ResultTable("step", "status", "attempts", time_column, "detail")
    rows = list(rows)
    shown_decisions = _decisions_at_rows(rows, decisions or {})
    lines = list(with_branches(rows))
    for guide, row in zip(tree_guides([line.depth for line in lines]), lines, strict=True):
        if isinstance(row, BranchLine):
            table.add_row(row.label, *[""] * 4, guide=guide)
            continue
        step = row.step
        table.add_row(
            text(step["stepId"], "bold"),
            status_of(step),
            text(step.get("attempts") or ""),
            clock_time(step.get("lastTransitionAt"))
            if durations is None
            else duration(durations.get(step["stepId"])),
            text(_detail(row, shown_decisions.get(step["stepId"]))),
            guide=guide,
        )
    return table


def status_of(step: Step) -> Text:
    """Return a step's status, which looks different while it waits for a decision."""
    waits = is_waiting(step) and step["status"] in {"Pending", "Running"}
    return status(step["status"], looks_like="waiting" if waits else "")


def _decisions_at_rows(rows: Iterable[StepRow], decisions: Mapping[str, str]) -> dict[str, str]:
    """Return the decisions by the step that shows them: the gate, or the map or loop around it.

    One decision usually opens the gates of all iterations, so a map or loop has each only once.
    """
    shown = {row.step["stepId"] for row in rows}
    by_step: dict[str, dict[str, None]] = defaultdict(dict)
    for gate, words in decisions.items():
        step_id = gate
        while step_id not in shown and "[" in step_id:
            step_id = step_id.rpartition("[")[0]
        by_step[step_id][words] = None
    return {step_id: _joined(list(words)) for step_id, words in by_step.items()}


def _joined(decisions: Sequence[str]) -> str:
    listed = "; ".join(decisions[:_MOST_DECISIONS])
    more = len(decisions) - _MOST_DECISIONS
    return f"{listed}; and {more} more" if more > 0 else listed


def brought_up_to_date(steps: Sequence[Step], started: set[str], completed: set[str]) -> list[Step]:
    """Return *steps*, of which those *started* run, as do the blocks around them.

    Those *completed* have succeeded. A log that was read after the state may know of attempts, and
    of ends, that the state does not have yet.
    """
    parents = {step["stepId"]: step.get("parentId", "") for step in steps}
    running: set[str] = set()
    for step in steps:
        if step["status"] == "Pending" and (step_id := step["stepId"]) in started:
            while step_id in parents and step_id not in running:
                running.add(step_id)
                step_id = parents[step_id]
    return [
        {**step, "status": "Succeeded"}
        if step["status"] in {"Pending", "Running"} and step["stepId"] in completed
        else _started(step)
        if step["stepId"] in running
        else step
        for step in steps
    ]


def is_waiting(step: Step) -> bool:
    """Return whether a step is a gate that waits for a decision."""
    return step.get("statusReason") in WAITING_REASONS


def _started(step: Step) -> Step:
    if step["status"] != "Pending":
        return step
    step = {**step, "status": "Running"}
    step.pop("statusReason", None)
    return step


def _positions(steps: Iterable[Step]) -> dict[str, _Position]:
    """Return each step's position; a block stands before the steps in it."""
    positions: dict[str, _Position] = {}
    iterates: set[str] = set()
    for step in steps:
        parent_id = step.get("parentId", "")
        depth, is_iterated = positions.get(parent_id, _Position(-1, is_iterated=False))
        depth += 2 if "branch" in step else 1
        positions[step["stepId"]] = _Position(depth, is_iterated or parent_id in iterates)
        if step.get("kind") in _ITERATED_KINDS:
            iterates.add(step["stepId"])
    return positions


def _matters(step: Step) -> bool:
    """Return whether somebody looks for this step even in an iteration."""
    return step["status"] == "Failed" or is_waiting(step) or step.get("statusReason") == _RETRYING


def _progress(step: Step, children: Iterable[Step]) -> str:
    """Return how many iterations of a map or loop have ended, have failed and run.

    An iteration in which only a step with `continueOnError` failed has not failed.
    """
    iterations: dict[str, list[str]] = defaultdict(list)
    failed_iterations: set[str] = set()
    for child in children if step.get("kind") in _ITERATED_KINDS else ():
        if match := _ITERATION.match(child["stepId"], len(step["stepId"])):
            iterations[match[1]].append(child["status"])
            if child["status"] == "Failed" and not child.get("continueOnError"):
                failed_iterations.add(match[1])
    if "childrenOmitted" in step and step.get("counts"):
        return _counted_progress(step["counts"])
    if not iterations:
        return ""
    total = len(iterations)
    ended = sum(FINAL_STEP_STATUSES.issuperset(statuses) for statuses in iterations.values())
    failed = len(failed_iterations)
    to_come = sum({"Pending"}.issuperset(statuses) for statuses in iterations.values())
    running = total - ended - to_come
    # The service lists only the iterations that have begun of a large map or loop. Its counts have
    # all of a map; without them, there may be more if as many run as may run at a time.
    counts_all = step.get("kind") == "Map" and "counts" in step
    if counts_all:
        steps_in_one = max(len(statuses) for statuses in iterations.values())
        more_to_come = sum(step["counts"].values()) // steps_in_one - total
        total, to_come = total + max(more_to_come, 0), to_come + max(more_to_come, 0)
    most_running = step.get("maxParallel", _MAX_PARALLEL.get(step.get("kind", ""), 1))
    may_go_on = running and not to_come and running >= most_running
    more = "+" if may_go_on and not counts_all else ""
    parts = [f"{ended}/{total}{more}"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{running} running"] if running else []
    return ", ".join(parts)


def _counted_progress(counts: Mapping[str, int]) -> str:
    """Return how many of all steps in a large block have ended, have failed and run."""
    total = sum(counts.values())
    ended = sum(counts.get(status, 0) for status in FINAL_STEP_STATUSES)
    failed, running = counts.get("Failed", 0), counts.get("Running", 0)
    parts = [f"{ended}/{total} steps"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{running} running"] if running else []
    return ", ".join(parts)


def _detail(row: StepRow, decision: str | None) -> str:
    """Return the step's progress, the reason for its status, its messages and its next attempt."""
    step = row.step
    next_attempt = step.get("nextAttemptAt")
    parts = [
        step.get("phase"),
        row.progress,
        step.get("statusReason"),
        place_of(step),
        decision,
        step.get("gateMessage") if is_waiting(step) else step.get("errorMessage"),
        f"next try {clock_time(next_attempt)}" if next_attempt else None,
    ]
    return ": ".join(part for part in parts if part)
