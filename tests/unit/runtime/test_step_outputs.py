"""The outputs of blocks, assembled from their children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.model.flow import Question
from taskrunner.model.run import StepReference
from taskrunner.runtime.run_values import RunValues
from taskrunner.usecases.decide_flow import decide_flow
from tests.packs import pack
from tests.unit.usecases.scenarios import TENANT, a_world, step

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld


def outputs(world: MemoryWorld, step_id: str) -> Any:  # noqa: ANN401 - any JSON
    snapshot = world.runs.snapshot(TENANT, "run-7")
    values = RunValues(world.plans.get(TENANT, snapshot.run.plan_hash), snapshot, world)
    return values.context([("steps", step_id, "outputs")])["steps"][step_id]["outputs"]


def ask(world: MemoryWorld, question: Question, step_id: str, prefix: str = "") -> None:
    decide_flow(StepReference(TENANT, "run-7", step_id, prefix), question, world)


def noop(step_id: str, parameters: str) -> str:
    return f"{{id: {step_id}, run: {{uses: builtin:noop, with: {{{parameters}}}}}}}"


def test_a_parallel_has_its_children_by_id_without_those_that_were_not_run() -> None:
    skipped = "{id: c, when: run.id == 'run-8', run: {uses: builtin:noop}}"
    world = a_world(
        pack(
            f"- {{id: both, parallel: {{steps: [{noop('a', 'x: 1')}, {noop('b', 'x: 2')}, "
            f"{skipped}]}}}}"
        )
    )
    step(world, "a")
    step(world, "b")
    ask(world, Question.CONDITION, "c")

    assert outputs(world, "both") == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize(
    ("union", "expected"),
    [("false", {"a": {"x": 1, "y": 1}, "b": {"y": 2}}), ("true", {"x": 1, "y": 2})],
)
def test_a_conditional_has_its_children_by_id_or_merged(union: str, expected: object) -> None:
    world = a_world(
        pack(
            f"- {{id: choice, conditional: {{outputUnion: {union}, branches: [{{condition: run.id, "
            f"steps: [{noop('a', 'x: 1, y: 1')}, {noop('b', 'y: 2')}]}}]}}}}"
        )
    )
    ask(world, Question.BRANCH, "choice")
    step(world, "a")
    step(world, "b")

    assert outputs(world, "choice") == expected


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("collect", {"results": [{"n": 0, "a": 0}, {"n": 1, "a": 1}]}),
        ("merge", {"result": {"n": 1, "a": 1}}),
        ("first", {"result": {"n": 0, "a": 0}}),
        ("last", {"result": {"n": 1, "a": 1}}),
        ("none", {}),
    ],
)
def test_a_loop_has_its_results_by_its_mode(aggregation: str, expected: object) -> None:
    world = a_world(
        pack(
            "- {id: turns, loop: {items: {range: {end: 1}}, aggregation: "
            f"""{aggregation}, body: [{noop("leaf", "n: '{{ index }}', a: '{{ item }}'")}]}}}}"""
        )
    )
    for number in (0, 1):
        step(world, "leaf", iteration=f"turns[{number}]::")

    assert outputs(world, "turns") == expected


@pytest.mark.parametrize("aggregation", ["first", "last"])
def test_a_loop_without_iterations_has_no_first_or_last_result(aggregation: str) -> None:
    world = a_world(
        pack(
            "- {id: turns, loop: {items: {static: []}, aggregation: "
            f"{aggregation}, body: [{noop('leaf', 'n: 1')}]}}}}"
        )
    )

    assert outputs(world, "turns") == {"result": None}


def test_a_loop_with_until_has_a_result_for_each_iteration_it_has_had() -> None:
    world = a_world(
        pack(
            "- {id: turns, loop: {items: {range: {end: 5}}, until: 'index == `1`', "
            f"""outputs: index, body: [{noop("leaf", "n: '{{ index }}'")}]}}}}"""
        )
    )
    for number in (0, 1):
        step(world, "leaf", iteration=f"turns[{number}]::")
        ask(world, Question.TURN, "turns", f"turns[{number}]::")

    assert outputs(world, "turns") == {"results": [0, 1]}


def test_a_skipped_block_has_no_outputs_and_a_passed_one_has_empty_ones() -> None:
    inner = noop("a", "x: 1")
    world = a_world(
        pack(
            f"""
            - {{id: skipped, when: run.id == 'run-8', parallel: {{steps: [{inner}]}}}}
            - {{id: passed, conditional: {{branches: [{{condition: run.id == 'run-8', steps: [
                {noop("b", "x: 1")}]}}]}}}}
            """
        )
    )
    ask(world, Question.CONDITION, "skipped")
    ask(world, Question.BRANCH, "passed")

    assert outputs(world, "skipped") is None
    assert outputs(world, "passed") == {}
