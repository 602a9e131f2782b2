"""The rules of blocks, gates and failures, one by one: whole runs on a Step Functions engine."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from tests.machine.runs import (
    decide,
    ended,
    has_entry,
    outputs,
    run,
    start,
    state_of,
    told,
    until,
)
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.engine import Client, Engine


# --- the listing ------------------------------------------------------------------------------


def test_every_kind_is_listed_in_plan_order_with_its_template_and_parent(
    ana: Client, bob: Client
) -> None:
    manifest = pack(
        """
        - {id: first, run: {uses: builtin:noop, with: {x: 1}}}
        - id: both
          parallel:
            steps:
              - {id: left, run: {uses: builtin:noop}}
              - {id: review, gate: {approval: {id: security}}}
        - id: each
          map: {items: "['a', 'b']", step: {id: one, run: {uses: builtin:noop}}}
        - id: turns
          loop:
            items: {range: {start: 1, end: 2}}
            body: [{id: turn, run: {uses: builtin:noop}}]
        - id: choice
          conditional:
            branches:
              - condition: "steps.first.outputs.x == `1`"
                steps: [{id: yes1, run: {uses: builtin:noop}}]
            else: [{id: no1, run: {uses: builtin:noop}}]
        - id: check
          gate: {policy: {policy: ones}}
        """,
        spec="""
        approvals: [{id: security}]
        policies:
          - {id: ones, version: "1", rules: [{id: r, require: steps.first.outputs.x == `1`}]}
        """,
    )
    run_id = start(ana, manifest)
    decide(bob, run_id, "security")

    state = ended(ana, run_id)

    assert state["status"] == "succeeded"
    listing = [
        (one["stepId"], one["templateId"], one.get("parentId"), one["kind"], one["status"])
        for one in state["steps"]
    ]
    assert listing == [
        ("first", "first", None, "Run", "Succeeded"),
        ("both", "both", None, "Parallel", "Succeeded"),
        ("left", "left", "both", "Run", "Succeeded"),
        ("review", "review", "both", "GateApproval", "Succeeded"),
        ("each", "each", None, "Map", "Succeeded"),
        ("each[0]::one", "one", "each", "Run", "Succeeded"),
        ("each[1]::one", "one", "each", "Run", "Succeeded"),
        ("turns", "turns", None, "Loop", "Succeeded"),
        ("turns[0]::turn", "turn", "turns", "Run", "Succeeded"),
        ("turns[1]::turn", "turn", "turns", "Run", "Succeeded"),
        ("choice", "choice", None, "Conditional", "Succeeded"),
        ("yes1", "yes1", "choice", "Run", "Succeeded"),
        ("no1", "no1", "choice", "Run", "Skipped"),
        ("check", "check", None, "GatePolicy", "Succeeded"),
    ]
    assert told(state)["no1"] == "Skipped branch-not-taken"


def test_nested_maps_have_nested_ids_and_read_the_outer_items(ana: Client) -> None:
    manifest = pack(
        """
        - id: outer
          map:
            items: "['a', 'b']"
            iterator: letter
            index: i
            step:
              id: inner
              map:
                items: "[`1`, `2`]"
                index: j
                step:
                  id: leaf
                  run:
                    uses: builtin:noop
                    with: {text: "{{ letter }}{{ item }} at {{ i }}/{{ j }}"}
        """
    )

    state = run(ana, manifest)

    assert list(told(state)) == [
        "outer",
        "outer[0]::inner",
        "outer[0]::inner[0]::leaf",
        "outer[0]::inner[1]::leaf",
        "outer[1]::inner",
        "outer[1]::inner[0]::leaf",
        "outer[1]::inner[1]::leaf",
    ]
    leaf = next(one for one in state["steps"] if one["stepId"] == "outer[1]::inner[0]::leaf")
    assert (leaf["templateId"], leaf["parentId"]) == ("leaf", "outer[1]::inner")
    assert outputs(ana, state, "outer[1]::inner[0]::leaf") == {"text": "b1 at 1/0"}


# --- outputs of blocks --------------------------------------------------------------------------

SEEN = """
- {id: seen, run: {uses: builtin:noop, with: {it: "{{ steps.block.outputs }}"}}}
"""


def seen(ana: Client, block: str, spec: str = "", **inputs: Any) -> Any:  # noqa: ANN401 - any JSON
    """What a step behind the block called *block* reads as its outputs."""
    state = run(ana, pack(_list(block) + SEEN, spec=spec), **inputs)
    assert state["status"] == "succeeded", told(state)
    return outputs(ana, state, "seen")["it"]


def _list(steps: str) -> str:
    return textwrap.dedent(steps).strip("\n") + "\n"


@pytest.mark.parametrize("limit", ["", "maxParallel: 1"])
def test_a_parallel_gives_the_outputs_of_its_children_by_id(ana: Client, limit: str) -> None:
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


def test_a_blocks_child_that_is_a_block_is_in_its_outputs_unless_it_was_skipped(
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
    assert seen(ana, block) == {"none": {"results": []}, "some": {"results": [{"z": 3}]}}


@pytest.mark.parametrize(
    ("union", "expected"),
    [("false", {"a": {"x": 1, "y": 1}, "b": {"y": 2}}), ("true", {"x": 1, "y": 2})],
)
def test_a_conditional_gives_what_ran_by_id_or_merged(
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


def test_a_map_gives_the_last_steps_outputs_in_the_order_of_the_items(ana: Client) -> None:
    block = """
    - id: block
      map:
        items: "['c', 'a', 'b']"
        steps:
          - {id: one, run: {uses: builtin:noop, with: {not: this}}}
          - {id: two, run: {uses: builtin:noop, with: {own: "{{ item }}{{ index }}"}}}
    """
    assert seen(ana, block) == {"results": [{"own": "c0"}, {"own": "a1"}, {"own": "b2"}]}


def test_an_item_whose_last_step_did_not_run_has_null_in_the_results(ana: Client) -> None:
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
    assert seen(ana, block) == {"results": [None, {"in": {}}]}


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


def test_the_value_of_an_iteration_may_be_an_expression_over_its_steps(ana: Client) -> None:
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


def test_a_block_that_was_skipped_has_no_outputs(ana: Client) -> None:
    block = """
    - id: block
      when: inputs.go
      map: {items: "[`1`]", step: {id: one, run: {uses: builtin:noop}}}
    """
    assert seen(ana, block, spec="inputs: [{name: go, type: boolean, default: false}]") is None


def test_a_block_that_was_skipped_at_run_time_has_no_outputs(ana: Client) -> None:
    block = """
    - {id: zero, run: {uses: builtin:noop}}
    - id: block
      when: steps.zero.outputs.go
      parallel: {steps: [{id: one, run: {uses: builtin:noop}}]}
    """
    assert seen(ana, block) is None


# --- items and iterations -----------------------------------------------------------------------


@pytest.mark.parametrize("items", ["'`[]`'", "steps.zero.outputs.list"])
@pytest.mark.parametrize(
    "block",
    [
        "map: {items: ITEMS, step: {id: leaf, run: {uses: builtin:fail, with: {message: no}}}}",
        "loop: {items: ITEMS, body: [{id: leaf, run: {uses: builtin:noop}}]}",
        "loop: {items: ITEMS, until: '`true`', body: [{id: leaf, run: {uses: builtin:noop}}]}",
    ],
)
def test_a_block_over_no_items_succeeds_at_once(ana: Client, block: str, items: str) -> None:
    manifest = pack(
        f"""
        - {{id: zero, run: {{uses: builtin:noop, with: {{list: []}}}}}}
        - id: block
          {block.replace("ITEMS", items)}
        - {{id: after, run: {{uses: builtin:noop, with: {{it: "{{{{ steps.block.outputs }}}}"}}}}}}
        """
    )
    state = run(ana, manifest)

    assert told(state) == {"zero": "Succeeded", "block": "Succeeded", "after": "Succeeded"}
    assert outputs(ana, state, "after") == {"it": {"results": []}}


def test_until_ends_a_loop_after_the_iteration_in_which_it_is_true(ana: Client) -> None:
    manifest = pack(
        """
        - id: turns
          loop:
            items: {range: {start: 1, end: 9}}
            until: steps.turn.outputs.n == `2`
            body: [{id: turn, run: {uses: builtin:noop, with: {n: "{{ item }}"}}}]
        - {id: after, run: {uses: builtin:noop, with: {it: "{{ steps.turns.outputs.results }}"}}}
        """
    )
    state = run(ana, manifest)

    assert told(state) == {
        "turns": "Succeeded",
        "turns[0]::turn": "Succeeded",
        "turns[1]::turn": "Succeeded",
        "after": "Succeeded",
    }
    assert outputs(ana, state, "after") == {"it": [{"n": 1}, {"n": 2}]}


def test_loops_with_until_nest(ana: Client) -> None:
    manifest = pack(
        """
        - id: outer
          loop:
            items: {range: {start: 0, end: 5}}
            iterator: o
            index: p
            until: o == `1`
            body:
              - id: inner
                loop:
                  items: {range: {start: 0, end: 5}}
                  until: item == o
                  body: [{id: leaf, run: {uses: builtin:noop, with: {at: "{{ o }}.{{ item }}"}}}]
              - id: rest
                run: {uses: builtin:noop, with: {n: "{{ length(steps.inner.outputs.results) }}"}}
        """
    )
    state = run(ana, manifest)

    assert list(told(state)) == [
        "outer",
        "outer[0]::inner",
        "outer[0]::inner[0]::leaf",
        "outer[0]::rest",
        "outer[1]::inner",
        "outer[1]::inner[0]::leaf",
        "outer[1]::inner[1]::leaf",
        "outer[1]::rest",
    ]
    assert set(told(state).values()) == {"Succeeded"}
    assert outputs(ana, state, "outer[1]::rest") == {"n": 2}


@pytest.mark.parametrize("ending", ["", "until: '`false`'"])
def test_more_items_than_max_iterations_fail_the_loop(ana: Client, ending: str) -> None:
    manifest = pack(
        f"""
        - {{id: zero, run: {{uses: builtin:noop, with: {{list: [1, 2, 3]}}}}}}
        - id: turns
          loop:
            items: steps.zero.outputs.list
            maxIterations: 2
            {ending}
            body: [{{id: turn, run: {{uses: builtin:noop}}}}]
        - {{id: after, run: {{uses: builtin:noop}}}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "failed"
    assert told(state) == {
        "zero": "Succeeded",
        "turns": "Failed executor-error",
        "after": "Skipped run-failed",
    }
    message = state["steps"][1]["errorMessage"]
    assert message == "3 items are more than the 2 iterations allowed"


def test_items_that_are_no_list_fail_the_map(ana: Client) -> None:
    manifest = pack(
        """
        - {id: zero, run: {uses: builtin:noop, with: {list: text}}}
        - id: each
          continueOnError: true
          map: {items: steps.zero.outputs.list, step: {id: one, run: {uses: builtin:noop}}}
        - {id: after, run: {uses: builtin:noop, with: {was: "{{ steps.each.status }}"}}}
        """
    )
    state = run(ana, manifest)

    assert told(state) == {
        "zero": "Succeeded",
        "each": "Failed executor-error",
        "after": "Succeeded",
    }
    assert outputs(ana, state, "after") == {"was": "Failed"}


def test_with_max_parallel_one_the_next_child_starts_when_the_one_before_has_ended(
    ana: Client,
) -> None:
    manifest = pack(
        """
        - id: both
          parallel:
            maxParallel: 1
            steps:
              - {id: a, run: {uses: builtin:noop}}
              - {id: b, run: {uses: builtin:noop}}
              - {id: c, run: {uses: builtin:noop}}
        """
    )
    state = run(ana, manifest)

    journal = ana.engine.world.runs.journal("tenant-prod", state["runId"])
    events = [
        (one.entry.event.value, one.entry.step_path) for one in journal if one.entry.step_path
    ]
    for (began, at), (over, same) in zip(events[::2], events[1::2], strict=True):
        assert (began, over) == ("step.started", "step.completed")
        assert at == same


# --- conditions ---------------------------------------------------------------------------------

CHOICE = """
- {id: zero, run: {uses: builtin:noop, with: {n: 2}}}
- id: choice
  conditional:
    branches:
      - {condition: "SOURCE == `1`", steps: [{id: one, run: {uses: builtin:noop}}]}
      - {condition: "SOURCE == `2`", steps: [{id: two, run: {uses: builtin:noop}}]}
      - {condition: "SOURCE > `0`", steps: [{id: many, run: {uses: builtin:noop}}]}
    else: [{id: other, run: {uses: builtin:noop}}]
"""


@pytest.mark.parametrize("source", ["inputs.n", "steps.zero.outputs.n"])
def test_a_conditional_takes_the_first_branch_that_is_true(ana: Client, source: str) -> None:
    spec = "inputs: [{name: n, type: integer, default: 2}]"
    state = run(ana, pack(CHOICE.replace("SOURCE", source), spec=spec))

    assert told(state) == {
        "zero": "Succeeded",
        "choice": "Succeeded",
        "one": "Skipped branch-not-taken",
        "two": "Succeeded",
        "many": "Skipped branch-not-taken",
        "other": "Skipped branch-not-taken",
    }


@pytest.mark.parametrize("source", ["inputs.n", "steps.zero.outputs.m"])
def test_else_is_for_when_no_condition_is_true(ana: Client, source: str) -> None:
    spec = "inputs: [{name: n, type: integer, default: 0}]"
    state = run(ana, pack(CHOICE.replace("SOURCE", source), spec=spec))

    assert told(state)["other"] == "Succeeded"
    assert [one for one, how in told(state).items() if "not-taken" in how] == ["one", "two", "many"]


@pytest.mark.parametrize("source", ["inputs.n", "steps.zero.outputs.n"])
def test_a_conditional_without_else_may_do_nothing(ana: Client, source: str) -> None:
    steps = CHOICE.partition("    else:")[0].replace("> `0`", "== `9`").replace("`2`", "`8`")
    spec = "inputs: [{name: n, type: integer, default: 0}]"

    state = run(ana, pack(steps.replace("SOURCE", source), spec=spec))

    assert state["status"] == "succeeded"
    assert told(state)["choice"] == "Succeeded"


PARENT = """
- {id: zero, run: {uses: builtin:noop, with: {go: false}}}
- id: both
  when: SOURCE.go
  parallel:
    steps:
      - {id: one, run: {uses: builtin:noop}}
      - id: choice
        conditional:
          branches: [{condition: "`true`", steps: [{id: two, run: {uses: builtin:noop}}]}]
- id: each
  when: SOURCE.go
  map: {items: "[`1`]", step: {id: leaf, run: {uses: builtin:noop}}}
- {id: after, run: {uses: builtin:noop, with: {was: "{{ steps.both.status }}"}}}
"""


@pytest.mark.parametrize("source", ["inputs", "steps.zero.outputs"])
def test_a_parent_whose_condition_is_false_is_skipped_with_its_children(
    ana: Client, source: str
) -> None:
    spec = "inputs: [{name: go, type: boolean, default: false}]"
    state = run(ana, pack(PARENT.replace("SOURCE", source), spec=spec))

    assert state["status"] == "succeeded"
    # What was expected until the condition was reached stays listed.
    expected = {} if source == "inputs" else {"each[0]::leaf": "Skipped parent-skipped"}
    assert told(state) == expected | {
        "zero": "Succeeded",
        "both": "Skipped condition-false",
        "one": "Skipped parent-skipped",
        "choice": "Skipped parent-skipped",
        "two": "Skipped parent-skipped",
        "each": "Skipped condition-false",
        "after": "Succeeded",
    }
    assert outputs(ana, state, "after") == {"was": "Skipped"}


def test_a_condition_may_read_the_item(ana: Client) -> None:
    manifest = pack(
        """
        - id: each
          map:
            items: "['a', 'b']"
            step: {id: one, when: item == 'b', run: {uses: builtin:noop}}
        """
    )
    assert told(run(ana, manifest)) == {
        "each": "Succeeded",
        "each[0]::one": "Skipped condition-false",
        "each[1]::one": "Succeeded",
    }


# --- failures -----------------------------------------------------------------------------------


def test_a_failure_inside_a_parallel_inside_a_map_stays_where_it_may_fail(ana: Client) -> None:
    manifest = pack(
        """
        - id: each
          map:
            items: "[`1`, `2`]"
            steps:
              - id: both
                continueOnError: true
                parallel:
                  steps:
                    - id: bad
                      when: item == `1`
                      run: {uses: builtin:fail, with: {message: no}}
                    - {id: good, run: {uses: builtin:noop}}
              - {id: then, run: {uses: builtin:noop}}
        - {id: after, run: {uses: builtin:noop}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert told(state) == {
        "each": "Succeeded",
        "each[0]::both": "Failed",
        "each[0]::bad": "Failed executor-error",
        "each[0]::good": "Succeeded",
        "each[0]::then": "Succeeded",
        "each[1]::both": "Succeeded",
        "each[1]::bad": "Skipped condition-false",
        "each[1]::good": "Succeeded",
        "each[1]::then": "Succeeded",
        "after": "Succeeded",
    }


@pytest.mark.parametrize(
    "block",
    [
        "map: {items: I, steps: S}",
        "loop: {items: I, body: S}",
        "loop: {items: I, until: '`false`', body: S}",
    ],
)
def test_with_continue_on_error_the_remaining_iterations_run_and_the_block_is_failed(
    ana: Client, block: str
) -> None:
    bad = "{id: bad, when: index == `0`, run: {uses: builtin:fail}}"
    inside = f"[{bad}, {{id: then, run: {{uses: builtin:noop}}}}]"
    manifest = pack(
        f"""
        - id: each
          continueOnError: true
          {block.replace("I", "'[`7`, `8`]'", 1).replace("S", inside)}
        - {{id: after, run: {{uses: builtin:noop}}}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert told(state) == {
        "each": "Failed",
        "each[0]::bad": "Failed executor-error",
        "each[0]::then": "Skipped parent-skipped",
        "each[1]::bad": "Skipped condition-false",
        "each[1]::then": "Succeeded",
        "after": "Succeeded",
    }


@pytest.mark.parametrize("ending", ["", "until: '`false`'"])
def test_without_it_a_loop_ends_with_the_iteration_that_fails(ana: Client, ending: str) -> None:
    manifest = pack(
        f"""
        - id: turns
          loop:
            items: {{static: [1, 2]}}
            {ending}
            body: [{{id: bad, run: {{uses: builtin:fail}}}}]
        - {{id: after, run: {{uses: builtin:noop}}}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "failed"
    found = told(state)
    assert found.pop("turns[1]::bad", "Skipped run-failed") == "Skipped run-failed"
    assert found == {
        "turns": "Failed",
        "turns[0]::bad": "Failed executor-error",
        "after": "Skipped run-failed",
    }


@pytest.mark.parametrize("ending", ["", "until: '`false`'"])
def test_a_block_that_may_fail_contains_a_loop_that_may_not(ana: Client, ending: str) -> None:
    manifest = pack(
        f"""
        - id: choice
          continueOnError: true
          conditional:
            branches:
              - condition: "`true`"
                steps:
                  - id: turns
                    loop:
                      items: {{static: [1, 2]}}
                      {ending}
                      body: [{{id: bad, run: {{uses: builtin:fail}}}}]
                  - {{id: then, run: {{uses: builtin:noop}}}}
        - id: each
          map: {{items: "[`1`]", step: {{id: after, run: {{uses: builtin:noop}}}}}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    found = told(state)
    assert found.pop("turns[1]::bad", "Skipped parent-skipped") == "Skipped parent-skipped"
    assert found == {
        "choice": "Failed",
        "turns": "Failed",
        "turns[0]::bad": "Failed executor-error",
        "then": "Skipped parent-skipped",
        "each": "Succeeded",
        "each[0]::after": "Succeeded",
    }


def test_a_loop_whose_until_cannot_be_evaluated_fails_and_leaves_its_iteration(
    ana: Client,
) -> None:
    manifest = pack(
        """
        - id: turns
          continueOnError: true
          loop:
            items: {static: [1, 2]}
            until: length(steps.turn.outputs.n) == `1`
            body: [{id: turn, run: {uses: builtin:noop, with: {n: 1}}}]
        - {id: after, run: {uses: builtin:noop}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert told(state) == {
        "turns": "Failed executor-error",
        "turns[0]::turn": "Succeeded",
        "after": "Succeeded",
    }


def test_a_step_of_a_loop_is_retried_in_its_own_iteration(ana: Client) -> None:
    manifest = pack(
        """
        - id: turns
          loop:
            items: {static: [1, 2]}
            body:
              - id: flaky
                retries: {maxAttempts: 2}
                run: {uses: builtin:fail, with: {attempts: 1}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert [(one["stepId"], one["attempts"]) for one in state["steps"][1:]] == [
        ("turns[0]::flaky", 2),
        ("turns[1]::flaky", 2),
    ]


def test_a_step_whose_expression_cannot_be_evaluated_fails(ana: Client) -> None:
    manifest = pack(
        """
        - {id: zero, run: {uses: builtin:noop, with: {n: 1}}}
        - id: bad
          continueOnError: true
          run: {uses: builtin:noop, with: {n: "{{ length(steps.zero.outputs.n) }}"}}
        - id: worse
          continueOnError: true
          when: "length(steps.zero.outputs.n) == `1`"
          run: {uses: builtin:noop}
        - id: worst
          continueOnError: true
          conditional:
            branches:
              - {condition: "abs(steps.bad.status)", steps: [{id: in, run: {uses: builtin:noop}}]}
        - {id: after, run: {uses: builtin:noop}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert told(state) == {
        "zero": "Succeeded",
        "bad": "Failed executor-error",
        "worse": "Failed executor-error",
        "worst": "Failed executor-error",
        "in": "Skipped parent-skipped",
        "after": "Succeeded",
    }
    assert "length" in state["steps"][1]["errorMessage"]


SIBLINGS = """
- id: both
  CONTAINED
  parallel:
    steps:
      - {id: bad, run: {uses: builtin:fail}}
      - id: each
        map:
          items: "[`1`]"
          steps:
            - {id: slow, run: {uses: builtin:sleep, with: {seconds: 1}}}
            - {id: never, run: {uses: builtin:noop}}
            - id: inner
              parallel: {steps: [{id: nor, run: {uses: builtin:noop}}]}
"""


def failing_beside_a_sibling(engine: Engine, ana: Client, manifest: str) -> str:
    """Start *manifest*, whose step `bad` fails once `slow` has begun."""
    ids: list[str] = []

    def hold_bad(event: dict[str, Any]) -> None:
        if event["step"] == "bad":
            until(
                lambda: has_entry(ana, event["run"], "each[0]::slow", "step.started"), "slow waits"
            )

    engine.before["run_step"] = hold_bad
    ids.append(start(ana, manifest))
    return ids[0]


def test_when_a_run_fails_what_runs_may_finish_and_the_rest_is_skipped(
    engine: Engine, ana: Client
) -> None:
    run_id = failing_beside_a_sibling(engine, ana, pack(SIBLINGS.replace("CONTAINED", "")))
    ended(ana, run_id)
    until(lambda: has_entry(ana, run_id, "each[0]::slow", "step.completed"), "slow goes on")

    state = state_of(ana, run_id)

    assert state["status"] == "failed"
    assert told(state) == {
        "both": "Failed",
        "bad": "Failed executor-error",
        "each": "Failed run-failed",
        "each[0]::slow": "Succeeded",
        "each[0]::never": "Skipped run-failed",
        "each[0]::inner": "Skipped run-failed",
        "each[0]::nor": "Skipped run-failed",
    }


def test_what_stood_beside_a_failure_that_a_block_around_contains_is_skipped(
    engine: Engine, ana: Client
) -> None:
    inside = textwrap.indent(SIBLINGS.replace("CONTAINED", ""), " " * 10)
    manifest = pack(
        f"""
- id: choice
  continueOnError: true
  conditional:
    branches:
      - condition: "`true`"
        steps:
{inside}
- {{id: after, run: {{uses: builtin:sleep, with: {{seconds: 2}}}}}}
"""
    )
    run_id = failing_beside_a_sibling(engine, ana, manifest)

    state = ended(ana, run_id)

    assert state["status"] == "succeeded"
    assert told(state) == {
        "choice": "Failed",
        "both": "Failed",
        "bad": "Failed executor-error",
        "each": "Failed parent-skipped",
        "each[0]::slow": "Succeeded",
        "each[0]::never": "Skipped parent-skipped",
        "each[0]::inner": "Skipped parent-skipped",
        "each[0]::nor": "Skipped parent-skipped",
        "after": "Succeeded",
    }


def test_cancelling_in_the_middle_of_a_map_skips_what_has_not_ended(ana: Client) -> None:
    manifest = pack(
        """
        - id: each
          map:
            items: "[`1`, `2`]"
            steps:
              - {id: quick, run: {uses: builtin:noop}}
              - {id: review, gate: {approval: {id: security}}}
              - {id: then, run: {uses: builtin:noop}}
        - {id: after, run: {uses: builtin:noop}}
        """,
        spec="approvals: [{id: security}]",
    )
    run_id = start(ana, manifest)
    for index in (0, 1):
        path = f"each[{index}]::review"
        until(lambda path=path: has_entry(ana, run_id, path, "gate.awaiting"), "no gate")  # type: ignore[misc]

    answer = ana("POST", f"runs/{run_id}/cancel")
    state = state_of(ana, run_id)

    assert answer.status == 202
    assert state["status"] == "cancelled"
    assert told(state) == {
        "each": "Skipped cancelled",
        "each[0]::quick": "Succeeded",
        "each[0]::review": "Skipped cancelled",
        "each[0]::then": "Skipped cancelled",
        "each[1]::quick": "Succeeded",
        "each[1]::review": "Skipped cancelled",
        "each[1]::then": "Skipped cancelled",
        "after": "Skipped cancelled",
    }


# --- gates --------------------------------------------------------------------------------------


def test_a_gate_in_a_branch_is_waited_for_where_the_branch_is_taken(
    engine: Engine, ana: Client, bob: Client
) -> None:
    manifest = pack(
        """
        - {id: zero, run: {uses: builtin:noop, with: {n: 1}}}
        - id: choice
          conditional:
            branches:
              - condition: steps.zero.outputs.n == `1`
                steps:
                  - {id: review, gate: {approval: {id: security}}}
                  - {id: then, run: {uses: builtin:noop}}
            else:
              - {id: other, gate: {approval: {id: security}}}
        """,
        spec="approvals: [{id: security}]",
    )
    run_id = start(ana, manifest)
    waiting = engine.wait(ana, run_id, "waiting")
    decided = decide(bob, run_id, "security")
    state = ended(ana, run_id)

    assert told(waiting) == {
        "zero": "Succeeded",
        "choice": "Running",
        "review": "Pending awaiting-approval",
        "then": "Pending",
        "other": "Skipped branch-not-taken",
    }
    assert decided.json == {"status": "approved", "resumed": True}
    assert told(state)["then"] == "Succeeded"
    assert state["status"] == "succeeded"


def test_one_recorded_approval_satisfies_the_next_gate_at_once(ana: Client, bob: Client) -> None:
    manifest = pack(
        """
        - {id: one, gate: {approval: {id: security}}}
        - {id: between, run: {uses: builtin:noop}}
        - id: each
          map: {items: "[`1`, `2`]", step: {id: two, gate: {approval: {id: security}}}}
        """,
        spec="approvals: [{id: security}]",
    )
    run_id = start(ana, manifest)
    decide(bob, run_id, "security")

    state = ended(ana, run_id)

    assert state["status"] == "succeeded"
    assert set(told(state).values()) == {"Succeeded"}


def test_a_rejected_gate_that_may_fail_lets_the_run_go_on(ana: Client, bob: Client) -> None:
    manifest = pack(
        """
        - {id: review, continueOnError: true, gate: {approval: {id: security}}}
        - {id: after, run: {uses: builtin:noop, with: {was: "{{ steps.review.status }}"}}}
        """,
        spec="approvals: [{id: security}]",
    )
    run_id = start(ana, manifest)
    decide(bob, run_id, "security", "rejected")

    state = ended(ana, run_id)

    assert told(state) == {"review": "Failed approval-rejected", "after": "Succeeded"}
    assert outputs(ana, state, "after") == {"was": "Failed"}
    assert state["status"] == "succeeded"


POLICY = """
- {id: zero, run: {uses: builtin:noop, with: {n: 1}}}
- id: check
  CONTINUE
  gate:
    policy: {policy: twos, with: {limit: 2}, MORE}
- {id: after, run: {uses: builtin:noop}}
"""
POLICY_SPEC = """
approvals: [{id: security}]
policies:
  - id: twos
    version: "1"
    rules: [{id: two, require: steps.zero.outputs.n == with.limit, message: too few}]
"""


def policy_pack(more: str, continued: str = "") -> str:
    return pack(POLICY.replace("MORE", more).replace("CONTINUE", continued), spec=POLICY_SPEC)


def test_a_policy_that_fails_aborts_the_run(ana: Client) -> None:
    state = run(ana, policy_pack("failureAction: abort"))

    assert state["status"] == "failed"
    assert told(state) == {
        "zero": "Succeeded",
        "check": "Failed policy-failed",
        "after": "Skipped run-failed",
    }
    assert state["steps"][1]["errorMessage"] == "Policy twos does not hold: two: too few"


def test_a_policy_gate_that_may_fail_lets_the_run_go_on(ana: Client) -> None:
    state = run(ana, policy_pack("failureAction: abort", "continueOnError: true"))

    assert state["status"] == "succeeded"
    assert told(state)["check"] == "Failed policy-failed"


def test_a_policy_may_only_warn(ana: Client) -> None:
    state = run(ana, policy_pack("failureAction: warn"))

    assert state["status"] == "succeeded"
    assert told(state)["check"] == "Succeeded policy-warned"


@pytest.mark.parametrize(
    ("decision", "check", "after", "status"),
    [
        ("approved", "Succeeded", "Succeeded", "succeeded"),
        ("rejected", "Failed approval-rejected", "Skipped run-failed", "failed"),
    ],
)
def test_a_policy_may_ask_for_an_override(  # noqa: PLR0913, PLR0917 - a table
    engine: Engine, ana: Client, bob: Client, decision: str, check: str, after: str, status: str
) -> None:
    manifest = policy_pack("failureAction: requestOverride, override: {approval: security}")
    run_id = start(ana, manifest)
    waiting = engine.wait(ana, run_id, "waiting")
    decide(bob, run_id, "security", decision)

    state = ended(ana, run_id)

    assert told(waiting)["check"] == "Pending awaiting-override"
    assert told(state) == {"zero": "Succeeded", "check": check, "after": after}
    assert state["status"] == status


def test_a_policy_may_run_a_branch(ana: Client) -> None:
    branch = "branch: [{id: mend, run: {uses: builtin:noop}}]"
    state = run(ana, policy_pack(f"failureAction: branch, {branch}"))

    assert state["status"] == "succeeded"
    assert told(state) == {
        "zero": "Succeeded",
        "check": "Succeeded policy-failed",
        "mend": "Succeeded",
        "after": "Succeeded",
    }


def test_the_branch_of_a_policy_that_holds_is_not_taken(ana: Client) -> None:
    branch = "branch: [{id: mend, run: {uses: builtin:noop}}]"
    manifest = policy_pack(f"failureAction: branch, {branch}").replace("limit: 2", "limit: 1")

    assert told(run(ana, manifest)) == {
        "zero": "Succeeded",
        "check": "Succeeded",
        "mend": "Skipped branch-not-taken",
        "after": "Succeeded",
    }


def test_a_failure_in_a_policys_branch_fails_the_gate(ana: Client) -> None:
    branch = (
        "branch: [{id: mend, run: {uses: builtin:fail}}, {id: more, run: {uses: builtin:noop}}]"
    )
    state = run(ana, policy_pack(f"failureAction: branch, {branch}", "continueOnError: true"))

    assert state["status"] == "succeeded"
    assert told(state) == {
        "zero": "Succeeded",
        "check": "Failed",
        "mend": "Failed executor-error",
        "more": "Skipped parent-skipped",
        "after": "Succeeded",
    }


def test_a_policy_is_evaluated_again_as_often_as_its_retries_say(ana: Client) -> None:
    state = run(ana, policy_pack("failureAction: warn, retries: {count: 1}"))

    assert told(state)["check"] == "Succeeded policy-warned"
    assert state["steps"][1]["attempts"] == 2


def test_iterations_without_an_entry_are_told_when_until_cannot_be_evaluated(ana: Client) -> None:
    manifest = pack(
        """
        - id: turns
          continueOnError: true
          loop:
            items: {range: {end: 1}}
            until: length(steps.each.outputs.nothing) == `1`
            body:
              - id: each
                map:
                  items: {static: []}
                  iterator: x
                  index: y
                  step: {id: a, run: {uses: builtin:noop}}
        """
    )

    assert told(run(ana, manifest)) == {
        "turns": "Failed executor-error",
        "turns[0]::each": "Succeeded",
    }
