"""The view of a simulation: the plan's steps, its approvals, its budget and its outputs."""

from collections.abc import Iterable
from typing import Final

from rich.console import Group, RenderableType

from taskrunner_cli.api.documents import (
    Budget,
    LoopInfo,
    MapInfo,
    SimulatedOutput,
    SimulatedStep,
    Simulation,
)
from taskrunner_cli.output.branches import BranchLine, by_branch
from taskrunner_cli.output.formatting import status, text
from taskrunner_cli.output.runs import pack_title
from taskrunner_cli.output.tables import Facts, ResultTable
from taskrunner_cli.output.wording import retries_in_words

_MOST_CHARACTERS: Final = 60  # of what a loop goes over


def simulation_view(simulation: Simulation) -> RenderableType:
    """Return a plan with its steps, a row for each."""
    table = ResultTable("step", "kind", "status", "uses", "detail")
    _add_steps(table, simulation["steps"], depth=0)
    return Group(*plan_title_and_facts(simulation), table)


def plan_title_and_facts(simulation: Simulation) -> list[RenderableType]:
    """Return a plan's pack, its hash, whether it needs approvals, its budget and its outputs."""
    facts = Facts()
    facts.add_row("plan", text(simulation["planHash"]))
    if (needs_approval := simulation.get("hasPendingApprovals")) is not None:
        facts.add_row("approvals", "required" if needs_approval else "none")
    if (budget := simulation.get("budget")) is not None:
        facts.add_row("at most", text(_budget(budget)))
    for output in simulation.get("outputs", []):
        facts.add_row("output", text(_output(output)))
    title = pack_title(simulation.get("pack"))
    return [*([text(title, "bold")] if title else []), facts]


def _add_steps(table: ResultTable, steps: Iterable[SimulatedStep], *, depth: int) -> None:
    for branch, lane in by_branch(steps):
        if branch is not None:
            line = BranchLine(depth, branch)
            table.add_row(line.label, *[""] * 4, guide="  " * depth)
        for step in lane:
            _add_step(table, step, depth=depth if branch is None else depth + 1)


def _add_step(table: ResultTable, step: SimulatedStep, *, depth: int) -> None:
    detail = (step.get("statusReason"), step.get("gateMessage"), block_detail(step))
    table.add_row(
        text(step["id"], "bold"),
        text(step.get("kind", "")),
        status(step["status"]),
        text(step.get("uses") or step.get("approvalId") or ""),
        text(": ".join(part for part in detail if part)),
        guide="  " * depth,
    )
    _add_steps(table, step.get("children", []), depth=depth + 1)


def block_detail(step: SimulatedStep) -> str:
    """Return the items, conditions, policy, parallelism and retries of a step, if it has them."""
    parts: list[str] = [step["phase"]] if "phase" in step else []
    if (map_info := step.get("mapInfo")) is not None:
        parts += [_map_items(map_info), map_info.get("mode", ""), _fail_fast(map_info)]
    if (loop_info := step.get("loopInfo")) is not None:
        parts += [_over(loop_info.get("itemsExpression")), loop_info.get("aggregationMode", "")]
        parts.append(_fail_fast(loop_info))
    if (conditional_info := step.get("conditionalInfo")) is not None:
        parts += [branch.get("condition", "") for branch in conditional_info.get("branches", [])]
    if (policy := step.get("policyInfo")) is not None:
        parts.append(f"{policy.get('policyId', '')} {policy.get('policyVersion', '')}".strip())
        if action := policy.get("failureAction"):
            parts.append(f"otherwise {action}")
    if (max_parallel := step.get("maxParallel")) is not None:
        parts.append(f"{max_parallel} at a time")
    if (retries := step.get("retries")) is not None:
        parts.append(retries_in_words(retries))
    return ", ".join(part for part in parts if part)


def _map_items(info: MapInfo) -> str:
    count = info.get("itemCount")
    return _over(info.get("itemsExpression")) if count is None else f"{count} items"


def _fail_fast(info: MapInfo | LoopInfo) -> str:
    """Return what a failure does to the remaining items, where continueOnError does not say it."""
    fail_fast = info.get("failFast")
    if fail_fast is None:
        return ""
    return "stops at a failure" if fail_fast else "runs all items, then fails"


def _over(expression: str | None) -> str:
    """Return where items come from, in one line also if it is a list of all of them."""
    if not expression:
        return ""
    is_long = len(expression) > _MOST_CHARACTERS
    return f"over {expression[: _MOST_CHARACTERS - 1]}…" if is_long else f"over {expression}"


def _budget(budget: Budget) -> str:
    parts = []
    if (transitions := budget.get("stateTransitions")) is not None:
        parts.append(f"{transitions} transitions")
    if (events := budget.get("historyEvents")) is not None:
        parts.append(f"{events} history events")
    if (invocations := budget.get("invocations")) is not None:
        parts.append(f"{invocations} invocations")
    if (cost := budget.get("estimatedCostUsd")) is not None:
        parts.append(f"{cost:.4f} USD")
    return ", ".join(parts)


def _output(output: SimulatedOutput) -> str:
    kind = output.get("type")
    return f"{output['name']} ({kind})" if kind else output["name"]
