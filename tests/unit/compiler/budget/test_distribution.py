"""The choice of the maps that become Distributed Maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.compiler.budget.distribution import (
    MAX_PLANNED_EVENTS,
    distributed_maps,
    largest_history,
    reachable_steps,
)
from taskrunner.compiler.budget.history import body_history, iterations
from taskrunner.compiler.driver import compile_pack, plan_pack
from taskrunner.errors import InvalidPackError
from taskrunner.model.plan import MapStep
from tests.packs import pack

if TYPE_CHECKING:
    from taskrunner.model.plan import Plan

NOOP = "{id: a, run: {uses: builtin:noop}}"
EACH = f"- {{id: each, map: {{items: inputs.xs, step: {NOOP}}}}}"
XS = "inputs: [{name: xs, type: array}]"


def one_by_one(plan: Plan) -> set[str]:
    """Distribute the costliest map next until it is enough: the rule, without its short cuts."""
    distributed: set[str] = set()
    maps = [step for step in reachable_steps(plan.steps) if isinstance(step, MapStep)]
    while largest_history(plan, distributed) > MAX_PLANNED_EVENTS:
        inline = [step for step in maps if step.id not in distributed and iterations(step) > 1]
        if not inline:
            break
        costliest = max(inline, key=lambda step: (body_history(step, distributed).events, step.id))
        distributed.add(costliest.id)
    return distributed


@st.composite
def plans_of_maps(draw: st.DrawFn) -> Plan:
    """Maps beside and inside one another and in untaken branches, of few and of many items."""
    count = iter(range(100))

    def block(depth: int) -> str:
        n = next(count)
        if depth == 0 or draw(st.booleans()):
            return f"{{id: s{n}, run: {{uses: 'builtin:noop'}}}}"
        inner = ", ".join(block(depth - 1) for _ in range(draw(st.integers(1, 3))))
        kind = draw(st.sampled_from(["map", "map", "map", "loop", "conditional"]))
        if kind == "conditional":
            condition = draw(st.sampled_from(["'`true`'", "'`false`'", "run.id"]))
            return (
                f"{{id: c{n}, conditional: {{branches: [{{condition: {condition}, "
                f"steps: [{inner}]}}], else: [{block(depth - 1)}]}}}}"
            )
        end = draw(st.sampled_from([-1, 0, 1, 40, 900, 3000]))
        items = draw(st.sampled_from(["run.id", f"{{range: {{end: {end}}}}}"]))
        names = f"items: {items}, iterator: i{n}, index: j{n}"
        if kind == "loop":
            return f"{{id: l{n}, loop: {{{names}, maxIterations: 4000, body: [{inner}]}}}}"
        return f"{{id: m{n}, map: {{{names}, steps: [{inner}]}}}}"

    blocks = "\n".join(f"- {block(3)}" for _ in range(draw(st.integers(1, 4))))
    return plan_pack(pack(blocks), {})


@given(plans_of_maps())
@settings(max_examples=200)
def test_distributes_the_costliest_maps_until_it_is_enough(plan: Plan) -> None:
    assert distributed_maps(plan) == one_by_one(plan)


def test_keeps_a_map_inline_that_nothing_leads_to() -> None:
    inner = f"{{id: in, map: {{items: run.id, iterator: i, index: j, step: {NOOP}}}}}"
    empty = f"- {{id: out, map: {{items: {{static: []}}, step: {inner}}}}}"
    untaken = (
        "- {id: c, conditional: {branches: [{condition: '`true`', steps: [{id: b, "
        "run: {uses: builtin:noop}}]}], "
        f"else: [{inner}]}}}}"
    )
    many = EACH.replace("inputs.xs", "run.id").replace("id: a", "id: z")

    for text in (empty, untaken):
        assert compile_pack(pack(text), {}).distributed == frozenset()
        assert compile_pack(pack(f"{text}\n{many}"), {}).distributed == {"each"}


def test_distributes_a_map_of_ten_thousand_items_so_that_its_own_history_stays_small() -> None:
    small, large = (
        compile_pack(pack(EACH.replace("inputs.xs", f"{{range: {{end: {count - 1}}}}}")), {})
        for count in (100, 10_000)
    )

    assert small.distributed == frozenset()
    assert large.distributed == {"each"}
    assert large.budget.history_events < small.budget.history_events
    assert large.budget.state_transitions > 10_000
    assert large.budget.invocations > 10_000


UNTAKEN = f"""
- id: c
  conditional:
    branches: [{{condition: inputs.xs, steps: [{{id: b, run: {{uses: builtin:noop}}}}]}}]
    else: [{EACH.removeprefix("- ").replace("inputs.xs", "run.id")}]
"""
IN_A_LOOP = f"""
- id: l
  loop:
    items: inputs.xs
    iterator: x
    body: [{EACH.removeprefix("- ").replace("inputs.xs", "{range: {end: 30}}")}]
"""


@pytest.mark.parametrize(
    ("steps", "distributed"),
    [
        pytest.param(EACH, {"each"}, id="over inputs"),
        pytest.param(UNTAKEN, {"each"}, id="in a branch that inputs choose"),
        pytest.param(IN_A_LOOP, {"each"}, id="in a loop over inputs"),
        pytest.param(EACH.replace("inputs.xs", "'`[1, 2]`'"), set(), id="over a constant"),
        pytest.param(
            EACH.replace("inputs.xs", "{static: ['{{ inputs.xs }}', 2]}"), set(), id="over a list"
        ),
    ],
)
def test_distributes_maps_by_the_pack_and_not_by_its_inputs(
    steps: str, distributed: set[str]
) -> None:
    text = pack(steps, spec=XS)
    few, many = (compile_pack(text, {"xs": [0] * count}) for count in (0, 50))

    assert few.distributed == many.distributed == distributed
    assert few.definition_hash == many.definition_hash


@pytest.mark.parametrize(
    ("steps", "distributed"),
    [
        pytest.param('items: "`[1]`", maxParallel: "{{ inputs.n }}"', {"each"}, id="limit"),
        pytest.param('items: {range: {end: "{{ inputs.n }}"}}', {"each"}, id="range"),
        pytest.param('items: {range: {end: 9, step: "{{ length(`[1]`) }}"}}', set(), id="constant"),
    ],
)
def test_numbers_from_inputs_count_as_the_greatest(steps: str, distributed: set[str]) -> None:
    text = pack(
        f"- {{id: each, map: {{{steps}, step: {{id: leaf, run: {{uses: builtin:noop}}}}}}}}",
        spec="inputs: [{name: n, type: integer, required: true}]",
    )
    few, many = (compile_pack(text, {"n": count}) for count in (1, 50))

    assert few.distributed == many.distributed == distributed
    assert few.definition_hash == many.definition_hash


def test_refuses_ten_thousand_and_one_items() -> None:
    with pytest.raises(InvalidPackError) as refused:
        compile_pack(pack(EACH, spec=XS), {"xs": [0] * 10_001})

    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.path == "$.spec.steps[0].map.items"
    assert "10001 items are more than the 10000 iterations allowed" in diagnostic.message
