"""The order of a plan's steps: how it sorts them, and which of them certainly end before others."""

from __future__ import annotations

import pytest

from taskrunner.compiler.driver import plan_pack
from taskrunner.model.plan_order import PlanOrder
from tests.packs import pack

_RUN = "run: {uses: builtin:noop}"
ORDER = PlanOrder(
    plan_pack(
        pack(
            f"""
    - {{id: first, {_RUN}}}
    - id: lanes
      parallel:
        steps:
          - {{id: left, {_RUN}}}
          - {{id: right, map: {{items: {{range: {{end: 11}}}}, step: {{id: leaf, {_RUN}}}}}}}
    - id: branches
      parallel:
        branches:
          - steps: [{{id: a1, {_RUN}}}, {{id: a2, {_RUN}}}]
          - steps: [{{id: b1, {_RUN}}}, {{id: b2, {_RUN}}}]
    - id: turns
      loop:
        items: {{static: [1, 2]}}
        body:
          - {{id: begin, {_RUN}}}
          - id: inner
            map:
              items: {{range: {{end: 11}}}}
              iterator: i
              index: n
              steps: [{{id: a, {_RUN}}}, {{id: b, {_RUN}}}]
    - id: choice
      conditional:
        branches:
          - condition: steps.first.outputs.x
            steps: [{{id: yes-1, {_RUN}}}, {{id: yes-2, {_RUN}}}]
        else: [{{id: else-1, {_RUN}}}]
    - {{id: last, {_RUN}}}
    """
        ),
        {},
    )
)


def test_sorts_steps_as_the_plan_has_them_and_iterations_by_number() -> None:
    paths = [
        "first",
        "lanes",
        "left",
        "right",
        "right[2]::leaf",
        "right[10]::leaf",
        "branches",
        "a1",
        "a2",
        "b1",
        "b2",
        "turns[0]::begin",
        "turns[0]::inner[1]::a",
        "turns[0]::inner[1]::b",
        "turns[0]::inner[2]::a",
        "turns[1]::begin",
        "yes-1",
        "yes-2",
        "else-1",
        "last",
    ]

    assert sorted(sorted(paths), key=ORDER.place) == paths


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("first", "left"),
        ("left", "last"),
        ("right[0]::leaf", "turns[0]::begin"),
        ("a1", "a2"),
        ("b2", "turns[0]::begin"),
        ("turns[0]::begin", "turns[0]::inner[0]::a"),
        ("turns[0]::inner[1]::b", "turns[1]::begin"),
        ("turns[0]::inner[0]::a", "turns[0]::inner[0]::b"),
        ("yes-1", "yes-2"),
        ("turns[1]::inner[0]::a", "last"),
    ],
)
def test_a_step_precedes_what_the_plan_runs_after_it(earlier: str, later: str) -> None:
    assert ORDER.precedes(earlier, later)
    assert not ORDER.precedes(later, earlier)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("left", "right[0]::leaf"),
        ("right[0]::leaf", "right[1]::leaf"),
        ("a1", "b2"),
        ("turns[0]::inner[0]::a", "turns[0]::inner[1]::b"),
        ("yes-1", "else-1"),
        ("lanes", "left"),
        ("first", "first"),
    ],
)
def test_steps_that_may_run_at_the_same_time_precede_neither(one: str, other: str) -> None:
    assert not ORDER.precedes(one, other)
    assert not ORDER.precedes(other, one)
