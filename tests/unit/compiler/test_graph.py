"""Compiled machines are sound, and the check that says so detects every kind of damage."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from taskrunner.compiler import emit
from taskrunner.compiler.compiled import compile_pack
from tests import graph, strategies
from tests.packs import pack
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

MACHINES = sorted((ROOT / "tests/golden/packs").glob("*.machine.json"))
FUNCTIONS = ("RunStepFunctionArn", "OpenGateFunctionArn", "SettleRunFunctionArn")
BOUND = {name: f"arn:aws:lambda:eu-central-1:123456789012:function:{name}" for name in FUNCTIONS}
GATED = pack(
    """
    - id: build
      when: inputs.flag
      run: {uses: builtin:noop}
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


def machine() -> tuple[dict[str, Any], dict[str, Any]]:
    """A sound machine and, within it, the states of the pack."""
    definition = deepcopy(compile_pack(GATED, {}).definition)
    states: dict[str, Any] = definition["States"][emit.FRAME]["Branches"][0]["States"]
    return definition, states


def named(path: Path) -> str:
    return path.name.split(".")[0]


@pytest.mark.parametrize("path", MACHINES, ids=named)
def test_a_recorded_machine_is_sound(path: Path) -> None:
    assert graph.problems(json.loads(path.read_text(encoding="utf-8"))) == []


@settings(max_examples=60, deadline=None)
@given(strategies.packs(), strategies.inputs)
def test_whatever_the_pack_its_machine_is_sound(
    manifest: dict[str, Any], inputs: dict[str, Any]
) -> None:
    compiled = compile_pack(strategies.as_yaml(manifest), inputs)

    assert graph.problems(compiled.definition) == []


def repeat_a_name(definition: dict[str, Any], states: dict[str, Any]) -> None:
    states["ship"]["Next"] = "Settle run"
    states["Settle run"] = states.pop(emit.DONE)
    states["review"]["Catch"][0]["Next"] = states["When review"]["Default"] = "ship"
    states["Expire review"]["Next"] = "ship"
    del definition


def cut(name: str, **changes: Any) -> Callable[[Any, dict[str, Any]], None]:  # noqa: ANN401
    return lambda _, states: states[name].update(changes)


DAMAGE: dict[str, tuple[Callable[[Any, dict[str, Any]], object], str]] = {
    "a target that does not exist": (cut("ship", Next="nowhere"), "leads to nowhere"),
    "a start that does not exist": (lambda _, states: states.pop("When build"), "starts at When"),
    "a state out of reach": (
        lambda _, states: states.update(lost={"Type": "Succeed"}),
        "lost is never reached",
    ),
    "a circle without an end": (cut("ship", Next="ship"), "from ship no end is reached"),
    "a state that leads nowhere": (lambda _, states: states["ship"].pop("Next"), "leads nowhere"),
    "a name twice": (repeat_a_name, "the name Settle run stands 2 times"),
    "a name too long": (
        lambda _, states: states.update({"s" * 81: states.pop("ship")}),
        "the name has 81 characters",
    ),
    "a task without a timeout": (
        lambda _, states: states["ship"].pop("TimeoutSeconds"),
        "ship: a Task without TimeoutSeconds",
    ),
    "an error that nobody raises": (
        cut("ship", Retry=[{"ErrorEquals": ["StepFaildError"]}]),
        "StepFaildError is no error",
    ),
    "a way around a gate": (cut("build", Next="ship"), "ship is reached around the gate review"),
    "a choice around a gate that is not its own": (
        cut("When build", Default="ship"),
        "ship is reached around the gate review",
    ),
    "a catch around a gate": (
        cut("build", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "ship"}]),
        "ship is reached around the gate review",
    ),
    "a frame that does not settle": (
        lambda definition, _: (
            definition["States"][emit.FRAME].pop("Catch")
            and definition["States"][emit.FRAME].update(Next="Run failed")
        ),
        "Settle run is never reached",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_check_detects(damage: str) -> None:
    definition, states = machine()
    do_damage, told = DAMAGE[damage]
    assert graph.problems(definition) == []

    do_damage(definition, states)

    assert any(told in problem for problem in graph.problems(definition))


def test_the_check_looks_into_every_branch() -> None:
    definition, states = machine()
    inner = {"StartAt": "inner", "States": {"inner": {"Type": "Task", "End": True}}}
    states["ship"] = {"Type": "Parallel", "Branches": [inner], "Next": emit.DONE}

    assert graph.problems(definition) == [
        "$.Pack steps[0].ship[0].inner: a Task without TimeoutSeconds"
    ]


def test_a_gate_may_be_passed_by_its_own_condition_alone() -> None:
    _, states = machine()

    assert graph.gates(states) == ["review"]
    assert "ship" in graph.reachable("When build", states, passing_not=["review"])
    assert "ship" not in graph.reachable(
        "When build", states, passing_not=["review", "When review"]
    )


def test_statelint_accepts_every_recorded_machine() -> None:
    command = [sys.executable, "-m", "statelint", "--ignore=FLOAT", *map(str, MACHINES)]

    linted = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603

    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_cloudformations_linter_accepts_every_recorded_machine(tmp_path: Path) -> None:
    for path in MACHINES:
        definition = emit.bind(json.loads(path.read_text(encoding="utf-8")), BOUND)
        properties = {"RoleArn": "arn:aws:iam::123456789012:role/pack", "Definition": definition}
        resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
        template = {"Resources": {"Machine": resource}}
        (tmp_path / f"{named(path)}.json").write_text(json.dumps(template), encoding="utf-8")
    cfn_lint = Path(sys.executable).with_name("cfn-lint")
    command = [str(cfn_lint), "--regions", "eu-central-1", "--"]

    linted = subprocess.run(  # noqa: S603
        [*command, *map(str, tmp_path.glob("*.json"))], capture_output=True, text=True, check=False
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr
