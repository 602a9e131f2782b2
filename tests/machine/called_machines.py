"""Machines of others in moto, which steps of machine tests call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3

from tests.machine.deployment import CALLED_MACHINE_PREFIX, called_machine_arn

if TYPE_CHECKING:
    from tests.machine.engine import Engine

# States that end at once, in the ways that a machine can.
PASS = {"Type": "Pass", "End": True}
FAIL = {"Type": "Fail", "Error": "OutOfStock", "Cause": "the warehouse is empty"}
WAIT = {"Type": "Wait", "Seconds": 600, "End": True}
_MEMBERS = (
    "executionArn",
    "stateMachineArn",
    "name",
    "status",
    "input",
    "output",
    "error",
    "cause",
)


class CalledMachines:
    """Makes machines that packs can call, and reports their ends as EventBridge does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._states = boto3.client("stepfunctions")
        self._reported: set[str] = set()

    def make(self, name: str, state: dict[str, Any]) -> None:
        """Make the machine that packs call by *name*, of one state."""
        self._states.create_state_machine(
            name=f"{CALLED_MACHINE_PREFIX}{name}",
            definition=json.dumps({"StartAt": "Only", "States": {"Only": state}}),
            roleArn="arn:aws:iam::123456789012:role/machines",
        )

    def executions(self, name: str) -> list[dict[str, Any]]:
        """Return the executions of the machine, with their inputs."""
        found = self._states.list_executions(stateMachineArn=called_machine_arn(name))
        return [
            self._states.describe_execution(executionArn=execution["executionArn"])
            for execution in found["executions"]
        ]

    def running(self, name: str) -> dict[str, Any]:
        """Return the one execution of the machine as soon as it runs."""
        self._engine.until(lambda: bool(self.executions(name)), f"{name} is not called")
        (execution,) = self.executions(name)
        return execution

    def ended(self, name: str) -> list[dict[str, Any]]:
        """Return the executions of the machine as soon as there are some, and all have ended."""
        found: list[dict[str, Any]] = []

        def have_ended() -> bool:
            found[:] = self.executions(name)
            return bool(found) and all(each["status"] != "RUNNING" for each in found)

        self._engine.until(have_ended, f"{name} does not end")
        return found

    def stop(self, name: str) -> None:
        """Stop the executions of the machine, as its owner may."""
        for execution in self.executions(name):
            self._states.stop_execution(executionArn=execution["executionArn"])

    def report_new(self, name: str) -> None:
        """Report the executions of the machine that have ended since the last such call."""
        found = self._states.list_executions(stateMachineArn=called_machine_arn(name))
        for listed in found["executions"]:
            arn = listed["executionArn"]
            if listed["status"] != "RUNNING" and arn not in self._reported:
                execution = self._states.describe_execution(executionArn=arn)
                self._engine.invoke("end_machine_call", {"detail": _detail(execution)})
                self._reported.add(arn)

    def report(self, name: str, **changes: Any) -> list[Any]:  # noqa: ANN401 - members of the event
        """Report the end of each execution of the machine, and return the function's answers."""
        return [
            self._engine.invoke("end_machine_call", {"detail": _detail(found) | changes})
            for found in self.ended(name)
        ]


def _detail(execution: dict[str, Any]) -> dict[str, Any]:
    """Return the detail of EventBridge's event about an execution that has ended."""
    times = {
        name: int(execution[name].timestamp() * 1000)
        for name in ("startDate", "stopDate")
        if name in execution
    }
    return {name: execution.get(name) for name in _MEMBERS} | times
