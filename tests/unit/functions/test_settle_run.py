"""The end of a run in EventBridge's events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from functions.settle_run.app import handler
from taskrunner.model.run import RunStatus
from tests.unit.usecases.scenarios import TENANT, a_world

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

STATES = "arn:aws:states:us-east-1:123456789012"


def an_event(machine: str, execution: str, path: str = "") -> dict[str, Any]:
    """EventBridge's event of a stopped execution of run-7."""
    execution_input = {"run": {"tenant": TENANT, "id": "run-7"}, "path": path}
    return {
        "detail": {
            "executionArn": f"{STATES}:execution:{machine}:{execution}",
            "stateMachineArn": f"{STATES}:stateMachine:{machine}",
            "status": "ABORTED",
            "input": json.dumps(execution_input),
        }
    }


def outcome(world: MemoryWorld) -> RunStatus | None:
    return world.runs.snapshot(TENANT, "run-7").run.outcome


def test_an_event_of_the_runs_own_execution_ends_the_run() -> None:
    world = a_world()
    run = world.runs.snapshot(TENANT, "run-7").run

    assert handler(an_event(run.machine, run.execution), None, world=world)["status"] == "failed"
    assert outcome(world) is RunStatus.FAILED


@pytest.mark.parametrize(
    "changes",
    [
        {"machine": "taskrunner-dev_plain-0123456789abcdef"},  # of another stack, with the same id
        {"execution": "of-a-run-that-had-this-id-before"},
        {"path": "each[1]::"},  # an iteration of a Distributed Map
    ],
)
def test_an_event_of_another_execution_has_no_effect(changes: dict[str, str]) -> None:
    world = a_world()
    run = world.runs.snapshot(TENANT, "run-7").run
    event = an_event(**{"machine": run.machine, "execution": run.execution, **changes})

    assert handler(event, None, world=world) == {"status": "unknown"}
    assert outcome(world) is None
