"""The gate proof, compared with random walks through the machine."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine import frame, gates
from taskrunner.model.plan import Loop, MapStep, Parallel
from tests import strategies
from tests.golden import cases
from tests.golden.cases import GOOD, Case
from tests.packs import pack
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taskrunner.compiler.driver import CompiledPack

APPROVALS = "approvals: [{id: a}]"
POLICIES = """
policies: [{id: p, version: "1", rules: [{id: r, require: inputs}]}]
approvals: [{id: a}]
"""
REPAIR = "{id: repair, run: {uses: builtin:noop}}"


class UncaughtError(Exception):
    """The walk ended with a failure that nothing catches."""


class Walk:
    """One random execution of a machine: each Task may fail, each Choice may lead anywhere.

    *passed* has for each state the gates that this execution had passed when it came there. A gate
    that its own condition skipped counts as passed.
    """

    def __init__(self, compiled: CompiledPack, chance: random.Random) -> None:
        self._chance = chance
        self._steps = {step.id: step for step in compiled.plan.all_steps()}
        self._left = 300
        self.passed: dict[str, list[frozenset[str]]] = {}
        with suppress(UncaughtError):
            self._scope(compiled.definition, frozenset())

    def _scope(
        self, scope: dict[str, Any], passed: frozenset[str], start: str | None = None
    ) -> frozenset[str]:
        name = start or scope["StartAt"]
        while True:
            self._left -= 1
            if self._left < 0:
                raise UncaughtError
            self.passed.setdefault(name, []).append(passed)
            state = scope["States"][name]
            if state["Type"] in {"Succeed", "Pass"} and ("Next" not in state):
                return passed
            if state["Type"] == "Fail":
                raise UncaughtError
            following, passed = self._leave(name, state, passed)
            if following is None:
                return passed
            name = following

    def _leave(
        self, name: str, state: dict[str, Any], passed: frozenset[str]
    ) -> tuple[str | None, frozenset[str]]:
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
        except UncaughtError:
            if not state.get("Catch"):
                raise
            return self._caught(state), passed
        if state.get("Catch") and self._chance.random() < 0.3:
            return self._caught(state), passed
        return state.get("Next"), after | self._gate(first, step_id)

    def _caught(self, state: dict[str, Any]) -> str:
        target: str = self._chance.choice(state["Catch"])["Next"]
        return target

    def _gate(self, first: str, step_id: str) -> frozenset[str]:
        return frozenset() if first else frozenset({step_id})

    def _within(self, name: str, state: dict[str, Any], passed: frozenset[str]) -> frozenset[str]:
        after = passed
        for branch in state.get("Branches", []):
            after |= self._scope(branch, passed)
        if "ItemProcessor" not in state:
            return after
        inner, step = state["ItemProcessor"], self._steps[name]
        if step.when is not None and self._chance.random() < 0.3:
            return after
        if isinstance(step, Parallel):
            for rule in inner["States"][inner["StartAt"]]["Choices"]:
                after |= self._scope(inner, passed, rule["Next"])
            return after
        assert isinstance(step, MapStep | Loop)
        known = step.items.values
        for _ in range(self._chance.randint(0, 2) if known is None else min(len(known), 2)):
            after |= self._scope(inner, passed)
        return after


def bypasses(compiled: CompiledPack, seeds: Iterable[int]) -> list[str]:
    """Return the guards that a walk for one of *seeds* went around."""
    guards, _ = gates.guards(compiled.definition, compiled.plan)
    return [
        f"{step_id} without {guard.step.id}, for the seed {seed}"
        for seed in seeds
        for walk in [Walk(compiled, random.Random(seed))]  # noqa: S311 - no secret depends on it
        for guard in guards
        for step_id in guard.behind
        for passed in walk.passed.get(step_id, [])
        if guard.step.id not in passed
    ]


@pytest.mark.parametrize("case", GOOD, ids=cases.name)
def test_no_walk_through_a_golden_pack_bypasses_a_guard(case: Case) -> None:
    assert bypasses(case.compiled(), range(30)) == []


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.packs(), strategies.inputs, st.integers(0, 1000))
def test_no_walk_through_a_generated_pack_bypasses_a_guard(
    manifest: dict[str, Any], inputs: dict[str, Any], seed: int
) -> None:
    compiled = compile_pack(strategies.as_yaml(manifest), inputs)

    assert bypasses(compiled, range(seed, seed + 5)) == []


def guarded(
    steps: str, spec: str = APPROVALS, inputs: dict[str, Any] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return what each gate guards, or why it guards nothing, and the unguarded steps."""
    compiled = compile_pack(pack(steps, spec=spec), inputs or {})
    guards, unguarded = gates.guards(compiled.definition, compiled.plan)
    return {guard.step.id: guard.idle or list(guard.behind) for guard in guards}, unguarded


def test_a_gate_guards_the_steps_behind_it_and_inside_them() -> None:
    assert guarded(
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
def test_the_gates_of_all_branches_guard_what_is_behind_a_parallel(most: str) -> None:
    assert guarded(
        f"""
        - id: both
          parallel: {{{most}steps: [
            {{id: left, gate: {{approval: {{id: a}}}}}},
            {{id: right, run: {{uses: builtin:noop}}}}]}}
        - {{id: ship, run: {{uses: builtin:noop}}}}
        """
    ) == ({"left": ["ship"]}, ["right"])


@pytest.mark.parametrize("most", ["", "maxParallel: 1, "])
def test_a_gate_in_a_branch_guards_what_follows_in_it_and_behind_the_parallel(most: str) -> None:
    assert guarded(branches_with_a_gate(most)) == (
        {"review": ["left-2", "ship"]},
        ["left-1", "right-1", "right-2"],
    )


@pytest.mark.parametrize("most", ["", "maxParallel: 1, "])
@pytest.mark.parametrize("behind", ["left-2", "ship"])
def test_refuses_a_machine_whose_branch_goes_on_after_its_gate_has_failed(
    most: str, behind: str
) -> None:
    compiled = compile_pack(pack(branches_with_a_gate(most), spec=APPROVALS), {})
    definition = deepcopy(compiled.definition)
    both = definition["States"][frame.FRAME]["Branches"][0]["States"]["both"]
    states = (both["ItemProcessor"] if most else both["Branches"][0])["States"]
    states["Left"] = {"Type": "Succeed"}
    after = "left-2" if behind == "left-2" else "Left"
    states["review"]["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": after}]

    with pytest.raises(gates.BypassError, match=f"{behind} is reached though review failed"):
        gates.prove(definition, compiled.plan)
    gates.prove(compiled.definition, compiled.plan)


def branches_with_a_gate(most: str) -> str:
    return f"""
    - id: both
      parallel: {{{most}branches: [
        {{name: left, steps: [
          {{id: left-1, run: {{uses: builtin:noop}}}},
          {{id: review, gate: {{approval: {{id: a}}}}}},
          {{id: left-2, run: {{uses: builtin:noop}}}}]}},
        {{steps: [
          {{id: right-1, run: {{uses: builtin:noop}}}},
          {{id: right-2, run: {{uses: builtin:noop}}}}]}}]}}
    - {{id: ship, run: {{uses: builtin:noop}}}}
    """


@pytest.mark.parametrize(
    ("items", "behind"),
    [("{static: [1]}", ["inner", "ship"]), ("{static: []}", ["inner"]), ("inputs.some", ["inner"])],
)
def test_the_gates_in_a_map_guard_what_is_behind_it_when_it_surely_has_items(
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

    found, _ = guarded(steps, f"{APPROVALS}\ninputs: [{{name: some, type: array}}]", {"some": []})

    assert found["agree"] == behind


@pytest.mark.parametrize("when", ["inputs.some", "run.id"])
@pytest.mark.parametrize(
    "block",
    [
        "map: {{items: {{static: [1]}}, step: {}}}",
        "parallel: {{maxParallel: 1, steps: [{}]}}",
        "parallel: {{steps: [{}]}}",
    ],
)
def test_the_gates_in_a_block_that_may_be_skipped_guard_nothing_behind_it(
    block: str, when: str
) -> None:
    inside = block.format("{id: agree, gate: {approval: {id: a}}}")
    steps = f"""
        - {{id: each, when: {when}, {inside}}}
        - {{id: ship, run: {{uses: builtin:noop}}}}
        """

    found, unguarded = guarded(
        steps, f"{APPROVALS}\ninputs: [{{name: some, type: array}}]", {"some": []}
    )

    assert (found["agree"], unguarded) == ([], ["ship"])


def test_no_gate_of_the_steps_guards_finally_and_one_of_its_own_guards_what_follows() -> None:
    guards, unguarded = guarded(
        """
        - {id: review, gate: {approval: {id: a}}}
        - {id: ship, run: {uses: builtin:noop}}
        """,
        spec="""
        approvals: [{id: a}]
        policies: [{id: p, version: "1", rules: [{id: r, require: "run.outcome"}]}]
        finally:
          - {id: undo, run: {uses: builtin:noop}}
          - {id: check, gate: {policy: {policy: p}}}
          - {id: notify, run: {uses: builtin:noop}}
        """,
    )

    assert guards == {"review": ["ship"], "check": ["notify"]}
    assert unguarded == ["undo"]


def test_refuses_a_machine_that_runs_finally_around_its_own_gate() -> None:
    compiled = compile_pack(
        pack(
            "- {id: build, run: {uses: builtin:noop}}",
            spec="""
            policies: [{id: p, version: "1", rules: [{id: r, require: "run.outcome"}]}]
            finally:
              - {id: check, gate: {policy: {policy: p}}}
              - {id: notify, run: {uses: builtin:noop}}
            """,
        ),
        {},
    )
    states = compiled.definition["States"]["Pack steps"]["Branches"][0]["States"]
    states["Steps ended"]["Next"] = "notify"

    with pytest.raises(gates.BypassError, match="notify"):
        gates.prove(compiled.definition, compiled.plan)


def test_the_gate_of_an_iteration_guards_the_steps_of_the_same_iteration() -> None:
    compiled = compile_pack(
        pack(
            """
            - id: outer
              map:
                items: {static: [1, 2]}
                steps:
                  - id: inner
                    loop:
                      items: {static: [1]}
                      body:
                        - {id: ask, gate: {approval: {id: a}}}
                        - {id: ship, run: {uses: builtin:noop}}
                  - {id: beside, run: {uses: builtin:noop}}
            - {id: after, run: {uses: builtin:noop}}
            """,
            spec="approvals: [{id: a, scope: gate}]",
        ),
        {},
    )

    (guard,), _ = gates.guards(compiled.definition, compiled.plan)

    assert guard.in_iteration == ("ship",)
    assert guard.behind == ("ship", "beside", "after")


def test_a_gate_in_one_arm_guards_nothing_behind_the_conditional() -> None:
    assert guarded(
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
            "{id: g, gate: {policy: {policy: p, failureAction: branch, branch: [" + REPAIR + "]}}}",
            "a failure takes its branch, and the run goes on",
        ),
    ],
)
def test_a_gate_that_lets_the_run_go_on_guards_nothing(gate: str, why: str) -> None:
    found, unguarded = guarded(f"- {gate}\n- {{id: ship, run: {{uses: builtin:noop}}}}", POLICIES)

    assert found["g"] == why
    assert "ship" in unguarded


def test_reports_a_condition_that_only_the_run_knows() -> None:
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

    (guard,), unguarded = gates.guards(compiled.definition, compiled.plan)

    assert (guard.behind, guard.unless) == (("ship",), "steps.build.outputs.odd")
    assert unguarded == ["build"]


def test_an_override_counts_as_passing_its_policy() -> None:
    steps = """
        - id: rules
          gate: {policy: {policy: p, failureAction: requestOverride, override: {approval: a}}}
        - {id: ship, run: {uses: builtin:noop}}
        """

    assert guarded(steps, POLICIES) == ({"rules": ["ship"]}, [])


GATED = pack(
    """
    - {id: review, gate: {approval: {id: a}}}
    - {id: ship, run: {uses: builtin:noop}}
    """,
    spec=APPROVALS,
)


def test_refuses_a_machine_in_which_a_gate_can_be_bypassed() -> None:
    compiled = compile_pack(GATED, {})
    definition = deepcopy(compiled.definition)
    states = definition["States"][frame.FRAME]["Branches"][0]["States"]
    states["review"]["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "ship"}]

    with pytest.raises(gates.BypassError, match="ship is reached though review failed"):
        gates.prove(definition, compiled.plan)
    gates.prove(compiled.definition, compiled.plan)


def test_only_the_driver_emits_machines_and_it_proves_each() -> None:
    package = ROOT / "layers/core/python/taskrunner"
    importers = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "machine.emit import" in path.read_text(encoding="utf-8")
    ]
    driver = (package / "compiler/driver.py").read_text(encoding="utf-8")

    assert importers == ["compiler/driver.py"]
    assert driver.count("emit(plan") == driver.count("gates.prove(definition, plan)") == 1


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
def test_the_proof_takes_a_small_part_of_compiling_a_large_pack(
    step: Callable[[int], str],
) -> None:
    manifest = large(step).replace("spec:", "spec:\n  inputs: [{name: x, type: boolean}]", 1)
    compiled = compile_pack(manifest, {"x": True})

    compiling_s = shortest_s(lambda: compile_pack(manifest, {"x": True}))
    proving_s = shortest_s(lambda: gates.prove(compiled.definition, compiled.plan))

    assert proving_s < compiling_s / 3


def shortest_s(measured: Callable[[], object]) -> float:
    """Return the CPU time of the quickest of three calls; the others were disturbed."""
    times = []
    for _ in range(3):
        began = time.process_time()
        measured()
        times.append(time.process_time() - began)
    return min(times)
