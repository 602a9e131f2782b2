"""The port Machines: one machine per definition, one execution per run, and a stop that is safe."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml

from taskrunner.adapters.executions import Executions
from taskrunner.compiler.compiled import compile_pack
from taskrunner.compiler.emit import execution_input
from tests.contract.ports import a_run, client, moto
from tests.fakes.executions import MemoryMachines
from tests.packs import pack
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.run import Run
    from taskrunner.ports import Machines

COMPILED = compile_pack(pack("- {id: ship, run: {uses: builtin:noop}}"), {})
INPUT = execution_input(COMPILED.plan, "acme", "run-7")


class Seen(Protocol):
    """What a look at the machines themselves shows."""

    @property
    def port(self) -> Machines: ...

    def inputs(self, run: Run) -> dict[str, object]:
        """The input of each execution of the run's machine, by its name."""
        ...

    def stopped(self, run: Run) -> bool: ...


@dataclass
class InMemory:
    port: MemoryMachines

    def inputs(self, run: Run) -> dict[str, object]:
        return dict(self.port.started) if run.machine in self.port.definitions else {}

    def stopped(self, run: Run) -> bool:
        return run.execution in self.port.stopped


@dataclass
class OnAws:
    port: Executions
    states: Any
    account: str

    def inputs(self, run: Run) -> dict[str, object]:
        known = self.states.list_state_machines()["stateMachines"]
        if run.machine not in {one["name"] for one in known}:
            return {}
        arn = f"{self.account}:stateMachine:{run.machine}"
        found = self.states.list_executions(stateMachineArn=arn)["executions"]
        return {
            one["name"]: json.loads(self._described(run, one["name"])["input"]) for one in found
        }

    def stopped(self, run: Run) -> bool:
        return bool(self._described(run, run.execution)["status"] == "ABORTED")

    def _described(self, run: Run, execution: str) -> Any:  # noqa: ANN401 - boto3's own
        arn = f"{self.account}:execution:{run.machine}:{execution}"
        return self.states.describe_execution(executionArn=arn)


@pytest.fixture(name="seen", params=["memory", "aws"])
def _seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    if request.param == "memory":
        yield InMemory(MemoryMachines())
        return
    with moto():
        states = client("stepfunctions")
        role = client("iam").create_role(RoleName="machines", AssumeRolePolicyDocument="{}")
        frame = (ROOT / "statemachine/pack_run.asl.yaml").read_text(encoding="utf-8")
        prototype = states.create_state_machine(
            name="taskrunner-prototype",
            definition=json.dumps(yaml.safe_load(frame)),
            roleArn=role["Role"]["Arn"],
        )["stateMachineArn"]
        port = Executions(states, prototype, "taskrunner", lambda _: None)
        yield OnAws(port, states, prototype.split(":stateMachine:")[0])


def of_pack(seen: Seen, execution: str = "one") -> Run:
    name = seen.port.name("a-pack", COMPILED.definition_hash)
    return a_run("run-7", machine=name, execution=execution)


@pytest.mark.parametrize("pack_name", ["a", "deploy-app", "x" * 63])
def test_a_name_is_short_and_tells_definitions_apart(seen: Seen, pack_name: str) -> None:
    one, same, other = (seen.port.name(pack_name, f"sha256:{c * 64}") for c in "aab")

    assert one == same != other
    assert len(one) <= 80


def test_an_execution_starts_with_its_input_and_once(seen: Seen) -> None:
    run = of_pack(seen)

    for given in (INPUT, INPUT):
        seen.port.start(run, COMPILED.definition, given)

    assert seen.inputs(run) == {"one": INPUT}


def test_runs_of_one_definition_share_its_machine(seen: Seen) -> None:
    run = of_pack(seen)

    for one in (run, replace(run, execution="two")):
        seen.port.start(one, COMPILED.definition, INPUT)

    assert set(seen.inputs(run)) == {"one", "two"}


def test_a_stop_before_the_start_is_none_and_two_are_one(seen: Seen) -> None:
    run = of_pack(seen)
    seen.port.stop(run)
    assert seen.inputs(run) == {}
    seen.port.start(run, COMPILED.definition, INPUT)

    for _ in range(2):
        seen.port.stop(run)

    assert seen.stopped(run)


def test_a_stop_leaves_other_runs_alone(seen: Seen) -> None:
    run, other = of_pack(seen), of_pack(seen, "other")
    for one in (run, other):
        seen.port.start(one, COMPILED.definition, INPUT)

    seen.port.stop(run)

    assert (seen.stopped(run), seen.stopped(other)) == (True, False)
