"""The conditions of steps: `when`, and the branches of a conditional."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.machine.runs import outputs, run, statuses
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client


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

    assert statuses(state) == {
        "zero": "Succeeded",
        "choice": "Succeeded",
        "one": "Skipped branch-not-taken",
        "two": "Succeeded",
        "many": "Skipped branch-not-taken",
        "other": "Skipped branch-not-taken",
    }


@pytest.mark.parametrize("source", ["inputs.n", "steps.zero.outputs.m"])
def test_else_runs_when_no_condition_is_true(ana: Client, source: str) -> None:
    spec = "inputs: [{name: n, type: integer, default: 0}]"
    state = run(ana, pack(CHOICE.replace("SOURCE", source), spec=spec))

    assert statuses(state)["other"] == "Succeeded"
    not_taken = [step for step, status in statuses(state).items() if "not-taken" in status]
    assert not_taken == ["one", "two", "many"]


@pytest.mark.parametrize("source", ["inputs.n", "steps.zero.outputs.n"])
def test_a_conditional_without_else_may_run_nothing(ana: Client, source: str) -> None:
    steps = CHOICE.partition("    else:")[0].replace("> `0`", "== `9`").replace("`2`", "`8`")
    spec = "inputs: [{name: n, type: integer, default: 0}]"

    state = run(ana, pack(steps.replace("SOURCE", source), spec=spec))

    assert state["status"] == "succeeded"
    assert statuses(state)["choice"] == "Succeeded"


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
def test_a_false_condition_skips_a_block_with_its_children(ana: Client, source: str) -> None:
    spec = "inputs: [{name: go, type: boolean, default: false}]"
    state = run(ana, pack(PARENT.replace("SOURCE", source), spec=spec))

    assert state["status"] == "succeeded"
    # Steps that were expected until the condition was reached stay listed.
    expected = {} if source == "inputs" else {"each[0]::leaf": "Skipped parent-skipped"}
    assert statuses(state) == expected | {
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
    assert statuses(run(ana, manifest)) == {
        "each": "Succeeded",
        "each[0]::one": "Skipped condition-false",
        "each[1]::one": "Succeeded",
    }


def test_a_false_condition_on_inputs_skips_its_step(ana: Client) -> None:
    manifest = pack(
        """
        - id: one
          when: inputs.stage == 'prod'
          run: {uses: builtin:noop}
        - id: two
          when: inputs.stage == 'dev'
          run: {uses: builtin:noop}
        """,
        spec="inputs: [{name: stage, type: string, default: prod}]",
    )
    state = run(ana, manifest, stage="dev")

    assert statuses(state) == {"one": "Skipped condition-false", "two": "Succeeded"}
    assert [s["enabled"] for s in state["steps"]] == [False, True]
    assert state["steps"][0]["attempts"] == 0


def test_the_time_is_that_of_the_step_and_the_same_in_all_its_expressions(ana: Client) -> None:
    steps = """
    - id: first
      when: run.now >= run.createdAt
      run: {uses: builtin:noop, with: {at: "{{ run.now }}", again: "{{ run.now }}"}}
    - id: each
      when: run.now >= steps.first.outputs.at
      map:
        items: "[run.now, run.createdBy]"
        step: {id: item-of, run: {uses: builtin:noop, with: {item: "{{ item }}"}}}
    - id: never
      when: time_diff(run.now, run.createdAt) > `86400`
      run: {uses: builtin:noop}
    """
    state = run(ana, pack(steps))

    first = outputs(ana, state, "first")
    assert first["at"] == first["again"] > state["createdAt"][:10]
    assert outputs(ana, state, "each[1]::item-of") == {"item": state["createdBy"]}
    assert statuses(state)["never"] == "Skipped condition-false"
