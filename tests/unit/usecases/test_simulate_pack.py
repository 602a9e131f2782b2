"""Simulations: the table of the language's section 6, row by row, in the API's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskrunner.compiler.budget import prices
from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from taskrunner.usecases import simulate_pack as use_case
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.simulate_pack import simulate_pack
from tests.api_schema import assert_conforms
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.scenarios import GATED, a_request

SPEC = """
inputs:
  - {name: hosts, type: array, default: [a, b]}
  - {name: off, type: boolean, default: false}
approvals:
  - {id: review, message: Look at it}
policies:
  - {id: rules, version: "7", rules: [{id: r, require: inputs.hosts}]}
"""
FIRST = "- {id: first, run: {uses: builtin:noop}}\n"


def simulated(steps: str, **inputs: object) -> dict[str, Any]:
    """The answer to a simulation, checked against the API's document."""
    body = simulate_pack(pack(steps, spec=SPEC), inputs)
    headers = {"content-type": "application/json", "x-request-id": "request-1"}
    path = "/v1/task-runner/simulations"
    assert_conforms("POST", path, 200, headers, json.dumps(body))
    return body


def last(steps: str, **inputs: object) -> dict[str, Any]:
    """The last step of *steps*, simulated."""
    step: dict[str, Any] = simulated(steps, **inputs)["steps"][-1]
    return step


def ids(step: dict[str, Any]) -> list[str]:
    return [child["id"] for child in step["children"]]


def summary(step: dict[str, Any]) -> tuple[str, str | None, bool]:
    return step["status"], step.get("statusReason"), step["enabled"]


def test_shows_a_run_step_as_pending() -> None:
    assert last("- {id: a, name: Build, continueOnError: true, run: {uses: builtin:noop}}") == {
        "id": "a",
        "templateId": "a",
        "name": "Build",
        "kind": "Run",
        "enabled": True,
        "continueOnError": True,
        "status": "Pending",
        "uses": "builtin:noop",
        "children": [],
    }


def test_shows_a_parallel_with_its_steps() -> None:
    step = last(
        """
        - id: both
          parallel:
            maxParallel: 2
            steps: [{id: a, run: {uses: builtin:noop}}, {id: b, run: {uses: builtin:noop}}]
        """
    )

    assert summary(step) == ("Pending", None, True)
    assert step["maxParallel"] == 2
    assert ids(step) == ["a", "b"]


def test_shows_the_steps_of_finally_last_and_says_so() -> None:
    manifest = pack(
        "- {id: build, run: {uses: builtin:noop}}",
        spec="""
        finally:
          - {id: never, when: "`1` == `2`", run: {uses: builtin:noop}}
          - id: both
            parallel: {steps: [{id: undo, run: {uses: builtin:noop}}]}
        """,
    )

    steps = simulate_pack(manifest, {})["steps"]

    assert [(step["id"], step.get("phase"), step["status"]) for step in steps] == [
        ("build", None, "Pending"),
        ("never", "finally", "Skipped"),
        ("both", "finally", "Pending"),
    ]
    assert "phase" not in steps[2]["children"][0]


def test_shows_a_map_with_its_known_items() -> None:
    step = last(
        """
        - id: each
          map:
            items: {static: [a, b]}
            iterator: host
            index: nr
            maxParallel: 3
            steps: [{id: a, run: {uses: builtin:noop}}, {id: b, run: {uses: builtin:noop}}]
        """
    )

    assert summary(step) == ("Pending", None, True)
    assert ids(step) == ["each[0]::a", "each[0]::b", "each[1]::a", "each[1]::b"]
    assert [child["templateId"] for child in step["children"]] == ["a", "b", "a", "b"]
    assert step["mapInfo"] == {
        "iterator": "host",
        "index": "nr",
        "mode": "inline",
        "itemCount": 2,
    }
    assert step["maxParallel"] == 3


def test_shows_a_map_of_unknown_items_by_its_template() -> None:
    step = last(FIRST + "- {id: each, map: {items: steps.first.outputs.xs, step: " + NOOP + "}}")

    assert summary(step) == ("WillIterate", None, True)
    assert ids(step) == ["a"]
    assert step["mapInfo"]["itemsExpression"] == "steps.first.outputs.xs"
    assert "itemCount" not in step["mapInfo"]


NOOP = "{id: a, run: {uses: builtin:noop}}"


def test_shows_nested_maps_with_the_step_ids_of_the_run() -> None:
    step = last(
        """
        - id: outer
          map:
            items: {static: [1, 2]}
            step:
              id: inner
              map:
                items: {static: [1]}
                iterator: part
                index: nr
                step: {id: leaf, run: {uses: builtin:noop}}
        """
    )

    assert ids(step) == ["outer[0]::inner", "outer[1]::inner"]
    assert ids(step["children"][1]) == ["outer[1]::inner[0]::leaf"]


def test_shows_a_map_of_no_items_without_children() -> None:
    step = last("- {id: each, map: {items: inputs.hosts, step: " + NOOP + "}}", hosts=[])

    assert (step["status"], step["children"], step["mapInfo"]["itemCount"]) == ("Pending", [], 0)


def test_shows_a_map_of_too_many_items_by_its_template() -> None:
    def mapped(count: int) -> dict[str, Any]:
        return last(
            "- {id: each, map: {items: inputs.hosts, step: " + NOOP + "}}", hosts=[1] * count
        )

    assert len(mapped(use_case.MAX_EXPANDED_ITEMS)["children"]) == use_case.MAX_EXPANDED_ITEMS
    assert ids(mapped(use_case.MAX_EXPANDED_ITEMS + 1)) == ["a"]


def test_shows_a_map_of_10000_items_as_distributed() -> None:
    small, large = (
        last(f"- {{id: each, map: {{items: {{range: {{end: {count - 1}}}}}, step: {NOOP}}}}}")
        for count in (1000, 10_000)
    )

    assert small["mapInfo"]["mode"] == "inline"
    assert large["mapInfo"]["mode"] == "distributed"
    assert large["mapInfo"]["itemCount"] == 10_000


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_shows_a_map_over_inputs_as_distributed_whatever_its_items_are(count: int) -> None:
    each = last(f"- {{id: each, map: {{items: inputs.hosts, step: {NOOP}}}}}", hosts=[1] * count)

    assert each["mapInfo"]["mode"] == "distributed"
    assert each["mapInfo"]["itemCount"] == count


@pytest.mark.parametrize(("most", "mode"), [(40, "inline"), (41, "distributed")])
def test_shows_a_map_of_high_concurrency_as_distributed(most: int, mode: str) -> None:
    items = "{static: [a]}"
    step = last(f"- {{id: each, map: {{items: {items}, maxParallel: {most}, step: {NOOP}}}}}")

    assert step["mapInfo"]["mode"] == mode


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        ("inputs.hosts", '["a", "b"]'),
        ("{range: {start: 1, end: 3}}", "[1, 2, 3]"),
        ("{static: [x]}", '["x"]'),
        ('"{{ steps.first.outputs.xs }}"', "steps.first.outputs.xs"),
    ],
)
def test_shows_a_loop_by_its_body(items: str, shown: str) -> None:
    step = last(
        FIRST
        + f"""
- id: turns
  loop: {{items: {items}, maxIterations: 9, aggregation: last, body: [{NOOP}]}}
"""
    )

    assert summary(step) == ("WillIterate", None, True)
    assert ids(step) == ["a"]
    assert step["loopInfo"] == {
        "itemsExpression": shown,
        "iterator": "item",
        "index": "index",
        "maxIterations": 9,
        "aggregationMode": "last",
    }


CHOICE = """
- id: choice
  conditional:
    outputUnion: true
    branches:
      - condition: CONDITION
        steps: [{id: a, run: {uses: builtin:noop}}, {id: b, run: {uses: builtin:noop}}]
    else: [{id: c, gate: {approval: {id: review}}}]
"""


def test_shows_a_conditional_with_every_branch() -> None:
    step = last(FIRST + CHOICE.replace("CONDITION", "steps.first.outputs.x"))

    assert summary(step) == ("WillBranch", None, True)
    assert ids(step) == ["a", "b", "c"]
    assert [child["status"] for child in step["children"]] == [
        "Pending", "Pending", "RequiresApproval",
    ]  # fmt: skip
    assert step["conditionalInfo"] == {
        "branches": [{"condition": "steps.first.outputs.x", "stepCount": 2}],
        "elseStepCount": 1,
        "outputUnion": True,
    }


@pytest.mark.parametrize(("off", "skipped"), [(True, ["c"]), (False, ["a", "b"])])
def test_skips_branches_that_are_known_not_to_be_taken(*, off: bool, skipped: list[str]) -> None:
    answer = simulated(CHOICE.replace("CONDITION", "inputs.off"), off=off)
    (step,) = answer["steps"]

    assert step["status"] == "WillBranch"
    for child in step["children"]:
        if child["id"] in skipped:
            assert summary(child) == ("Skipped", "branch-not-taken", False)
        else:
            assert child["enabled"]
    assert answer["hasPendingApprovals"] is (not off)


def test_shows_a_gate_with_its_approval() -> None:
    step = last("- {id: g, gate: {approval: {id: review}}}")

    assert summary(step) == ("RequiresApproval", None, True)
    assert (step["approvalId"], step["gateMessage"]) == ("review", "Look at it")
    assert step["children"] == []


def test_shows_a_policy_gate_with_its_policy_and_branch() -> None:
    step = last(
        """
        - id: g
          gate:
            policy:
              policy: rules
              failureAction: branch
              retries: {count: 2}
              branch: [{id: repair, run: {uses: builtin:noop}}]
        """
    )

    assert summary(step) == ("RequiresPolicy", None, True)
    assert ids(step) == ["repair"]
    assert step["policyInfo"] == {
        "policyId": "rules",
        "policyVersion": "7",
        "failureAction": "branch",
        "retryCount": 2,
    }


@pytest.mark.parametrize(
    ("gate", "pending"),
    [
        ("{policy: {policy: rules}}", False),
        ("{policy: {policy: rules, failureAction: warn}}", False),
        (
            "{policy: {policy: rules, failureAction: requestOverride, override: OVERRIDE}}",
            True,
        ),
        ("{approval: {id: review}}", True),
    ],
)
def test_says_whether_an_approval_may_be_needed(gate: str, *, pending: bool) -> None:
    gate = gate.replace("OVERRIDE", "{approval: review}")
    for steps in (f"- {{id: g, gate: {gate}}}", inside(f"{{id: g, gate: {gate}}}")):
        assert simulated(steps)["hasPendingApprovals"] is pending


def test_needs_no_approval_of_a_skipped_gate() -> None:
    gate = "{id: g, when: inputs.off, gate: {approval: {id: review}}}"

    assert simulated(f"- {gate}")["hasPendingApprovals"] is False
    assert simulated(inside(gate))["hasPendingApprovals"] is False
    assert simulated(inside(gate), off=True)["hasPendingApprovals"] is True


def inside(step: str) -> str:
    return f"""
    - id: outer
      map: {{items: inputs.hosts, steps: [{{id: both, parallel: {{steps: [{step}]}}}}]}}
    """


EVERY_BLOCK = [
    "parallel: {steps: [" + NOOP + "]}",
    "map: {items: inputs.hosts, step: " + NOOP + "}",
    "loop: {items: inputs.hosts, body: [" + NOOP + "]}",
    "conditional: {branches: [{condition: run.id, steps: [" + NOOP + "]}]}",
    "gate: {policy: {policy: rules, failureAction: branch, branch: [" + NOOP + "]}}",
]


@pytest.mark.parametrize("block", EVERY_BLOCK)
def test_skips_a_block_with_its_children(block: str) -> None:
    step = last("- {id: x, when: inputs.off, " + block + "}")

    assert summary(step) == ("Skipped", "condition-false", False)
    assert [summary(child) for child in step["children"]] == [("Skipped", "parent-skipped", False)]


@pytest.mark.parametrize("block", ["run: {uses: builtin:noop}", *EVERY_BLOCK])
def test_marks_a_condition_that_only_the_run_can_evaluate(block: str) -> None:
    step = last(FIRST + "- {id: x, when: steps.first.outputs.ok, " + block + "}")

    assert step["status"] != "Skipped"
    assert step["statusReason"] == "condition-at-runtime"
    assert step["enabled"] is True
    assert "condition-at-runtime" not in {child.get("statusReason") for child in step["children"]}


def test_skips_a_step_in_a_skipped_block_whatever_its_condition() -> None:
    child = "{id: a, when: run.id, run: {uses: builtin:noop}}"
    step = last("- {id: x, when: inputs.off, parallel: {steps: [" + child + "]}}")

    assert summary(step["children"][0]) == ("Skipped", "parent-skipped", False)


def test_shows_the_budget_of_the_compiled_pack() -> None:
    steps = FIRST + "- {id: each, map: {items: inputs.hosts, step: " + NOOP + "}}"
    counted = compile_pack(pack(steps, spec=SPEC), {}).budget

    assert simulated(steps)["budget"] == {
        "historyEvents": counted.history_events,
        "stateTransitions": counted.state_transitions,
        "invocations": counted.invocations,
        "definitionBytes": counted.definition_bytes,
        "inputBytes": counted.input_bytes,
        "estimatedCostUsd": prices.estimated_usd(counted),
    }
    assert 0 < prices.estimated_usd(counted) < 0.01


def test_each_item_adds_to_the_budget() -> None:
    steps = "- {id: each, map: {items: inputs.hosts, step: " + NOOP + "}}"
    small, large = (simulated(steps, hosts=[1] * count)["budget"] for count in (1, 2))

    # Each item is an execution of its own, with a history of its own.
    same = {"definitionBytes", "historyEvents"}
    assert all(large[key] > small[key] for key in small.keys() - same)
    assert {key: large[key] for key in same} == {key: small[key] for key in same}


def test_names_the_step_that_exceeds_a_platform_limit() -> None:
    loop = f"""
    - {{id: first, run: {{uses: builtin:noop}}}}
    - id: turns
      loop: {{items: {{range: {{end: 9999}}}}, maxIterations: 10000, body: [{NOOP}]}}
    """

    with pytest.raises(InvalidPackError) as refused:
        simulate_pack(pack(loop), {})

    assert [problem.path for problem in refused.value.diagnostics] == ["$.spec.steps[1]"]


def test_marks_outputs_that_need_a_run() -> None:
    spec = SPEC + (
        "outputs:\n  - {name: f, type: file, path: /output/a}\n"
        "  - {name: o, type: object, expression: inputs}\n"
    )

    assert simulate_pack(pack(FIRST, spec=spec), {})["outputs"] == [
        {
            "name": "f",
            "type": "file",
            "requiresRuntimeValue": True,
            "pathExpression": "/output/a",
        },
        {
            "name": "o",
            "type": "object",
            "requiresRuntimeValue": True,
            "valueExpression": "inputs",
        },
    ]


CONDITIONAL = pack(
    """
    - id: review
      when: inputs.stage == 'prod'
      gate: {approval: {id: security}}
    - id: ship
      name: Ship it
      continueOnError: true
      run: {uses: builtin:noop}
    """,
    spec="""
    inputs: [{name: stage, type: string, default: dev}]
    approvals: [{id: security}]
    failure: {retries: {maxAttempts: 3, backoffSeconds: 10}}
    """,
)


def test_shows_what_each_step_would_do() -> None:
    simulated = simulate_pack(CONDITIONAL, {"stage": "prod"})

    assert simulated["steps"] == [
        {
            "id": "review",
            "templateId": "review",
            "kind": "GateApproval",
            "enabled": True,
            "continueOnError": False,
            "children": [],
            "status": "RequiresApproval",
            "approvalId": "security",
        },
        {
            "id": "ship",
            "templateId": "ship",
            "name": "Ship it",
            "kind": "Run",
            "enabled": True,
            "continueOnError": True,
            "children": [],
            "status": "Pending",
            "uses": "builtin:noop",
            "retries": {"maxAttempts": 3, "backoffSeconds": 10},
        },
    ]
    assert simulated["failurePolicy"] == {
        "maxAttempts": 3,
        "backoffSeconds": 10,
        "continueOnError": False,
    }


def test_skips_a_step_whose_condition_is_false() -> None:
    simulated = simulate_pack(CONDITIONAL, {})

    review = simulated["steps"][0]
    assert (review["status"], review["statusReason"], review["enabled"]) == (
        "Skipped",
        "condition-false",
        False,
    )


@pytest.mark.parametrize(("stage", "pending"), [("prod", True), ("dev", False)])
def test_needs_an_approval_only_for_a_gate_that_is_reached(stage: str, *, pending: bool) -> None:
    assert simulate_pack(CONDITIONAL, {"stage": stage})["hasPendingApprovals"] is pending


def test_shows_outputs_as_run_time_values() -> None:
    assert simulate_pack(GATED, {})["outputs"] == [
        {
            "name": "size",
            "type": "object",
            "requiresRuntimeValue": True,
            "valueExpression": "{{ steps.ship.outputs }}",
        }
    ]


def test_a_run_has_the_plan_hash_of_its_simulation() -> None:
    simulated = simulate_pack(GATED, {})

    created = create_run(a_request(GATED), MemoryWorld())

    assert (created["planHash"], created["definitionHash"]) == (
        simulated["planHash"],
        simulated["definitionHash"],
    )


def test_inputs_change_the_plan_hash_and_not_the_definition_hash() -> None:
    dev, prod = (simulate_pack(CONDITIONAL, {"stage": stage}) for stage in ("dev", "prod"))

    assert dev["definitionHash"] == prod["definitionHash"]
    assert dev["planHash"] != prod["planHash"]


def test_reports_every_mistake() -> None:
    manifest = pack(
        "- {id: one, run: {uses: builtin:nope}}\n- {id: one, run: {uses: builtin:noop}}"
    )

    with pytest.raises(InvalidPackError) as caught:
        simulate_pack(manifest, {})

    assert len(caught.value.diagnostics) == 2
