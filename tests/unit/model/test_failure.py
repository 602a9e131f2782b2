"""The reach of a failure, and the blocks of a pack that a failure can stop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from taskrunner.compiler.driver import plan_pack
from taskrunner.model.failure import STEPS, Reach, can_stop_run_steps, reach, stoppable_blocks
from taskrunner.model.plan import walk
from tests.machine.generated_packs import packs
from tests.packs import pack
from tests.unit.model.state.journals import first_path

if TYPE_CHECKING:
    from typing import Any

    from taskrunner.model.plan import Plan


def planned(steps: str) -> Plan:
    spec = """
    inputs: [{name: go, type: boolean, default: true}]
    policies: [{id: rules, version: "1", rules: [{id: r, require: inputs.go}]}]
    """
    return plan_pack(pack(steps, spec=spec), {})


NOTHING, THE_RUN = Reach(), Reach(run=True)
NESTED = planned(
    """
    - {id: alone, run: {uses: builtin:noop}}
    - {id: may-fail, continueOnError: true, run: {uses: builtin:noop}}
    - id: lanes
      parallel:
        steps:
          - {id: lane, run: {uses: builtin:noop}}
          - {id: lane-may-fail, continueOnError: true, run: {uses: builtin:noop}}
          - id: each
            continueOnError: true
            map:
              items: {static: [1, 2]}
              steps:
                - {id: item, run: {uses: builtin:noop}}
                - id: inner
                  parallel:
                    steps:
                      - {id: leaf, run: {uses: builtin:noop}}
                      - id: turns
                        loop:
                          items: {static: [1, 2]}
                          iterator: number
                          index: turn-index
                          body: [{id: turn, run: {uses: builtin:noop}}]
    - id: guarded
      continueOnError: true
      gate:
        policy:
          policy: rules
          failureAction: branch
          branch:
            - {id: repair, run: {uses: builtin:noop}}
            - id: one-by-one
              loop: {items: {static: [1]}, body: [{id: only, run: {uses: builtin:noop}}]}
            - id: hosts
              map: {items: {static: [1]}, step: {id: host, run: {uses: builtin:noop}}}
    """
)


@pytest.mark.parametrize(
    ("path", "expected", "stoppable"),
    [
        ("alone", THE_RUN, []),
        ("may-fail", NOTHING, []),
        ("lanes", THE_RUN, []),
        ("lane", THE_RUN, []),
        ("lane-may-fail", NOTHING, []),
        ("each[1]::item", NOTHING, []),
        ("each[1]::inner", NOTHING, []),
        ("each[1]::leaf", Reach(block="each[1]::inner"), ["each[1]::inner"]),
        ("each[0]::turns", Reach(block="each[0]::inner"), ["each[0]::inner"]),
        ("each[0]::turns[1]::turn", Reach(block="each[0]::inner"), ["each[0]::inner"]),
        ("repair", NOTHING, []),
        ("one-by-one[0]::only", Reach(block="one-by-one"), ["one-by-one"]),
        ("hosts", NOTHING, []),
        ("hosts[0]::host", Reach(block="hosts"), ["hosts"]),
    ],
)
def test_a_failure_reaches_the_outermost_block_that_may_not_fail(
    path: str, expected: Reach, stoppable: list[str]
) -> None:
    assert reach(NESTED, path) == expected
    assert stoppable_blocks(NESTED, path) == stoppable


@pytest.mark.parametrize(
    ("continues", "fails_fast", "of_a_leaf", "of_the_map"),
    [
        ("false", "true", THE_RUN, THE_RUN),
        ("true", "false", Reach(block="each[0]::inner"), NOTHING),
        ("true", "true", Reach(block="each"), NOTHING),
        ("false", "false", Reach(block="each[0]::inner"), THE_RUN),
    ],
)
def test_a_failure_stops_the_remaining_items_only_with_fail_fast(
    continues: str, fails_fast: str, of_a_leaf: Reach, of_the_map: Reach
) -> None:
    plan = planned(
        f"""
        - id: each
          continueOnError: {continues}
          map:
            items: {{static: [1, 2]}}
            failFast: {fails_fast}
            step: {{id: inner, parallel: {{steps: [{{id: leaf, run: {{uses: builtin:noop}}}}]}}}}
        """
    )

    assert reach(plan, "each[0]::leaf") == of_a_leaf
    assert reach(plan, "each") == of_the_map
    stopped = of_a_leaf.block
    assert stoppable_blocks(plan, "each[0]::leaf") == ([] if stopped is None else [stopped])


def test_a_step_is_inside_of_every_block_that_a_failure_can_stop() -> None:
    plan = planned(
        """
        - id: outer
          continueOnError: true
          conditional:
            branches:
              - condition: "`true`"
                steps:
                  - id: lanes
                    parallel:
                      steps:
                        - {id: beside, run: {uses: builtin:noop}}
                        - id: each
                          continueOnError: true
                          map:
                            items: {static: [1]}
                            step:
                              id: inner
                              parallel: {steps: [{id: leaf, run: {uses: builtin:noop}}]}
        """
    )

    assert stoppable_blocks(plan, "each[0]::leaf") == ["lanes", "each[0]::inner"]
    assert reach(plan, "beside") == Reach(block="lanes")
    assert reach(plan, "each[0]::leaf") == Reach(block="each[0]::inner")


@settings(max_examples=60)
@given(pack=packs())
def test_every_step_of_a_stopped_block_knows_that_the_block_can_be_stopped(
    pack: dict[str, Any],
) -> None:
    plan = plan_pack(json.dumps(pack), {})  # JSON is YAML, and is written at once
    paths = [first_path(plan, step.id) for step in plan.all_steps()]

    for path in paths:
        stopped = reach(plan, path).block
        if stopped is None:
            continue
        if stopped == STEPS:
            inside = {step.id for step in walk(plan.steps)}
        else:
            block = plan.step(stopped.rpartition("::")[2])
            inside = {step.id for step in walk((block,))} - {block.id}
        for other in paths:
            is_inside = other.rpartition("::")[2] in inside
            assert (stopped in stoppable_blocks(plan, other)) is is_inside


def test_a_failure_stops_the_steps_before_finally_and_one_in_finally_ends_the_run() -> None:
    manifest = pack(
        """
        - {id: broken, run: {uses: builtin:noop}}
        - {id: passed, continueOnError: true, run: {uses: builtin:noop}}
        """,
        spec="finally: [{id: undo, run: {uses: builtin:noop}}]",
    )
    plan = plan_pack(manifest, {})

    assert reach(plan, "broken") == Reach(run=True, block=STEPS)
    assert reach(plan, "passed") == Reach()
    assert reach(plan, "undo") == Reach(run=True)
    assert stoppable_blocks(plan, "passed") == [STEPS]
    assert stoppable_blocks(plan, "undo") == []


def test_a_failure_in_finally_may_stop_a_block_there_that_the_run_goes_on_after() -> None:
    spec = """
    approvals: [{id: x}]
    finally:
      - id: outer
        continueOnError: true
        parallel:
          steps:
            - {id: lanes, parallel: {steps: [{id: undo, run: {uses: builtin:noop}}]}}
    """
    plan = plan_pack(pack("- {id: review, gate: {approval: {id: x}}}", spec=spec), {})

    assert stoppable_blocks(plan, "undo") == ["lanes"]
    assert can_stop_run_steps(plan)
