"""The executions that Step Functions has of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def execution_of(run_id: str, aws: Callable[[str], Any]) -> str:
    """The ARN of the one execution of a run whose pack is called `a-pack`."""
    states = aws("stepfunctions")
    (execution,) = [
        execution["executionArn"]
        for machine in states.list_state_machines()["stateMachines"]
        if "_a-pack-" in machine["name"]
        for execution in states.list_executions(stateMachineArn=machine["stateMachineArn"])[
            "executions"
        ]
        if run_id in states.describe_execution(executionArn=execution["executionArn"])["input"]
    ]
    arn: str = execution
    return arn
