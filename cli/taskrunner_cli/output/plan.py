"""The view of a plan as a tree: its steps, and what each gate guards."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType

from taskrunner_cli.api.documents import SimulatedStep, Simulation
from taskrunner_cli.output.branches import BranchLine, by_branch
from taskrunner_cli.output.formatting import status, text
from taskrunner_cli.output.gates import GateDocument, GatesDocument, gate_caveat
from taskrunner_cli.output.simulation import block_detail, plan_title_and_facts
from taskrunner_cli.output.tables import ResultTable
from taskrunner_cli.output.tree import tree_guides


def plan_view(simulation: Simulation, gates: GatesDocument) -> RenderableType:
    """Return a plan with its steps as a tree; a map or loop has the steps of one iteration."""
    guards = {gate["stepId"]: gate for gate in gates["gates"]}
    nodes = list(_nodes(simulation["steps"], 0))
    table = ResultTable("step", "kind", "status", "uses", "detail")
    depths = [depth for depth, _ in nodes]
    for guide, (_, step) in zip(tree_guides(depths), nodes, strict=True):
        if isinstance(step, BranchLine):
            table.add_row(step.label, *[""] * 4, guide=guide)
            continue
        name = step.get("templateId", step["id"])
        table.add_row(
            text(name, "bold"),
            text(step.get("kind", "")),
            status(step["status"]),
            text(step.get("uses") or step.get("approvalId") or ""),
            text(_detail(step, guards.get(name))),
            guide=guide,
        )
    unguarded = ", ".join(gates["unguarded"])
    notes = [text(f"not guarded by any gate  {unguarded}", "yellow")] if unguarded else []
    return Group(*plan_title_and_facts(simulation), table, *notes)


def _nodes(
    steps: Iterable[SimulatedStep], depth: int
) -> Iterator[tuple[int, SimulatedStep | BranchLine]]:
    for branch, lane in by_branch(steps):
        if branch is not None:
            yield depth, BranchLine(depth, branch)
        for step in lane:
            inside = depth if branch is None else depth + 1
            yield inside, step
            yield from _nodes(_first_iteration(step), inside + 1)


def _first_iteration(step: SimulatedStep) -> list[SimulatedStep]:
    """Return the steps inside *step*; of a map whose items are known, those of its first item."""
    children = step.get("children", [])
    any_iteration, first = f"{step['id']}[", f"{step['id']}[0]::"
    return [
        child
        for child in children
        if child["id"].startswith(first) or not child["id"].startswith(any_iteration)
    ]


def _detail(step: SimulatedStep, gate: GateDocument | None) -> str:
    parts = [step.get("statusReason"), step.get("gateMessage"), block_detail(step)]
    detail = ": ".join(part for part in parts if part)
    if gate is None:
        return detail
    guards = f"guards {', '.join(gate['guards']) or 'nothing'}"
    return "; ".join(part for part in (detail, gate_caveat(gate), guards) if part)
