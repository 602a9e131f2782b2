"""The port Machines: one machine for each definition, one execution for each run, and stopping."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml

from taskrunner.adapters.executions import StepFunctionsMachines
from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine.execution_input import execution_input
from tests.contract.ports import client, moto
from tests.contract.samples import a_run
from tests.fakes.executions import MemoryMachines
from tests.packs import pack
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.run import Run
    from taskrunner.ports import Machines

COMPILED = compile_pack(pack("- {id: ship, run: {uses: builtin:noop}}"), {})
INPUT = execution_input(COMPILED.plan, "acme", "run-7")


class Observed(Protocol):
    """A port, with a view of its machines and executions."""

    @property
    def port(self) -> Machines: ...

    def inputs(self, run: Run) -> dict[str, object]:
        """Return the inputs of the executions of the run's machine by their names."""
        ...

    def is_stopped(self, run: Run) -> bool: ...


@dataclass
class InMemory:
    port: MemoryMachines

    def inputs(self, run: Run) -> dict[str, object]:
        return dict(self.port.started) if run.machine in self.port.definitions else {}

    def is_stopped(self, run: Run) -> bool:
        return run.execution in self.port.stopped


@dataclass
class OnAws:
    port: StepFunctionsMachines
    states: Any
    account: str

    def inputs(self, run: Run) -> dict[str, object]:
        existing = self.states.list_state_machines()["stateMachines"]
        if run.machine not in {machine["name"] for machine in existing}:
            return {}
        arn = f"{self.account}:stateMachine:{run.machine}"
        executions = self.states.list_executions(stateMachineArn=arn)["executions"]
        names = [execution["name"] for execution in executions]
        return {name: json.loads(self._describe(run, name)["input"]) for name in names}

    def is_stopped(self, run: Run) -> bool:
        return bool(self._describe(run, run.execution)["status"] == "ABORTED")

    def _describe(self, run: Run, execution: str) -> Any:  # noqa: ANN401 - boto3's own
        arn = f"{self.account}:execution:{run.machine}:{execution}"
        return self.states.describe_execution(executionArn=arn)


@pytest.fixture(name="observed", params=["memory", "aws"])
def _observed(request: pytest.FixtureRequest) -> Iterator[Observed]:
    if request.param == "memory":
        yield InMemory(MemoryMachines())
        return
    with moto():
        states = client("stepfunctions")
        role = client("iam").create_role(RoleName="machines", AssumeRolePolicyDocument="{}")
        frame = (ROOT / "statemachine/pack_run.asl.yaml").read_text(encoding="utf-8")
        prototype = states.create_state_machine(
            name="taskrunner-prototype",
            definition=json.dumps(yaml.load(frame, yaml.CSafeLoader)),
            roleArn=role["Role"]["Arn"],
        )["stateMachineArn"]
        port = StepFunctionsMachines(states, prototype, "taskrunner", lambda _: None)
        yield OnAws(port, states, prototype.split(":stateMachine:")[0])


def run_of_pack(observed: Observed, execution: str = "one") -> Run:
    name = observed.port.name("a-pack", "1.0.0", COMPILED.definition)
    return a_run(
        "run-7", pack_name="a-pack", pack_version="1.0.0", machine=name, execution=execution
    )


@pytest.mark.parametrize("pack_name", ["a", "deploy-app", "x" * 63])
def test_a_name_is_short_and_differs_between_definitions(
    observed: Observed, pack_name: str
) -> None:
    definitions = ({"Comment": comment} for comment in ("a", "a", "b"))
    name, same, other = (observed.port.name(pack_name, "1.0.0", each) for each in definitions)

    assert name == same != other
    assert len(name) <= 80


def test_starting_twice_starts_one_execution_with_its_input(observed: Observed) -> None:
    run = run_of_pack(observed)

    for _ in range(2):
        observed.port.start(run, COMPILED.definition, INPUT)

    assert observed.inputs(run) == {"one": INPUT}


def test_the_start_that_makes_the_machine_says_so_and_no_other(observed: Observed) -> None:
    run = run_of_pack(observed)
    runs = (run, run, replace(run, execution="two"))

    made = [observed.port.start(each, COMPILED.definition, INPUT) for each in runs]

    assert made == [True, False, False]


def test_runs_of_one_definition_share_a_machine(observed: Observed) -> None:
    run = run_of_pack(observed)

    for other in (run, replace(run, execution="two")):
        observed.port.start(other, COMPILED.definition, INPUT)

    assert set(observed.inputs(run)) == {"one", "two"}


def test_stopping_before_the_start_or_twice_has_no_further_effect(observed: Observed) -> None:
    run = run_of_pack(observed)
    observed.port.stop(run)
    assert observed.inputs(run) == {}
    observed.port.start(run, COMPILED.definition, INPUT)

    for _ in range(2):
        observed.port.stop(run)

    assert observed.is_stopped(run)


def test_stopping_does_not_affect_other_runs(observed: Observed) -> None:
    run, other = run_of_pack(observed), run_of_pack(observed, "other")
    for started in (run, other):
        observed.port.start(started, COMPILED.definition, INPUT)

    observed.port.stop(run)

    assert (observed.is_stopped(run), observed.is_stopped(other)) == (True, False)
