"""The iterations of maps and loops, and the lanes of parallels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.machine.runs import log, outputs, run, statuses
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine


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

    assert statuses(state) == {"zero": "Succeeded", "block": "Succeeded", "after": "Succeeded"}
    assert outputs(ana, state, "after")["it"]["results"] == []


def test_until_ends_a_loop_after_the_iteration_that_makes_it_true(ana: Client) -> None:
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

    assert statuses(state) == {
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

    assert list(statuses(state)) == [
        "outer",
        "outer[0]::inner",
        "outer[0]::inner[0]::leaf",
        "outer[0]::rest",
        "outer[1]::inner",
        "outer[1]::inner[0]::leaf",
        "outer[1]::inner[1]::leaf",
        "outer[1]::rest",
    ]
    assert set(statuses(state).values()) == {"Succeeded"}
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
    assert statuses(state) == {
        "zero": "Succeeded",
        "turns": "Failed executor-error",
        "after": "Skipped run-failed",
    }
    message = state["steps"][1]["errorMessage"]
    assert message == "3 items are more than the 2 iterations allowed"


def test_items_that_are_not_a_list_fail_the_map(ana: Client) -> None:
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

    assert statuses(state) == {
        "zero": "Succeeded",
        "each": "Failed executor-error",
        "after": "Succeeded",
    }
    assert outputs(ana, state, "after") == {"was": "Failed"}


def test_max_parallel_one_runs_children_one_after_another(ana: Client) -> None:
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

    assert _is_one_after_another(ana, state)


def test_inputs_decide_ranges_and_how_many_run_at_a_time_in_one_machine(
    engine: Engine, ana: Client
) -> None:
    manifest = pack(
        """
        - id: each
          map:
            items: {range: {start: 1, end: "{{ inputs.most }}"}}
            maxParallel: "{{ inputs.at-once }}"
            step:
              id: both
              parallel:
                maxParallel: "{{ inputs.at-once }}"
                steps:
                  - {id: a, run: {uses: builtin:noop, with: {n: "{{ item }}"}}}
                  - {id: b, run: {uses: builtin:noop}}
        """,
        spec="""
        inputs:
          - {name: most, type: integer, required: true}
          - {name: at-once, type: integer, required: true}
        """,
        name="numbers-from-inputs",
    )
    one_at_once = run(ana, manifest, **{"most": 2, "at-once": 1})
    three_at_once = run(ana, manifest, **{"most": 3, "at-once": 3})

    assert _is_one_after_another(ana, one_at_once)
    assert [outputs(ana, one_at_once, f"each[{n}]::a") for n in (0, 1)] == [{"n": 1}, {"n": 2}]
    assert len(statuses(three_at_once)) == 1 + 3 * 3
    machines = engine.states.list_state_machines()["stateMachines"]
    assert len([each for each in machines if "numbers-from-inputs" in each["name"]]) == 1


def _is_one_after_another(client: Client, state: dict[str, Any]) -> bool:
    """Return whether each step of a run ended before the next one began."""
    events = [
        (line["eventType"], line["stepId"])
        for line in log(client, state["runId"])
        if "stepId" in line
    ]
    pairs = zip(events[::2], events[1::2], strict=True)
    return all(
        (first, second) == ("step.started", "step.completed") and step == same_step
        for (first, step), (second, same_step) in pairs
    )
