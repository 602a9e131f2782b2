"""Today's functions carry on the runs whose machines an earlier release made. See README.md."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters.executions import StepFunctionsMachines
from taskrunner.bootstrap import AwsWorld
from tests.machine.engine import engine as running_engine
from tests.machine.runs import ended, start, state_of, statuses
from tests.recorded import journals, recording
from tests.recorded.cases import PLAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from tests.machine.engine import Engine

MACHINES = journals.JOURNALS.parent / "machines"
RECORDED = sorted(MACHINES.glob("*/*.json"))
_GATE_EXPIRES = "a-gate-expires-and-the-run-goes-on"


class _WorldOfAnEarlierRelease(AwsWorld):
    """A world in which every run gets the machine and the input of *recorded*."""

    def __init__(self, today: AwsWorld, recorded: JsonObject) -> None:
        super().__init__(today.environment)
        self._recorded = recorded

    @cached_property
    def machines(self) -> _EarlierMachines:
        return _EarlierMachines(
            self._step_functions,
            self.environment["PACK_RUN_MACHINE_ARN"],
            self.environment["MACHINE_PREFIX"],
            self._recorded,
        )


class _EarlierMachines(StepFunctionsMachines):
    def __init__(self, client: Any, arn: str, prefix: str, recorded: JsonObject) -> None:  # noqa: ANN401
        super().__init__(client, arn, prefix)
        self._recorded = recorded

    def start(self, run: Run, _definition: JsonObject, _input: Mapping[str, object]) -> None:
        execution_input = self._recorded["input"] | {
            "run": {"tenant": run.tenant, "id": run.run_id}
        }
        super().start(run, self._recorded["definition"], execution_input)


@pytest.fixture(name="the_engine", scope="module")
def _the_engine() -> Iterator[Engine]:
    with running_engine() as engine:
        yield engine


@pytest.fixture(name="engine")
def _engine(the_engine: Engine) -> Engine:
    the_engine.calls.clear()
    return the_engine


def _with_machine(engine: Engine, path: Path) -> JsonObject:
    """Let runs be started as the release of *path* did, and return what it recorded."""
    recorded: JsonObject = json.loads(path.read_text(encoding="utf-8"))
    engine.worlds["create_run"] = _WorldOfAnEarlierRelease(engine.world, recorded)
    return recorded


def _pack(path: Path) -> str:
    return (journals.JOURNALS.parent / "packs" / f"{path.stem}.yaml").read_text(encoding="utf-8")


def _called_as_before(engine: Engine) -> bool:
    """Whether each event of the machine named the run as earlier machines did."""
    events = [event for name, event in engine.calls if name != "settle_run"]
    return bool(events) and all("tenant" in event and "place" not in event for event in events)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_a_run_on_a_machine_of_an_earlier_release_comes_to_its_end(
    path: Path, engine: Engine
) -> None:
    _with_machine(engine, path)

    run_id = PLAYS[path.stem](engine, _pack(path))

    journal = journals.JOURNALS / journals.current_release() / path.name
    expected = recording.from_text(journal.read_text(encoding="utf-8"))
    state = state_of(engine.client(), run_id)
    assert _called_as_before(engine)
    assert state["status"] == expected.state["status"]
    assert statuses(state) == {
        step["path"]: " ".join(filter(None, [step["status"], step.get("reason")]))
        for step in expected.state["steps"]
    }


def test_a_gate_expires_in_the_state_that_earlier_machines_have_for_it(engine: Engine) -> None:
    recorded = _with_machine(engine, MACHINES / "0.1" / f"{_GATE_EXPIRES}.json")
    _let_gates_wait(recorded["definition"], seconds=1)
    ana = engine.client(subject="ana")
    # A machine of its own: the other test has made that of this pack.
    manifest = _pack(MACHINES / "0.1" / f"{_GATE_EXPIRES}.json")
    manifest = manifest.replace(f"name: {_GATE_EXPIRES}", "name: with-a-short-gate")

    state = ended(ana, start(ana, manifest))

    expiries = [event for name, event in engine.calls if name == "open_gate" and "expired" in event]
    assert len(expiries) == 1
    assert state["status"] == "succeeded"
    assert "Failed approval-expired" in statuses(state).values()


def _let_gates_wait(node: Any, seconds: int) -> None:  # noqa: ANN401 - any part of a definition
    if isinstance(node, dict):
        if str(node.get("Resource", "")).endswith("waitForTaskToken"):
            node["TimeoutSeconds"] = seconds
        for child in node.values():
            _let_gates_wait(child, seconds)
    elif isinstance(node, list):
        for child in node:
            _let_gates_wait(child, seconds)
