"""What the compiler says of gates is what happens: held against walks through the machine."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskrunner.compiler import emit, gates
from taskrunner.compiler.compiled import compile_pack
from taskrunner.model.plan import ApprovalGate, Loop, MapStep, Parallel
from tests import strategies
from tests.golden import cases
from tests.golden.cases import GOOD, Case
from tests.packs import pack
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.compiler.compiled import Compiled

APPROVALS = "approvals: [{id: a}]"
POLICIES = """
policies: [{id: p, version: "1", rules: [{id: r, require: inputs}]}]
approvals: [{id: a}]
"""


MEND = "{id: mend, run: {uses: builtin:noop}}"


class DiedError(Exception):
    """The walk ended where nothing catches."""


class Walk:
    """One execution of a machine, by chance: each Task may fail, each Choice go anywhere.

    *passed* of a state has the gates that this execution has passed, or left out by their own
    conditions, when it came there.
    """

    def __init__(self, compiled: Compiled, chance: random.Random) -> None:
        self._chance = chance
        self._steps = {step.id: step for step in compiled.plan.all_steps()}
        self._left = 300
        self.passed: dict[str, list[frozenset[str]]] = {}
        with suppress(DiedError):
            self._scope(compiled.definition, frozenset())

    def _scope(
        self, scope: dict[str, Any], passed: frozenset[str], start: str | None = None
    ) -> frozenset[str]:
        name = start or scope["StartAt"]
        while True:
            self._left -= 1
            if self._left < 0:
                raise DiedError
            self.passed.setdefault(name, []).append(passed)
            state = scope["States"][name]
            if state["Type"] in {"Succeed", "Pass"} and ("Next" not in state):
                return passed
            if state["Type"] == "Fail":
                raise DiedError
            name, passed = self._leave(name, state, passed)

    def _leave(
        self, name: str, state: dict[str, Any], passed: frozenset[str]
    ) -> tuple[str, frozenset[str]]:
        first, _, step_id = name.rpartition(" ")
        if state["Type"] == "Choice":
            target = self._chance.choice(
                [*(rule["Next"] for rule in state["Choices"]), state["Default"]]
            )
            if first in {"When", "Whether"} and target == state["Default"]:
                passed |= {step_id}
            return target, passed
        try:
            after = self._within(name, state, passed)
        except DiedError:
            if not state.get("Catch"):
                raise
            return self._caught(state), passed
        if state.get("Catch") and self._chance.random() < 0.3:
            return self._caught(state), passed
        return state["Next"], after | self._gate(first, step_id)

    def _caught(self, state: dict[str, Any]) -> str:
        target: str = self._chance.choice(state["Catch"])["Next"]
        return target

    def _gate(self, first: str, step_id: str) -> frozenset[str]:
        step = self._steps.get(step_id)
        is_gate = first == "" or (first == "Expire" and isinstance(step, ApprovalGate))
        return frozenset({step_id}) if is_gate else frozenset()

    def _within(self, name: str, state: dict[str, Any], passed: frozenset[str]) -> frozenset[str]:
        after = passed
        for branch in state.get("Branches", []):
            after |= self._scope(branch, passed)
        if "ItemProcessor" not in state:
            return after
        inner, step = state["ItemProcessor"], self._steps[name]
        if isinstance(step, Parallel):
            for rule in inner["States"][inner["StartAt"]]["Choices"]:
                after |= self._scope(inner, passed, rule["Next"])
            return after
        assert isinstance(step, MapStep | Loop)
        known = step.items.values
        for _ in range(self._chance.randint(0, 2) if known is None else min(len(known), 2)):
            after |= self._scope(inner, passed)
        return after


def holds(compiled: Compiled, walk: Walk) -> list[str]:
    """The guards that *walk* went around."""
    found, _ = gates.guards(compiled.definition, compiled.plan)
    return [
        f"{step_id} without {guard.step.id}"
        for guard in found
        for step_id in guard.behind
        for passed in walk.passed.get(step_id, [])
        if guard.step.id not in passed
    ]


@pytest.mark.parametrize("case", GOOD, ids=cases.name)
def test_no_walk_through_a_golden_pack_goes_around_a_guard(case: Case) -> None:
    compiled = case.compiled()

    for seed in range(30):
        assert holds(compiled, Walk(compiled, random.Random(seed))) == []  # noqa: S311


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.packs(), strategies.inputs, st.integers(0, 1000))
def test_whatever_the_pack_no_walk_goes_around_a_guard(
    manifest: dict[str, Any], inputs: dict[str, Any], seed: int
) -> None:
    compiled = compile_pack(strategies.as_yaml(manifest), inputs)

    for more in range(5):
        assert holds(compiled, Walk(compiled, random.Random(seed + more))) == []  # noqa: S311


def told(
    steps: str, spec: str = APPROVALS, inputs: dict[str, Any] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """What each gate guards, or why it holds nobody back; and the steps that none does."""
    compiled = compile_pack(pack(steps, spec=spec), inputs or {})
    found, free = gates.guards(compiled.definition, compiled.plan)
    return {one.step.id: one.idle or list(one.behind) for one in found}, free


def test_a_gate_guards_what_is_behind_it_and_in_that() -> None:
    assert told(
        """
        - {id: build, run: {uses: builtin:noop}}
        - {id: review, gate: {approval: {id: a}}}
        - id: both
          parallel:
            steps:
              - {id: one, run: {uses: builtin:noop}}
              - {id: two, run: {uses: builtin:noop}}
        """
    ) == ({"review": ["both", "one", "two"]}, ["build"])


@pytest.mark.parametrize("most", ["", "maxParallel: 1, "])
def test_behind_a_parallel_the_gates_of_all_its_branches_hold(most: str) -> None:
    assert told(
        f"""
        - id: both
          parallel: {{{most}steps: [
            {{id: left, gate: {{approval: {{id: a}}}}}},
            {{id: right, run: {{uses: builtin:noop}}}}]}}
        - {{id: ship, run: {{uses: builtin:noop}}}}
        """
    ) == ({"left": ["ship"]}, ["right"])


@pytest.mark.parametrize(
    ("items", "behind"),
    [("{static: [1]}", ["inner", "ship"]), ("{static: []}", ["inner"]), ("inputs.some", ["inner"])],
)
def test_behind_a_map_its_gates_hold_when_it_surely_has_items(
    items: str, behind: list[str]
) -> None:
    steps = f"""
        - id: each
          map:
            items: {items}
            steps:
              - {{id: agree, gate: {{approval: {{id: a}}}}}}
              - {{id: inner, run: {{uses: builtin:noop}}}}
        - {{id: ship, run: {{uses: builtin:noop}}}}
        """

    found, _ = told(steps, f"{APPROVALS}\ninputs: [{{name: some, type: array}}]", {"some": []})

    assert found["agree"] == behind


def test_a_gate_in_one_arm_guards_nothing_behind_the_conditional() -> None:
    assert told(
        """
        - id: which
          conditional:
            branches: [{condition: inputs, steps: [{id: review, gate: {approval: {id: a}}}]}]
        - {id: ship, run: {uses: builtin:noop}}
        """
    ) == ({"review": []}, ["ship"])


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        (
            "{id: g, continueOnError: true, gate: {approval: {id: a}}}",
            "the run goes on when it fails",
        ),
        (
            '{id: g, when: "`false`", gate: {approval: {id: a}}}',
            "its condition is false for these inputs",
        ),
        (
            "{id: g, gate: {policy: {policy: p, failureAction: warn}}}",
            "it warns, and the run goes on",
        ),
        (
            "{id: g, gate: {policy: {policy: p, failureAction: branch, branch: [" + MEND + "]}}}",
            "a failure takes its branch, and the run goes on",
        ),
    ],
)
def test_a_gate_that_lets_everybody_on_guards_nothing(gate: str, why: str) -> None:
    found, free = told(f"- {gate}\n- {{id: ship, run: {{uses: builtin:noop}}}}", POLICIES)

    assert found["g"] == why
    assert "ship" in free


def test_a_condition_that_only_the_run_can_tell_is_told() -> None:
    compiled = compile_pack(
        pack(
            """
            - {id: build, run: {uses: builtin:noop}}
            - {id: review, when: steps.build.outputs.odd, gate: {approval: {id: a}}}
            - {id: ship, run: {uses: builtin:noop}}
            """,
            spec=APPROVALS,
        ),
        {},
    )

    (guard,), free = gates.guards(compiled.definition, compiled.plan)

    assert (guard.behind, guard.unless) == (("ship",), "steps.build.outputs.odd")
    assert free == ["build"]


def test_an_override_passes_for_its_policy() -> None:
    steps = """
        - id: rules
          gate: {policy: {policy: p, failureAction: requestOverride, override: {approval: a}}}
        - {id: ship, run: {uses: builtin:noop}}
        """

    assert told(steps, POLICIES) == ({"rules": ["ship"]}, [])


GATED = pack(
    """
    - {id: review, gate: {approval: {id: a}}}
    - {id: ship, run: {uses: builtin:noop}}
    """,
    spec=APPROVALS,
)


def test_a_machine_in_which_a_gate_can_be_gone_around_is_not_let_through() -> None:
    compiled = compile_pack(GATED, {})
    definition = deepcopy(compiled.definition)
    states = definition["States"][emit.FRAME]["Branches"][0]["States"]
    states["review"]["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "ship"}]

    with pytest.raises(gates.BypassError, match="ship is reached though review failed"):
        gates.checked(definition, compiled.plan)
    assert gates.checked(compiled.definition, compiled.plan) is compiled.definition


def test_no_machine_is_made_without_the_check() -> None:
    package = ROOT / "layers/core/python/taskrunner"
    code = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))

    made = code.count("emit.machine(")

    assert made >= 2
    assert code.count("gates.checked(emit.machine(") == made


def large(step: Callable[[int], str]) -> str:
    return pack("\n".join(step(number) for number in range(700)), spec=APPROVALS)


@pytest.mark.parametrize(
    "step",
    [
        lambda number: f"- {{id: s{number}, run: {{uses: builtin:noop}}}}",
        lambda number: (
            f"- {{id: s{number}, when: inputs.x, gate: {{approval: {{id: a}}}}}}"
            if number % 2
            else f"- {{id: s{number}, when: inputs.x, run: {{uses: builtin:noop}}}}"
        ),
    ],
    ids=["steps", "gates"],
)
def test_the_check_is_a_small_part_of_compiling_a_large_pack(
    step: Callable[[int], str],
) -> None:
    manifest = large(step).replace("spec:", "spec:\n  inputs: [{name: x, type: boolean}]", 1)
    began = time.process_time()
    compiled = compile_pack(manifest, {"x": True})
    compiling_s = time.process_time() - began

    began = time.process_time()
    gates.problems(compiled.definition, compiled.plan)

    assert time.process_time() - began < compiling_s / 3
