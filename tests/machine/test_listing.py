"""The list of a run's steps: their order, paths, templates and parents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machine.runs import decide, ended, outputs, run, start, statuses
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client


def test_lists_every_kind_in_plan_order_with_template_and_parent(ana: Client, bob: Client) -> None:
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
        (step["stepId"], step["templateId"], step.get("parentId"), step["kind"], step["status"])
        for step in state["steps"]
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
    assert statuses(state)["no1"] == "Skipped branch-not-taken"


def test_nested_maps_have_nested_step_paths_and_read_the_outer_item(ana: Client) -> None:
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

    assert list(statuses(state)) == [
        "outer",
        "outer[0]::inner",
        "outer[0]::inner[0]::leaf",
        "outer[0]::inner[1]::leaf",
        "outer[1]::inner",
        "outer[1]::inner[0]::leaf",
        "outer[1]::inner[1]::leaf",
    ]
    leaf = next(step for step in state["steps"] if step["stepId"] == "outer[1]::inner[0]::leaf")
    assert (leaf["templateId"], leaf["parentId"]) == ("leaf", "outer[1]::inner")
    assert outputs(ana, state, "outer[1]::inner[0]::leaf") == {"text": "b1 at 1/0"}


def test_lists_iterations_without_entries_when_until_cannot_be_evaluated(ana: Client) -> None:
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

    assert statuses(run(ana, manifest)) == {
        "turns": "Failed executor-error",
        "turns[0]::each": "Succeeded",
    }
