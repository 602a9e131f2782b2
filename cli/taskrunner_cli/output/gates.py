"""The view of a pack's gates: the steps that each gate guards."""

from typing import NotRequired, TypedDict

from rich.console import Group, RenderableType
from rich.text import Text

from taskrunner_cli.api.documents import PackName
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.tables import ResultTable


class GateDocument(TypedDict):
    """A gate, and the ids of the steps that cannot be reached without passing it.

    `inIteration` has those in the map or loop around it: the gate of an iteration guards the steps
    of the same iteration. `unless` is the gate's `when`, if only the run can evaluate it. `idle` is
    the reason why the gate guards nothing.
    """

    stepId: str
    kind: str
    guards: list[str]
    approvalId: NotRequired[str]
    policyId: NotRequired[str]
    inIteration: NotRequired[list[str]]
    unless: NotRequired[str]
    idle: NotRequired[str]


class GatesDocument(TypedDict):
    """A pack's gates, and the ids of the `run` steps that no gate guards."""

    pack: PackName
    planHash: str
    gates: list[GateDocument]
    unguarded: list[str]


def gates_view(document: GatesDocument) -> RenderableType:
    """Return a pack's gates, a row for each, and the steps without a gate."""
    step_ids = ", ".join(document["unguarded"])
    unguarded = (
        Text.assemble(("not guarded by any gate  ", "yellow"), text(step_ids))
        if step_ids
        else Text()
    )
    if not document["gates"]:
        return Group(Text("the pack has no gates", style="dim"), unguarded)
    table = ResultTable("gate", "passes by", "cannot be reached without it", "")
    for gate in document["gates"]:
        table.add_row(
            text(gate["stepId"], "bold"),
            text(_passes_by(gate)),
            text(_guarded(gate) or "nothing"),
            text(gate_caveat(gate), "yellow"),
        )
    return Group(table, unguarded)


def _guarded(gate: GateDocument) -> str:
    in_iteration = gate.get("inIteration", [])
    outside = ", ".join(step_id for step_id in gate["guards"] if step_id not in in_iteration)
    inside = f"{', '.join(in_iteration)} of the same iteration" if in_iteration else ""
    return "; ".join(filter(None, [inside, outside]))


def _passes_by(gate: GateDocument) -> str:
    parts = []
    if "policyId" in gate:
        parts.append(f"policy {gate['policyId']}")
    if "approvalId" in gate:
        parts.append(f"approval {gate['approvalId']}")
    return " or ".join(parts)


def gate_caveat(gate: GateDocument) -> str:
    """Return why a gate guards nothing, or when it is skipped; empty if it always guards."""
    if "idle" in gate:
        return gate["idle"]
    return f"skipped unless {gate['unless']}" if "unless" in gate else ""
