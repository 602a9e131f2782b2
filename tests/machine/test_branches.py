"""The branches of a parallel: several steps one after another, beside those of other branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.machine.runs import (
    decide,
    ended,
    has_entry,
    log,
    outputs,
    run,
    start,
    statuses,
    wait_for_gates,
)
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine


@pytest.mark.parametrize("limit", ["", "maxParallel: 1"])
def test_the_steps_of_a_branch_run_in_order_and_are_listed_with_its_name_or_number(
    ana: Client, limit: str
) -> None:
    manifest = pack(
        f"""
        - id: both
          parallel:
            {limit}
            branches:
              - name: eu
                steps:
                  - {{id: a, run: {{uses: builtin:noop, with: {{n: 1}}}}}}
                  - {{id: skipped, when: "`false`", run: {{uses: builtin:noop}}}}
                  - id: b
                    map:
                      items: steps.a.outputs.n && [`1`]
                      step: {{id: leaf, run: {{uses: builtin:noop, with: {{n: "{{{{ item }}}}"}}}}}}
              - steps:
                  - {{id: c, continueOnError: true, run: {{uses: builtin:fail}}}}
                  - id: d
                    run: {{uses: builtin:noop, with: {{was: "{{{{ steps.c.status }}}}"}}}}
        - {{id: after, run: {{uses: builtin:noop, with: {{all: "{{{{ steps.both.outputs }}}}"}}}}}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    listing = [
        (step["stepId"], step.get("parentId"), step.get("branch"), step["status"])
        for step in state["steps"]
    ]
    assert listing == [
        ("both", None, None, "Succeeded"),
        ("a", "both", "eu", "Succeeded"),
        ("skipped", "both", "eu", "Skipped"),
        ("b", "both", "eu", "Succeeded"),
        ("b[0]::leaf", "b", None, "Succeeded"),
        ("c", "both", "1", "Failed"),
        ("d", "both", "1", "Succeeded"),
        ("after", None, None, "Succeeded"),
    ]
    assert outputs(ana, state, "after")["all"] == {
        "a": {"n": 1},
        "b": {"results": [{"n": 1}], "statuses": ["Succeeded"]},
        "d": {"was": "Failed"},
    }
    ends = [
        line.get("stepId")
        for line in log(ana, state["runId"])
        if line["eventType"] in {"step.completed", "step.failed"}
    ]
    assert [step for step in ends if step in {"a", "b[0]::leaf"}] == ["a", "b[0]::leaf"]
    assert [step for step in ends if step in {"c", "d"}] == ["c", "d"]
    step = ana("GET", f"runs/{state['runId']}/steps/d").json
    children = ana("GET", f"runs/{state['runId']}", query={"parent": "both"}).json
    assert step["branch"] == "1"
    assert [child.get("branch") for child in children["steps"]] == ["eu", "eu", "eu", "1", "1"]


def test_a_failure_ends_its_branch_and_the_others_run_on_if_the_parallel_may_fail(
    ana: Client,
) -> None:
    manifest = pack(
        """
        - id: both
          continueOnError: true
          parallel:
            branches:
              - steps:
                  - {id: bad, run: {uses: builtin:fail}}
                  - {id: never, run: {uses: builtin:noop}}
              - steps:
                  - {id: good, run: {uses: builtin:noop}}
                  - {id: further, run: {uses: builtin:noop}}
        - {id: after, run: {uses: builtin:noop, with: {was: "{{ steps.both.status }}"}}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert statuses(state) == {
        "both": "Failed",
        "bad": "Failed executor-error",
        "never": "Skipped parent-skipped",
        "good": "Succeeded",
        "further": "Succeeded",
        "after": "Succeeded",
    }
    assert outputs(ana, state, "after") == {"was": "Failed"}


@pytest.mark.parametrize("around", ["", "continueOnError: true"])
def test_a_failure_in_a_branch_stops_the_others_and_what_follows_in_them(
    engine: Engine, ana: Client, bob: Client, around: str
) -> None:
    manifest = pack(
        f"""
        - id: outer
          {around}
          conditional:
            branches:
              - condition: run.id
                steps:
                  - id: lanes
                    continueOnError: false
                    parallel:
                      branches:
                        - steps:
                            - {{id: first, gate: {{approval: {{id: go}}}}}}
                            - {{id: bad, run: {{uses: builtin:fail}}}}
                            - {{id: never, run: {{uses: builtin:noop}}}}
                        - steps:
                            - {{id: ask, gate: {{approval: {{id: other}}}}}}
                            - {{id: act, run: {{uses: builtin:noop}}}}
                        - steps:
                            - {{id: done, run: {{uses: builtin:noop}}}}
        - {{id: after, run: {{uses: builtin:noop}}}}
        """,
        spec="approvals: [{id: go}, {id: other}]",
    )
    run_id = start(ana, manifest)
    for approval in ("go", "other"):
        wait_for_gates(ana, run_id, approval, 1)
    engine.until(lambda: has_entry(ana, run_id, "done", "step.completed"), "done does not end")
    decide(bob, run_id, "go")
    state = ended(ana, run_id)
    late = decide(bob, run_id, "other")
    engine.rest()

    reason = "parent-skipped" if around else "run-failed"
    assert state["status"] == ("succeeded" if around else "failed")
    assert statuses(state) == {
        "outer": "Failed",
        "lanes": "Failed",
        "first": "Succeeded",
        "bad": "Failed executor-error",
        "never": f"Skipped {reason}",
        "ask": f"Skipped {reason}",
        "act": f"Skipped {reason}",
        "done": "Succeeded",
        "after": "Succeeded" if around else f"Skipped {reason}",
    }
    assert late.status == 409
