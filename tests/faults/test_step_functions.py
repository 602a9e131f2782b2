"""The tests' Step Functions and moto's bring runs to the same end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.fakes.clock import StoppedClock
from tests.faults.play import Play
from tests.faults.scenarios import FUNCTIONS, SCENARIOS, SECRETS, Decide
from tests.faults.service import TENANT
from tests.faults.service import service as fresh_service
from tests.faults.step_functions import StepFunctions
from tests.machine.called_machines import FAIL, PASS, CalledMachines
from tests.machine.deployment import CALLED_MACHINE_PREFIX, called_machine_arn
from tests.machine.engine import engine as fresh_engine
from tests.machine.runs import decide, ended, start, statuses

if TYPE_CHECKING:
    from tests.faults.scenarios import Scenario


@pytest.mark.parametrize("name", ["every block", "approvals", "attempts"])
def test_a_run_ends_as_it_does_with_moto(name: str) -> None:
    scenario = SCENARIOS[name]

    with_moto = _played_with_moto(scenario)

    assert _played_here(scenario) == with_moto


def _played_here(scenario: Scenario) -> dict[str, Any]:
    with fresh_service(SECRETS, FUNCTIONS) as service:
        run = Play(scenario, service, {}).play().run
    assert run is not None
    return statuses(run) | {"run": run["status"]}


def _played_with_moto(scenario: Scenario) -> dict[str, Any]:
    with fresh_engine() as engine:
        for name, value in SECRETS.items():
            engine.store_secret(TENANT, name, value)
        engine.functions.update(FUNCTIONS)
        ana = engine.client(subject="ana")
        run_id = start(ana, scenario.manifest)
        for action in scenario.actions:
            assert isinstance(action, Decide)
            someone = engine.client(subject=action.subject, grants="packs.approve")
            decide(someone, run_id, action.approval, action.decision)
        run = ended(ana, run_id)
    return statuses(run) | {"run": run["status"]}


@pytest.mark.parametrize("state", [PASS, FAIL])
def test_an_execution_is_described_as_moto_describes_it(state: dict[str, Any]) -> None:
    definition = {"StartAt": "Only", "States": {"Only": state}}
    states = StepFunctions(StoppedClock(), lambda arn, _: pytest.fail(f"calls {arn}"))
    states.add(f"{CALLED_MACHINE_PREFIX}import", definition)
    request = {"stateMachineArn": called_machine_arn("import"), "name": "a", "input": '{"n": 1}'}
    arn = states.answer("StartExecution", request)["executionArn"]
    described = states.answer("DescribeExecution", {"executionArn": arn})

    with fresh_engine() as engine:
        machines = CalledMachines(engine)
        machines.make("import", state)
        boto3.client("stepfunctions").start_execution(**request)
        engine.until(
            lambda: machines.running("import")["status"] != "RUNNING", "the execution does not end"
        )
        by_moto = machines.running("import")

    compared = {name: by_moto.get(name) for name in ("status", "input", "output", "error", "cause")}
    assert compared | {"output": _value(compared)} == {
        name: described.get(name) for name in compared
    } | {"output": _value(described)}
    assert by_moto["executionArn"] == arn


def _value(described: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """The output of an execution, however its text is spaced."""
    return json.loads(described.get("output") or "null")
