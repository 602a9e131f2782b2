"""The outputs of a block, as a later step reads them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from tests.machine.runs import outputs, run, statuses
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine


SEEN = """
- {id: seen, run: {uses: builtin:noop, with: {it: "{{ steps.block.outputs }}"}}}
"""


def seen(ana: Client, block: str, spec: str = "", **inputs: Any) -> Any:  # noqa: ANN401 - any JSON
    """Run the block called `block`, and return what a later step reads as its outputs."""
    state = run(ana, pack(_list(block) + SEEN, spec=spec), **inputs)
    assert state["status"] == "succeeded", statuses(state)
    return outputs(ana, state, "seen")["it"]


def _list(steps: str) -> str:
    return textwrap.dedent(steps).strip("\n") + "\n"


@pytest.mark.parametrize("limit", ["", "maxParallel: 1"])
def test_a_parallel_outputs_what_its_children_output_by_id(ana: Client, limit: str) -> None:
    block = f"""
    - id: block
      parallel:
        {limit}
        steps:
          - {{id: left, run: {{uses: builtin:noop, with: {{x: 1}}}}}}
          - {{id: right, run: {{uses: builtin:noop, with: {{y: 2}}}}}}
          - {{id: never, when: "`false`", run: {{uses: builtin:noop}}}}
    """
    assert seen(ana, block) == {"left": {"x": 1}, "right": {"y": 2}}


def test_a_block_outputs_its_nested_blocks_unless_they_were_skipped(
    ana: Client,
) -> None:
    block = """
    - id: block
      parallel:
        steps:
          - {id: none, map: {items: "`[]`", step: {id: a, run: {uses: builtin:noop}}}}
          - id: skipped
            when: "`false`"
            map: {items: "['x']", step: {id: b, run: {uses: builtin:noop}}}
          - id: some
            loop: {items: {static: [1]}, body: [{id: c, run: {uses: builtin:noop, with: {z: 3}}}]}
    """
    assert seen(ana, block) == {
        "none": {"results": [], "statuses": []},
        "some": {"results": [{"z": 3}]},
    }


@pytest.mark.parametrize(
    ("union", "expected"),
    [("false", {"a": {"x": 1, "y": 1}, "b": {"y": 2}}), ("true", {"x": 1, "y": 2})],
)
def test_a_conditional_outputs_what_ran_by_id_or_merged(
    ana: Client, union: str, expected: dict[str, Any]
) -> None:
    block = f"""
    - id: block
      conditional:
        outputUnion: {union}
        branches:
          - condition: inputs.no
            steps: [{{id: other, run: {{uses: builtin:noop, with: {{z: 1}}}}}}]
          - condition: "`true`"
            steps:
              - {{id: a, run: {{uses: builtin:noop, with: {{x: 1, y: 1}}}}}}
              - {{id: b, run: {{uses: builtin:noop, with: {{y: 2}}}}}}
    """
    assert seen(ana, block, spec="inputs: [{name: no, type: boolean}]") == expected


def test_a_map_outputs_what_its_last_step_outputs_in_item_order(ana: Client) -> None:
    block = """
    - id: block
      map:
        items: "['c', 'a', 'b']"
        steps:
          - {id: one, run: {uses: builtin:noop, with: {not: this}}}
          - {id: two, run: {uses: builtin:noop, with: {own: "{{ item }}{{ index }}"}}}
    """
    assert seen(ana, block) == {
        "results": [{"own": "c0"}, {"own": "a1"}, {"own": "b2"}],
        "statuses": ["Succeeded"] * 3,
    }


def test_a_map_outputs_null_for_an_item_whose_last_step_did_not_run(ana: Client) -> None:
    block = """
    - id: block
      map:
        items: "[`1`, `2`]"
        steps:
          - {id: one, run: {uses: builtin:noop, with: {x: "{{ item }}"}}}
          - id: two
            when: item == `2`
            parallel: {steps: [{id: in, run: {uses: builtin:noop}}]}
    """
    assert seen(ana, block)["results"] == [None, {"in": {}}]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("collect", {"results": [{"n": 1, "k1": 1}, {"n": 2, "k2": 2}]}),
        ("merge", {"result": {"n": 2, "k1": 1, "k2": 2}}),
        ("last", {"result": {"n": 2, "k2": 2}}),
        ("first", {"result": {"n": 1, "k1": 1}}),
        ("none", {}),
    ],
)
@pytest.mark.parametrize("ending", ["", "until: '`false`'"])
def test_a_loop_aggregates_the_values_of_its_iterations(
    ana: Client, mode: str, ending: str, expected: dict[str, Any]
) -> None:
    block = f"""
    - id: block
      loop:
        items: {{static: [{{n: 1, k1: 1}}, {{n: 2, k2: 2}}]}}
        aggregation: {mode}
        {ending}
        outputs: item
        body: [{{id: turn, run: {{uses: builtin:noop, with: {{not: this}}}}}}]
    """
    assert seen(ana, block) == expected


@pytest.mark.parametrize("ending", ["", "until: '`false`'"])
@pytest.mark.parametrize(
    ("aggregation", "value", "message"),
    [
        ("merge", "item", "the value of iteration 0 must be an object to be merged, not a number"),
        ("collect", "keys(item)", "the outputs of iteration 0: 'keys(item)' "),
    ],
)
def test_a_loop_fails_by_outputs_that_it_cannot_have(
    ana: Client, aggregation: str, value: str, message: str, ending: str
) -> None:
    block = f"""
    - id: block
      loop:
        items: {{static: [1, 2]}}
        aggregation: {aggregation}
        {ending}
        outputs: {value}
        body: [{{id: turn, run: {{uses: builtin:noop}}}}]
    """
    state = run(ana, pack(_list(block) + SEEN))

    assert state["status"] == "failed"
    ends = statuses(state)
    assert ends["block"] == "Failed executor-error"
    assert ends["block[1]::turn"] == "Succeeded"
    assert ends["seen"] == "Skipped run-failed"
    (failed,) = (step for step in state["steps"] if step["stepId"] == "block")
    assert failed["errorMessage"].startswith(message)


def test_what_follows_a_loop_that_may_fail_finds_no_outputs(ana: Client) -> None:
    block = """
    - id: block
      continueOnError: true
      loop:
        items: {static: [1]}
        aggregation: merge
        outputs: item
        body: [{id: turn, run: {uses: builtin:noop}}]
    """
    state = run(ana, pack(_list(block) + SEEN))

    assert state["status"] == "succeeded"
    assert statuses(state)["block"] == "Failed executor-error"
    assert outputs(ana, state, "seen") == {"it": None}


@pytest.mark.parametrize(
    "block",
    [
        """
        - id: block
          loop:
            items: {static: [1]}
            aggregation: merge
            body: [{id: a, run: {uses: lambda:five}}]
        """,
        """
        - id: block
          conditional:
            outputUnion: true
            branches: [{condition: "`true`", steps: [{id: a, run: {uses: lambda:five}}]}]
        """,
    ],
)
def test_a_block_fails_that_would_merge_what_is_no_object(
    ana: Client, engine: Engine, block: str
) -> None:
    engine.functions["five"] = lambda _payload: 5

    state = run(ana, pack(_list(block) + SEEN))

    assert state["status"] == "failed"
    assert statuses(state)["block"] == "Failed executor-error"


def test_an_iterations_value_may_be_an_expression_over_its_steps(ana: Client) -> None:
    block = """
    - id: block
      loop:
        items: {range: {start: 5, end: 1, step: -2}}
        outputs: "{at: index, twice: [item, steps.turn.outputs.n]}"
        body: [{id: turn, run: {uses: builtin:noop, with: {n: "{{ item }}"}}}]
    """
    assert seen(ana, block) == {
        "results": [{"at": i, "twice": [n, n]} for i, n in enumerate((5, 3, 1))]
    }


def test_first_and_last_of_no_iterations_are_null(ana: Client) -> None:
    block = """
    - id: block
      loop:
        items: inputs.items
        aggregation: last
        body: [{id: turn, run: {uses: builtin:noop}}]
    """
    assert seen(ana, block, spec="inputs: [{name: items, type: array, default: []}]") == {
        "result": None
    }


def test_a_block_skipped_at_planning_has_no_outputs(ana: Client) -> None:
    block = """
    - id: block
      when: inputs.go
      map: {items: "[`1`]", step: {id: one, run: {uses: builtin:noop}}}
    """
    assert seen(ana, block, spec="inputs: [{name: go, type: boolean, default: false}]") is None


def test_a_block_skipped_at_run_time_has_no_outputs(ana: Client) -> None:
    block = """
    - {id: zero, run: {uses: builtin:noop}}
    - id: block
      when: steps.zero.outputs.go
      parallel: {steps: [{id: one, run: {uses: builtin:noop}}]}
    """
    assert seen(ana, block) is None


MIXED = """
- id: block
  continueOnError: true
  map:
    items: {static: [good, bad, skipped]}
    OUTPUTS
    steps:
      - id: work
        when: "item != 'skipped'"
        run: {uses: "builtin:noop", with: {item: "{{ item }}"}}
      - id: judge
        when: "item != 'skipped'"
        run: {uses: builtin:assert, with: {that: "{{ item == 'good' }}"}}
"""


@pytest.mark.parametrize("inside", ["", "gate"])
def test_a_map_outputs_how_each_item_ended(ana: Client, inside: str) -> None:
    """A gate and a block have no outcome of their own, so their journal is read."""
    block = MIXED.replace("    OUTPUTS\n", "")
    if inside:
        block += "      - {id: rules, when: \"item != 'skipped'\", gate: {policy: {policy: p}}}\n"
    spec = "policies: [{id: p, version: '1', rules: [{id: r, require: item == 'good'}]}]"

    read = seen(ana, block, spec=spec if inside else "")

    assert read["statuses"] == ["Succeeded", "Failed", "Skipped"]
    assert len(read["results"]) == 3


def test_a_map_outputs_the_value_of_its_expression_for_every_item(ana: Client) -> None:
    value = "outputs: '{nr: index, work: steps.work.outputs.item, judge: steps.judge.status}'"

    read = seen(ana, MIXED.replace("OUTPUTS", value))

    assert read["results"] == [
        {"nr": 0, "work": "good", "judge": "Succeeded"},
        {"nr": 1, "work": "bad", "judge": "Failed"},
        {"nr": 2, "work": None, "judge": "Skipped"},
    ]


@pytest.mark.parametrize("distributed", ["", "maxParallel: 41, "])
def test_a_map_fails_where_its_expression_cannot_be_evaluated(
    ana: Client, distributed: str
) -> None:
    block = f"""
    - id: block
      map:
        {{{distributed}items: {{static: [a]}}, outputs: abs(steps.work.outputs.item), step: WORK}}
    """.replace("WORK", '{id: work, run: {uses: "builtin:noop", with: {item: "{{ item }}"}}}')
    state = run(ana, pack(_list(block) + SEEN))

    assert statuses(state)["block"] == "Failed executor-error"
    assert statuses(state)["block[0]::work"] == "Succeeded"
    message = next(step for step in state["steps"] if step["stepId"] == "block")["errorMessage"]
    assert "the outputs of iteration 0" in message


@pytest.mark.parametrize("read", ["outputs", "outputs.statuses"])
def test_a_map_keeps_its_statuses_when_an_items_value_cannot_be_evaluated(
    ana: Client, read: str
) -> None:
    steps = MIXED.replace("OUTPUTS", "outputs: \"abs(item == 'good' && 'x' || `1`)\"")
    steps += f"""
- {{id: seen, run: {{uses: builtin:noop, with: {{it: "{{{{ steps.block.{read} }}}}"}}}}}}
"""
    state = run(ana, pack(steps))

    assert state["status"] == "succeeded", statuses(state)
    assert statuses(state)["block"] == "Failed executor-error"
    found = outputs(ana, state, "seen")["it"]
    ends = ["Succeeded", "Failed", "Skipped"]
    assert found == (ends if read.endswith("statuses") else {"results": None, "statuses": ends})


def test_items_that_a_failure_stopped_are_skipped(ana: Client) -> None:
    steps = """
    - id: around
      continueOnError: true
      conditional:
        branches:
          - condition: run.id != ''
            steps:
              - id: block
                map:
                  items: {range: {end: 4}}
                  maxParallel: 1
                  step: {id: work, run: {uses: builtin:assert, with: {that: CONDITION}}}
    - {id: seen, run: {uses: builtin:noop, with: {it: "{{ steps.block.outputs.statuses }}"}}}
    """
    condition = '"{{ item == `0` }}"'
    state = run(ana, pack(_list(steps.replace("CONDITION", condition))))

    assert outputs(ana, state, "seen")["it"][:2] == ["Succeeded", "Failed"]
    assert set(outputs(ana, state, "seen")["it"][2:]) == {"Skipped"}


FAILED = "Failed executor-error"
SIDE_BY_SIDE = """
- {id: zero, run: {uses: builtin:noop, with: {list: [1, 2], text: x}}}
- id: first
  continueOnError: FIRST
  map:
    items: steps.zero.outputs.ITEMS
    outputs: abs(VALUE)
    step: {id: one, run: {uses: builtin:noop}}
- id: second
  continueOnError: SECOND
  map:
    items: steps.zero.outputs.list
    outputs: abs(item)
    step: {id: two, run: {uses: builtin:noop}}
"""


ALL = ("items", "items", "result")


@pytest.mark.parametrize(
    ("first", "second", "items", "value", "ends", "asked"),
    [
        ("false", "false", "list", "item", ("Succeeded", "Succeeded"), ALL),
        ("true", "false", "list", "'x'", (FAILED, "Succeeded"), ALL),
        ("true", "false", "text", "item", (FAILED, "Succeeded"), ALL),
        ("false", "true", "list", "'x'", (FAILED, "Skipped run-failed"), ALL[:2]),
        ("false", "true", "text", "item", (FAILED, "Skipped run-failed"), ALL[:1]),
    ],
)
def test_a_block_ends_before_the_items_of_the_next_one_are_asked_for(  # noqa: PLR0913 - a table
    ana: Client,
    engine: Engine,
    *,
    first: str,
    second: str,
    items: str,
    value: str,
    ends: tuple[str, str],
    asked: tuple[str, ...],
) -> None:
    steps = SIDE_BY_SIDE.replace("FIRST", first).replace("SECOND", second)

    state = run(ana, pack(steps.replace("ITEMS", items).replace("VALUE", value)))

    by_step = statuses(state)
    assert (by_step["first"], by_step["second"]) == ends
    questions = tuple(event["ask"] for name, event in engine.calls if name == "decide_flow")
    assert questions == asked
