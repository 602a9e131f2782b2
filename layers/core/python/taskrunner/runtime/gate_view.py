"""The view of a gate for its approvers: the steps that it guards, and its findings.

The findings of a gate are the outputs of steps that its message, its policy's parameters and its
policy's rules name, with their values so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.compiler.driver import compile_plan
from taskrunner.compiler.machine.gates import guards
from taskrunner.expressions import ExpressionError, parse, templates
from taskrunner.model import plan_view
from taskrunner.model.plan import ApprovalGate, PolicyGate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from taskrunner.compiler.machine.gates import Guard
    from taskrunner.expressions import Reference
    from taskrunner.model.json_types import Json, JsonMapping, JsonObject
    from taskrunner.model.plan import Gate, Plan
    from taskrunner.runtime.run_values import RunValues

# Each gate of a plan may guard each step, and an answer has at most 6 MB.
_MAX_GUARDS_BYTES: Final = 512 * 1024
_MAX_FINDINGS: Final = 50


class _Unavailable(NamedTuple):
    """The value of an output that there is not yet."""


_UNAVAILABLE: Final = _Unavailable()


def gate_views(plan: Plan, distributed: Collection[str]) -> dict[str, JsonObject]:
    """Return the API's PlanGate of each gate of *plan*, by step id.

    *distributed* are the ids of its Distributed Maps. The steps that a gate guards are those that
    cannot be reached without passing it, as the compiler proves on the plan's machine.
    """
    found, _ = guards(compile_plan(plan, distributed), plan)
    room = _MAX_GUARDS_BYTES // max(len(found), 1)
    return {guard.step.id: _gate_view(plan, guard, room) for guard in found}


def _gate_view(plan: Plan, guard: Guard, room: int) -> JsonObject:
    gate, in_iteration = guard.step, frozenset(guard.in_iteration)
    shown = plan_view.fitting(guard.behind, room)
    approval_id = gate.approval_id if isinstance(gate, ApprovalGate) else gate.override
    view: JsonObject = {
        "stepId": gate.id,
        "kind": gate.kind.value,
        "approvalId": approval_id,
        "policyId": gate.policy_id if isinstance(gate, PolicyGate) else None,
        "guards": shown,
        "guardsOmitted": len(guard.behind) - len(shown) or None,
        "guardsInIteration": [step_id for step_id in shown if step_id in in_iteration] or None,
        "unless": guard.unless,
        "guardsNothingBecause": guard.idle,
        "findings": [".".join(reference) for reference in finding_references(plan, gate)],
    }
    return {name: value for name, value in view.items() if value is not None}


def finding_references(plan: Plan, gate: Gate) -> list[Reference]:
    """Return the step outputs that *gate* names, each once, in the order of its texts."""
    names = (
        reference
        for reference in _references(plan, gate)
        if reference[0] == "steps" and len(reference) > 1
    )
    return list(dict.fromkeys(names))[:_MAX_FINDINGS]


def _references(plan: Plan, gate: Gate) -> Iterator[Reference]:
    if isinstance(gate, ApprovalGate):
        yield from _names_in(gate.message)
        return
    yield from _names_in(plan.approval(gate.override).message if gate.override else None)
    yield from templates.references(gate.parameters)
    for rule in plan.policy(gate.policy_id).rules:
        yield from parse(rule.require).references


def _names_in(message: str | None) -> Iterable[Reference]:
    try:
        return templates.split(message or "").references
    except ExpressionError:  # braces that were no template when this plan was made
        return ()


def findings(plan: Plan, gate: Gate, prefix: str, values: RunValues) -> list[JsonObject]:
    """Return the API's Findings of the *gate* in the iteration *prefix*.

    An output that there is not yet has no value. A large value is cut.
    """
    return [_finding(reference, prefix, values) for reference in finding_references(plan, gate)]


def _finding(reference: Reference, prefix: str, values: RunValues) -> JsonObject:
    view: JsonObject = {"name": ".".join(reference)}
    try:
        value = _at(reference, values.context([reference], prefix))
    except ExpressionError:  # the expression of a loop's outputs
        return view
    if isinstance(value, _Unavailable):
        return view
    if plan_view.size_bytes(value) > plan_view.MAX_VALUE_BYTES:
        return view | {"value": plan_view.cut_text(value), "isCut": True}
    return view | {"value": value}


def _at(reference: Reference, context: JsonMapping) -> Json | _Unavailable:
    """Return the value that *reference* names, if the step has outputs that have it."""
    value: Json = context
    for name in reference:
        if not isinstance(value, dict) or name not in value:
            return _UNAVAILABLE
        value = value[name]
    return _UNAVAILABLE if value is None and reference[2:3] == ("outputs",) else value
