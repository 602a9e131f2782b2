"""Step Functions without a network: its API, over executions that a test moves on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.faults.executions import Execution, Executions, raising, returning
from tests.faults.interpreter import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ARN = "arn:aws:states:us-east-1:123456789012"


class RefusedError(Exception):
    """An answer of the API that is an error."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code


@dataclass
class StepFunctions(Executions):
    """Machines and their executions.

    - *machines*: what each was created with, by its ARN.
    - *left_over*: the names of machines that nothing has used for long.
    """

    machines: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_over: set[str] = field(default_factory=set)

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a request.

        Raises:
            RefusedError: the answer is an error.
        """
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateStateMachine": self._create_machine,
            "DescribeStateMachine": self._describe_machine,
            "StartExecution": self._start,
            "StopExecution": self._stop,
            "DescribeExecution": self._describe,
            "SendTaskSuccess": self._succeed,
            "SendTaskFailure": self._fail,
            "ListStateMachines": self._list_machines,
            "ListExecutions": self._list_executions,
            "DeleteStateMachine": self._delete_machine,
        }
        return answers[operation](request)

    def _create_machine(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = f"{_ARN}:stateMachine:{request['name']}"
        if arn in self.machines and self.machines[arn] != request:
            raise RefusedError("StateMachineAlreadyExists")
        self.machines[arn] = request
        return {"stateMachineArn": arn, "creationDate": self.clock.now().timestamp()}

    def _describe_machine(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["stateMachineArn"]
        machine = self.machines[arn]
        names = ("name", "definition", "roleArn")
        described = {name: machine[name] for name in names}
        created_at = self.clock.now().timestamp()
        return {"stateMachineArn": arn, "type": "STANDARD", "creationDate": created_at} | described

    def add(self, name: str, definition: Mapping[str, Any]) -> None:
        """Have a machine that somebody else has made."""
        described = {"name": name, "definition": json.dumps(definition), "roleArn": ""}
        self.machines[f"{_ARN}:stateMachine:{name}"] = described

    def leave(self, name: str) -> None:
        """Have a machine that was made forty days ago, and that nothing has used since."""
        self.machines[f"{_ARN}:stateMachine:{name}"] = {"name": name}
        self.left_over.add(name)

    def _list_machines(self, _: dict[str, Any]) -> dict[str, Any]:
        now = self.clock.now()
        return {
            "stateMachines": [
                {
                    "stateMachineArn": arn,
                    "name": machine["name"],
                    "type": "STANDARD",
                    "creationDate": (
                        now - timedelta(days=40 * (machine["name"] in self.left_over))
                    ).timestamp(),
                }
                for arn, machine in self.machines.items()
            ]
        }

    def _list_executions(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["stateMachineArn"] not in self.machines:
            raise RefusedError("StateMachineDoesNotExist")
        beginning = request["stateMachineArn"].replace(":stateMachine:", ":execution:") + ":"
        assert not any(arn.startswith(beginning) for arn in self.executions)
        return {"executions": []}

    def _delete_machine(self, request: dict[str, Any]) -> dict[str, Any]:
        self.machines.pop(request["stateMachineArn"], None)
        return {}

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        machine = request["stateMachineArn"]
        if machine not in self.machines:
            raise RefusedError("StateMachineDoesNotExist")
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{request['name']}"
        known = self.executions.get(arn)
        if known is None:
            execution = Execution(arn, request["input"], self.clock.now())
            self.start(execution, json.loads(self.machines[machine]["definition"]))
        elif known.status != "RUNNING" or known.input != request["input"]:
            raise RefusedError("ExecutionAlreadyExists")
        return {"executionArn": arn, "startDate": self.clock.now().timestamp()}

    def _execution(self, request: dict[str, Any]) -> Execution:
        execution = self.executions.get(request["executionArn"])
        if execution is None:
            raise RefusedError("ExecutionDoesNotExist")
        return execution

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._execution(request)
        stopped_at = execution.stopped_at
        return {
            "executionArn": execution.arn,
            "stateMachineArn": execution.machine_arn,
            "name": execution.name,
            "status": execution.status,
            "startDate": execution.started_at.timestamp(),
            "input": execution.input,
            **({} if stopped_at is None else {"stopDate": stopped_at.timestamp()}),
            **execution.end,
        }

    def abort(self) -> None:
        """Stop each execution that is running, as an operator does in the console."""
        for execution in self.executions.values():
            self._stop({"executionArn": execution.arn})

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._execution(request)
        if execution.status == "RUNNING":
            reason = {name: request[name] for name in ("error", "cause") if name in request}
            self.end(execution, "ABORTED", **reason)
        return {"stopDate": self.clock.now().timestamp()}

    def _succeed(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._answer(request, returning(json.loads(request["output"])))

    def _fail(self, request: dict[str, Any]) -> dict[str, Any]:
        error = StateError(request.get("error", ""), request.get("cause", ""))
        return self._answer(request, raising(error))

    def _answer(self, request: dict[str, Any], answer: Callable[[], Any]) -> dict[str, Any]:
        if not self.answer_token(request["taskToken"], answer):
            raise RefusedError("TaskTimedOut")
        return {}
