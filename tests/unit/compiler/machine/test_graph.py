"""Compiled machines are sound, and the check that says so detects every kind of damage."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine import frame
from tests import graph, strategies
from tests.golden import cases
from tests.golden.cases import GOOD, Case
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.plan import Plan

GATED = pack(
    """
    - id: build
      when: inputs.flag
      parallel: {steps: [{id: part, run: {uses: builtin:noop}}]}
    - id: review
      when: inputs.flag
      gate: {approval: {id: security}}
    - id: ship
      run: {uses: builtin:noop}
    """,
    spec="""
    inputs: [{name: flag, type: boolean, default: true}]
    approvals: [{id: security}]
    """,
)


NESTED = pack(
    """
    - id: each
      map:
        items: {static: [1, 2]}
        steps:
          - id: turns
            loop:
              items: item
              iterator: turn
              index: nr
              maxIterations: 5
              until: steps.a.outputs.x
              body:
                - {id: look, run: {uses: builtin:noop}}
                - {id: agree, when: steps.look.outputs.x, gate: {approval: {id: security}}}
                - {id: a, run: {uses: builtin:noop}}
          - id: rules
            gate:
              policy:
                policy: p
                failureAction: requestOverride
                override: {approval: security}
          - {id: b, run: {uses: builtin:noop}}
    - id: last
      gate: {approval: {id: security}}
    """,
    spec="""
    approvals: [{id: security}]
    policies: [{id: p, version: "1", uses: "lambda:window"}]
    """,
)


def machine(manifest: str = GATED) -> tuple[dict[str, Any], dict[str, Any], Plan]:
    """Return a sound machine; within it, the states of the pack; and its plan."""
    compiled = compile_pack(manifest, {})
    definition = deepcopy(compiled.definition)
    states: dict[str, Any] = definition["States"][frame.FRAME]["Branches"][0]["States"]
    return definition, states, compiled.plan


def inner_machine() -> tuple[dict[str, Any], dict[str, Any], Plan]:
    """Return a sound machine, the states in its map, and its plan."""
    definition, states, plan = machine(NESTED)
    return definition, states["each"]["ItemProcessor"]["States"], plan


@pytest.mark.parametrize("case", GOOD, ids=cases.name)
def test_the_machine_of_every_golden_pack_is_sound(case: Case) -> None:
    compiled = case.compiled()

    assert graph.problems(compiled.definition, compiled.plan) == []


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.packs(), strategies.inputs)
def test_the_machine_of_every_generated_pack_is_sound(
    manifest: dict[str, Any], inputs: dict[str, Any]
) -> None:
    compiled = compile_pack(strategies.as_yaml(manifest), inputs)

    assert graph.problems(compiled.definition, compiled.plan) == []


def repeat_a_name(definition: dict[str, Any], states: dict[str, Any]) -> None:
    states["ship"]["Next"] = "Settle run"
    states["Settle run"] = states.pop(frame.DONE)
    del definition


def rewire(name: str, **changes: Any) -> Callable[[Any, dict[str, Any]], None]:  # noqa: ANN401
    return lambda _, states: states[name].update(changes)


DAMAGE: dict[str, tuple[Callable[[Any, dict[str, Any]], object], str]] = {
    "a target that does not exist": (rewire("ship", Next="nowhere"), "leads to nowhere"),
    "a start that does not exist": (lambda _, states: states.pop("When build"), "starts at When"),
    "a state out of reach": (
        lambda _, states: states.update(lost={"Type": "Succeed"}),
        "lost is never reached",
    ),
    "a circle without an end": (rewire("ship", Next="ship"), "from ship no end is reached"),
    "a state that leads nowhere": (lambda _, states: states["ship"].pop("Next"), "leads nowhere"),
    "a name twice": (repeat_a_name, "the name Settle run is used 2 times"),
    "a name too long": (
        lambda _, states: states.update({"s" * 81: states.pop("ship")}),
        "the name has 81 characters",
    ),
    "a task without a timeout": (
        lambda _, states: states["ship"].pop("TimeoutSeconds"),
        "ship: a Task without TimeoutSeconds",
    ),
    "an error that nobody raises": (
        rewire("ship", Retry=[{"ErrorEquals": ["StepFaildError"]}]),
        "StepFaildError is neither",
    ),
    "a way around a gate": (rewire("build", Next="ship"), "ship is reached around the gate review"),
    "a choice around a gate that is not its own": (
        rewire("When build", Default="ship"),
        "ship is reached around the gate review",
    ),
    "a catch around a gate": (
        rewire("build", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "ship"}]),
        "ship is reached around the gate review",
    ),
    "a frame that does not settle": (
        lambda definition, _: (
            definition["States"][frame.FRAME].pop("Catch")
            and definition["States"][frame.FRAME].update(Next="Run failed")
        ),
        "Settle run is never reached",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_check_detects(damage: str) -> None:
    definition, states, plan = machine()
    do_damage, message = DAMAGE[damage]
    assert graph.problems(definition, plan) == []

    do_damage(definition, states)

    assert any(message in problem for problem in graph.problems(definition, plan))


def leave_early(_: dict[str, Any], states: dict[str, Any]) -> None:
    states["Again turns"]["Choices"][1]["Next"] = "Left"
    states["Left"] = {"Type": "Succeed"}


def end_before_the_gate(_: dict[str, Any], states: dict[str, Any]) -> None:
    del states["look"]["Next"]
    states["look"]["End"] = True


INNER_DAMAGE: dict[str, tuple[Callable[[Any, dict[str, Any]], object], str]] = {
    "a target in another scope": (rewire("b", Next="last"), "b leads to last, which does not"),
    "a name of another scope": (
        lambda _, states: states.update(last=states["b"]),
        "the name last is used 2 times",
    ),
    "a way around a gate in a loop": (
        rewire("look", Next="a"),
        "a is reached around the gate agree",
    ),
    "an iteration that begins behind the gate": (
        lambda _, states: states["Again turns"]["Choices"][0].update(Next="a"),
        "a is reached around the gate agree",
    ),
    "a failed turn that leads behind the gate": (
        rewire("turns", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "a"}]),
        "a is reached around the gate agree",
    ),
    "a rejection that leads on": (
        rewire("agree", Catch=[{"ErrorEquals": ["States.TaskFailed"], "Next": "a"}]),
        "a is reached though agree failed",
    ),
    "a loop that leads around what follows it": (
        lambda _, states: states["Again turns"]["Choices"][1].update(Next="b"),
        "b is reached around the gate rules",
    ),
    "an iteration that ends without its gates": (
        leave_early,
        "Left is reached around the gate rules",
    ),
    "an iteration that ends in a step before its gate": (
        end_before_the_gate,
        "look is reached around the gate rules",
    ),
    "an override that leads on after its rejection": (
        rewire("rules", Catch=[{"ErrorEquals": ["ApprovalRejectedError"], "Next": "b"}]),
        "b is reached though rules failed",
    ),
    "a gate inside that waits for ever": (
        lambda _, states: states["agree"].pop("TimeoutSeconds"),
        "agree: a Task without TimeoutSeconds",
    ),
    "a state inside out of reach": (
        lambda _, states: states.update(lost={"Type": "Succeed"}),
        "lost is never reached",
    ),
}


@pytest.mark.parametrize("damage", INNER_DAMAGE)
def test_the_check_detects_inside_blocks(damage: str) -> None:
    definition, states, plan = inner_machine()
    do_damage, message = INNER_DAMAGE[damage]
    assert graph.problems(definition, plan) == []

    do_damage(definition, states)

    assert any(message in problem for problem in graph.problems(definition, plan))


def test_the_check_detects_a_map_that_leads_around_the_gate_behind_it() -> None:
    definition, states, plan = machine(NESTED)
    states["each"]["Next"] = frame.DONE

    assert "Steps done is reached around the gate last" in graph.problems(definition, plan)


def test_the_check_looks_into_every_branch() -> None:
    definition, states, _ = machine()
    inner = {"StartAt": "inner", "States": {"inner": {"Type": "Task", "End": True}}}
    states["ship"] = {"Type": "Parallel", "Branches": [inner], "Next": frame.DONE}

    assert graph.problems(definition) == [
        "$.Pack steps[0].ship[0].inner: a Task without TimeoutSeconds"
    ]
