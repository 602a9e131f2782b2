from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.compiler import budget
from taskrunner.compiler import plan as planning
from taskrunner.compiler.compiled import compile_pack
from taskrunner.errors import InvalidPackError
from taskrunner.model.plan import MapStep, Plan
from tests import graph
from tests.packs import pack


def steps(count: int, extra: str = "") -> str:
    return "\n".join(f"- {{id: s{i}, {extra}run: {{uses: builtin:noop}}}}" for i in range(count))


def events(text: str, spec: str = "") -> int:
    return compile_pack(pack(text, spec=spec), {}).budget.history_events


def refusal(manifest: str) -> list[str]:
    with pytest.raises(InvalidPackError) as refused:
        compile_pack(manifest, {})
    return [f"{one.path}: {one.message}" for one in refused.value.diagnostics]


ONE = steps(1)
APPROVALS = "approvals: [{id: r}]"


def test_a_step_costs_the_events_of_a_task_and_three_for_each_retry() -> None:
    assert events(steps(2)) - events(ONE) == 5
    assert events(steps(1, "retries: {maxAttempts: 4}, ")) - events(ONE) == 9


def test_a_condition_costs_the_events_of_a_choice() -> None:
    assert events(steps(1, "when: '`true`', ")) - events(ONE) == 2


def test_a_gate_costs_the_events_of_waiting_and_of_expiring() -> None:
    assert events(ONE + "\n- {id: g, gate: {approval: {id: r}}}", APPROVALS) - events(ONE) == 11


def test_bytes_are_those_of_the_machine_and_of_its_input() -> None:
    compiled = compile_pack(pack(ONE), {})

    assert compiled.budget.definition_bytes == len(json.dumps(compiled.definition))
    assert 200 < compiled.budget.input_bytes < 400


def test_the_step_that_breaks_the_history_limit_is_named_with_its_line() -> None:
    failure = "failure: {retries: {maxAttempts: 100}}"
    assert events(steps(79), failure) < budget.MAX_HISTORY_EVENTS

    (told,) = refusal(pack(steps(85), spec=failure))

    assert told.startswith("$.spec.steps[79]: line 86: with this step")


def test_what_comes_last_can_be_what_breaks_the_limit() -> None:
    failure = "failure: {retries: {maxAttempts: 100}}"

    (told,) = refusal(pack(steps(80), spec=failure))

    assert told.startswith("$.spec.steps[79]: line 86:")


def test_a_machine_larger_than_step_functions_takes_is_refused() -> None:
    told = refusal(pack(steps(1500)))

    assert any("split the pack" in one for one in told)


def test_an_input_larger_than_step_functions_takes_is_refused() -> None:
    compiled = compile_pack(pack(ONE), {})
    too_large = replace(compiled.budget, input_bytes=budget.MAX_INPUT_BYTES + 1)

    ((path, message),) = budget.problems(compiled.plan, too_large)

    assert path == ("spec", "steps")
    assert "use fewer conditions" in message


def test_a_pack_of_a_thousand_steps_is_planned_and_compiled() -> None:
    compiled = compile_pack(pack(steps(1000)), {})

    assert sum(1 for _ in compiled.plan.all_steps()) == 1000
    assert compiled.budget.history_events < budget.MAX_HISTORY_EVENTS
    assert compiled.budget.definition_bytes < budget.MAX_DEFINITION_BYTES
    assert graph.problems(compiled.definition) == []


def test_a_thousand_steps_may_stand_in_blocks() -> None:
    lanes = ", ".join(
        f"{{id: lane-{lane}, conditional: {{branches: [{{condition: run.id, steps: ["
        + ", ".join(f"{{id: s{lane}-{i}, run: {{uses: builtin:noop}}}}" for i in range(98))
        + "]}]}}"
        for lane in range(10)
    )
    compiled = compile_pack(
        pack(f"- {{id: all, parallel: {{maxParallel: 5, steps: [{lanes}]}}}}"), {}
    )

    assert sum(1 for _ in compiled.plan.all_steps()) == 991
    assert graph.problems(compiled.definition, compiled.plan) == []


def one_by_one(plan: Plan) -> set[str]:
    """The maps to distribute, as they are described: the costliest next, until it is enough."""
    apart: set[str] = set()
    maps = [step for step in budget._that_may_run(plan.steps) if isinstance(step, MapStep)]
    while budget._largest_history(plan, apart) > 24_000:
        inline = [one for one in maps if one.id not in apart and budget.iterations(one) > 1]
        if not inline:
            break
        apart.add(max(inline, key=lambda one: (budget._body(one, apart).events, one.id)).id)
    return apart


@st.composite
def plans_of_maps(draw: st.DrawFn) -> Plan:
    """Maps beside and in one another, and in what may not be taken, of few and of many items."""
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
    return planning.make(pack(blocks), {})


@given(plans_of_maps())
@settings(max_examples=200, deadline=None)
def test_as_many_maps_are_distributed_as_it_takes_the_costliest_first(plan: Plan) -> None:
    assert budget.distributed(plan) == one_by_one(plan)


def test_a_map_that_nothing_leads_to_stays_where_it_is() -> None:
    inner = f"{{id: in, map: {{items: run.id, iterator: i, index: j, step: {ONE[2:]}}}}}"
    empty = f"- {{id: out, map: {{items: {{static: []}}, step: {inner}}}}}"
    untaken = (
        "- {id: c, conditional: {branches: [{condition: '`true`', steps: [{id: b, "
        "run: {uses: builtin:noop}}]}], "
        f"else: [{inner}]}}}}"
    )
    many = EACH.replace("inputs.xs", "run.id")

    for text in (empty, untaken):
        assert budget.distributed(compile_pack(pack(text), {}).plan) == frozenset()
        assert budget.distributed(compile_pack(pack(f"{text}\n{many}"), {}).plan) == {"each"}


EACH = "- {id: each, map: {items: inputs.xs, step: {id: a, run: {uses: builtin:noop}}}}"
XS = "inputs: [{name: xs, type: array}]"


def test_a_map_of_ten_thousand_items_is_distributed_and_its_own_history_stays_small() -> None:
    small, large = (
        compile_pack(pack(EACH, spec=XS), {"xs": [0] * count}) for count in (100, 10_000)
    )

    assert budget.distributed(small.plan) == frozenset()
    assert budget.distributed(large.plan) == {"each"}
    assert large.budget.history_events < small.budget.history_events
    assert large.budget.state_transitions > 10_000
    assert large.budget.invocations > 10_000


def test_ten_thousand_and_one_items_are_too_many() -> None:
    with pytest.raises(InvalidPackError) as refused:
        compile_pack(pack(EACH, spec=XS), {"xs": [0] * 10_001})

    (told,) = refused.value.diagnostics
    assert told.path == "$.spec.steps[0].map.items"
    assert "10001 items are more than the 10000 iterations allowed" in told.message


def block(kind: str) -> str:
    return f"- {{id: x, {kind}}}"


A = "{id: a, run: {uses: builtin:noop}}"


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        # Beside the five events of the step inside and the two of the state at its end:
        ("parallel: {steps: [" + A + "]}", 4),
        ("parallel: {maxParallel: 1, steps: [" + A + "]}", 4 + 2 + 2),
        ("map: {items: {static: [1]}, step: " + A + "}", 4 + 2),
        ("map: {items: run.x, maxParallel: 41, step: " + A + "}", 4 + 5 - 7),
        ("loop: {items: {static: [1]}, body: [" + A + "]}", 4 + 2),
        ("loop: {items: run.id, maxIterations: 1, body: [" + A + "]}", 4 + 2 + 5),
        ("conditional: {branches: [{condition: run.id, steps: [" + A + "]}]}", 5 + 2),
        ("conditional: {branches: [{condition: '`true`', steps: [" + A + "]}]}", 2),
    ],
)
def test_a_block_costs_its_own_events_and_those_of_what_is_in_it(kind: str, more: int) -> None:
    bare = events(ONE) - 5

    assert events(block(kind).replace("run.x", "run.id")) - bare == 5 + 2 + more


def test_iterations_cost_each() -> None:
    def of(count: int) -> int:
        return events(block(f"map: {{items: {{range: {{start: 1, end: {count}}}}}, step: {A}}}"))

    assert of(3) - of(2) == of(2) - of(1) == 9


def test_a_policy_gate_costs_for_each_evaluation_and_for_what_may_follow() -> None:
    spec = "policies: [{id: p, version: '1', rules: [{id: r, require: run.id}]}]\n" + APPROVALS

    def of(more: str) -> int:
        return events(f"- {{id: g, gate: {{policy: {{policy: p{more}}}}}}}", spec)

    abort = of("")
    assert of(", retries: {count: 2}") - abort == 2 * (5 + 2 + 2)
    override = ", failureAction: requestOverride, override: {approval: r}"
    assert of(override) - abort == 11
    assert of(f", failureAction: branch, branch: [{A}]") - abort == 5 + 2


def test_a_policy_by_function_costs_what_another_does_and_may_take_longer() -> None:
    rules = "policies: [{id: p, version: '1', rules: [{id: r, require: run.id}]}]"
    function = "policies: [{id: p, version: '1', uses: 'lambda:f'}]"
    gate = "- {id: g, gate: {policy: {policy: p, retries: {count: 1, backoffSeconds: 5}}}}"

    assert events(gate, function) == events(gate, rules)
    assert budget.longest_s(compile_pack(pack(gate, spec=rules), {}).plan) == 2 * (840 + 5)
    assert budget.longest_s(compile_pack(pack(gate, spec=function), {}).plan) == 2 * (910 + 5)


def test_of_the_branches_of_a_conditional_the_costliest_counts() -> None:
    arms = "{condition: run.id, steps: [A]}, {condition: run.id, steps: [B, C]}"
    for name, text in {"A": "a", "B": "b", "C": "c"}.items():
        arms = arms.replace(f"[{name}", "[" + A.replace("id: a", f"id: {text}"))
        arms = arms.replace(f", {name}]", ", " + A.replace("id: a", f"id: {text}") + "]")
    one = events(block("conditional: {branches: [{condition: run.id, steps: [" + A + "]}]}"))

    assert events(block("conditional: {branches: [" + arms + "]}")) - one == 5
