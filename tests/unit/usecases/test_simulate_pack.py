from __future__ import annotations

import pytest

from taskrunner.errors import InvalidPackError
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.simulate_pack import simulate_pack
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.given import GATED, a_request

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


def test_it_says_what_each_step_would_do() -> None:
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
        },
    ]
    assert simulated["failurePolicy"] == {
        "maxAttempts": 3,
        "backoffSeconds": 10,
        "continueOnError": False,
    }


def test_a_step_whose_condition_is_false_is_skipped() -> None:
    simulated = simulate_pack(CONDITIONAL, {})

    review = simulated["steps"][0]
    assert (review["status"], review["statusReason"], review["enabled"]) == (
        "Skipped",
        "condition-false",
        False,
    )


@pytest.mark.parametrize(("stage", "pending"), [("prod", True), ("dev", False)])
def test_only_a_gate_that_is_reached_is_pending(stage: str, *, pending: bool) -> None:
    assert simulate_pack(CONDITIONAL, {"stage": stage})["hasPendingApprovals"] is pending


def test_outputs_come_at_run_time() -> None:
    assert simulate_pack(GATED, {})["outputs"] == [
        {
            "name": "size",
            "type": "object",
            "requiresRuntimeValue": True,
            "valueExpression": "{{ steps.ship.outputs }}",
        }
    ]


def test_a_run_of_the_pack_has_the_plan_that_was_simulated() -> None:
    simulated = simulate_pack(GATED, {})

    created = create_run(a_request(GATED), MemoryWorld())

    assert (created["planHash"], created["definitionHash"]) == (
        simulated["planHash"],
        simulated["definitionHash"],
    )


def test_the_machine_does_not_depend_on_inputs_and_the_plan_does() -> None:
    dev, prod = (simulate_pack(CONDITIONAL, {"stage": stage}) for stage in ("dev", "prod"))

    assert dev["definitionHash"] == prod["definitionHash"]
    assert dev["planHash"] != prod["planHash"]


def test_every_mistake_is_told() -> None:
    manifest = pack(
        "- {id: one, run: {uses: builtin:nope}}\n- {id: one, run: {uses: builtin:noop}}"
    )

    with pytest.raises(InvalidPackError) as caught:
        simulate_pack(manifest, {})

    assert len(caught.value.diagnostics) == 2
