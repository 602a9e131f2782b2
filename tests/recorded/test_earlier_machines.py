"""The functions of this release run the machines of every release to their end. See README.md."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner import errors
from taskrunner.adapters.executions import StepFunctionsMachines
from taskrunner.bootstrap import AwsWorld
from tests.architecture.test_machines import matched_errors
from tests.machine.engine import engine as running_engine
from tests.machine.runs import ended, start, state_of, statuses
from tests.moto_aws import session
from tests.recorded import journals, machines, recording
from tests.recorded.cases import PLAYS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskrunner.model.run import Run
    from tests.machine.engine import Engine
    from tests.recorded.machines import RecordedMachine

CURRENT = journals.current_release()
STARTED = [pack for pack in journals.PACKS if pack.stem != machines.NEVER_STARTS]
# test_recording runs the machines of this release, as the code compiles them.
EARLIER = [
    path
    for release in machines.releases()
    if release != CURRENT
    for path in machines.recorded(release)
]


class _RecordedMachines(StepFunctionsMachines):
    """Starts a recorded machine, with its recorded input, in place of what was compiled."""

    recorded: RecordedMachine

    def start(self, run: Run, *_: object) -> bool:
        assert run.plan_hash == self.recorded.plan_hash
        prototype = self._client.describe_state_machine(stateMachineArn=self._prototype_arn)
        machine = self._client.create_state_machine(
            name=run.machine,
            definition=json.dumps(self.recorded.definition),
            roleArn=prototype["roleArn"],
        )
        self._client.start_execution(
            stateMachineArn=machine["stateMachineArn"],
            name=run.execution,
            input=json.dumps(self.recorded.input_of(run.run_id)),
        )
        return True


class _WorldOfARelease(AwsWorld):
    def __init__(self, deployed: AwsWorld, recorded: RecordedMachine) -> None:
        super().__init__(deployed.environment, session())
        self._recorded = recorded

    @cached_property
    def machines(self) -> StepFunctionsMachines:
        environment = self.environment
        prototype = environment["PACK_RUN_MACHINE_ARN"]
        found = _RecordedMachines(self._step_functions, prototype, environment["MACHINE_PREFIX"])
        found.recorded = self._recorded
        return found


@pytest.fixture(name="engine")
def _engine() -> Iterator[Engine]:
    with running_engine() as engine:
        yield engine


@pytest.mark.parametrize("path", EARLIER, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_machine_of_an_earlier_release_comes_to_the_end_that_this_release_recorded(
    path: Path, engine: Engine
) -> None:
    pack = journals.PACKS[0].with_name(f"{path.stem}.yaml")
    engine.worlds["create_run"] = _WorldOfARelease(engine.world, machines.read(path))

    run_id = PLAYS[path.stem](engine, pack.read_text(encoding="utf-8"))

    state = state_of(engine.client(subject="ana"), run_id)
    journal = journals.JOURNALS / CURRENT / path.name
    expected = recording.from_text(journal.read_text(encoding="utf-8"))
    assert state["status"] == expected.state["status"]
    assert _statuses(state["steps"], "stepId") == _statuses(expected.state["steps"], "path")


def _statuses(steps: list[dict[str, Any]], name: str) -> dict[str, tuple[str, int]]:
    return {step[name]: (step["status"], step["attempts"]) for step in steps}


def test_a_gate_expires_in_the_state_that_earlier_machines_have_for_it(engine: Engine) -> None:
    name = "a-gate-expires-and-the-run-goes-on"
    recorded = machines.read(machines.MACHINES / "0.1" / f"{name}.json")
    _let_gates_wait(recorded.definition, seconds=4)  # in which a slow machine opens one
    engine.worlds["create_run"] = _WorldOfARelease(engine.world, recorded)
    ana = engine.client(subject="ana")
    pack = journals.PACKS[0].with_name(f"{name}.yaml").read_text(encoding="utf-8")

    state = ended(ana, start(ana, pack))

    expiries = [event for name, event in engine.calls if name == "open_gate" and "expired" in event]
    assert len(expiries) == 1
    assert state["status"] == "succeeded"
    assert "Failed approval-expired" in statuses(state).values()


def _let_gates_wait(node: Any, seconds: int) -> None:  # noqa: ANN401 - any part of a definition
    if isinstance(node, dict):
        if str(node.get("Resource", "")).endswith("waitForTaskToken"):
            node["TimeoutSeconds"] = seconds
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            _let_gates_wait(child, seconds)


@pytest.mark.parametrize("pack", STARTED, ids=lambda pack: pack.stem)
def test_this_release_has_recorded_its_machine(pack: Path, request: pytest.FixtureRequest) -> None:
    """A release that is out never changes its machines: raise the version, then record."""
    recorded = machines.MACHINES / CURRENT / f"{pack.stem}.json"
    now = machines.to_text(machines.of_this_release(pack))

    if request.config.getoption("--record") and _text(recorded) != now:
        recorded.parent.mkdir(exist_ok=True)
        recorded.write_text(now, encoding="utf-8")
        pytest.fail(f"recorded {recorded.name}: review it")
    assert _text(recorded) == now, "the machine is another: run pytest --record and review it"


def test_machines_are_recorded_of_every_release_that_has_journals() -> None:
    assert machines.releases() == journals.releases()


@pytest.mark.parametrize("release", machines.releases())
def test_errors_that_a_recorded_machine_matches_keep_their_names(release: str) -> None:
    """Lambda reports an error by the name of its class."""
    matched = {
        name
        for path in machines.recorded(release)
        for name in matched_errors(machines.read(path).definition)
        if "." not in name
    }

    assert matched
    assert {name for name in matched if not hasattr(errors, name)} == set()


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
