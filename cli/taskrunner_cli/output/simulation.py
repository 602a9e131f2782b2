"""The view of a simulation: the plan's steps, its approvals, its budget and its outputs."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table

from taskrunner_cli.api.documents import Budget, MapInfo, SimulatedStep, Simulation
from taskrunner_cli.output.formatting import status, text
from taskrunner_cli.output.runs import pack_title
from taskrunner_cli.output.tables import new_facts, new_table


def simulation_view(simulation: Simulation) -> RenderableType:
    """Return a plan with its steps, a row for each."""
    facts = new_facts()
    facts.add_row("plan", text(simulation["planHash"]))
    facts.add_row("approvals", "required" if simulation["hasPendingApprovals"] else "none")
    if (budget := simulation.get("budget")) is not None:
        facts.add_row("at most", text(_budget(budget)))
    for output in simulation["outputs"]:
        facts.add_row("output", text(f"{output['name']} ({output['type']})"))
    table = new_table("step", "kind", "status", "uses", "detail")
    _add_steps(table, simulation["steps"], depth=0)
    return Group(text(pack_title(simulation.get("pack")), "bold"), facts, table)


def _add_steps(table: Table, steps: Iterable[SimulatedStep], *, depth: int) -> None:
    for step in steps:
        detail = (step.get("statusReason"), step.get("gateMessage"), _block_detail(step))
        table.add_row(
            text("  " * depth + step["id"], "bold"),
            text(step["kind"]),
            status(step["status"]),
            text(step.get("uses") or step.get("approvalId") or ""),
            text(": ".join(part for part in detail if part)),
        )
        _add_steps(table, step["children"], depth=depth + 1)


def _block_detail(step: SimulatedStep) -> str:
    """Return the items, conditions, policy and parallelism of a step, as far as it has them."""
    parts: list[str] = []
    if (map_info := step.get("mapInfo")) is not None:
        parts += [_map_items(map_info), map_info["mode"]]
    if (loop_info := step.get("loopInfo")) is not None:
        parts.append(f"over {loop_info['itemsExpression']}, {loop_info['aggregationMode']}")
    if (conditional_info := step.get("conditionalInfo")) is not None:
        parts += [branch["condition"] for branch in conditional_info["branches"]]
    if (policy := step.get("policyInfo")) is not None:
        policy_name = f"{policy['policyId']} {policy['policyVersion']}"
        parts.append(f"{policy_name}, otherwise {policy['failureAction']}")
    if (max_parallel := step.get("maxParallel")) is not None:
        parts.append(f"{max_parallel} at a time")
    return ", ".join(parts)


def _map_items(info: MapInfo) -> str:
    count = info.get("itemCount")
    return f"over {info.get('itemsExpression')}" if count is None else f"{count} items"


def _budget(budget: Budget) -> str:
    transitions, cost = budget["stateTransitions"], budget["estimatedCostUsd"]
    return f"{transitions} transitions, {budget['historyEvents']} history events, {cost:.4f} USD"
