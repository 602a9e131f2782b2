"""Read what a run's machine did from Step Functions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Executions:
    """Finds the execution of a run, and reads its history."""

    aws: Callable[[str], Any]

    def history(self, run_id: str) -> list[dict[str, Any]]:
        """Return the events so far of a run's execution."""
        states = self.aws("stepfunctions")
        events: list[dict[str, Any]] = states.get_execution_history(
            executionArn=self.arn(run_id), maxResults=1000
        )["events"]
        return events

    def errors(self, run_id: str) -> list[str]:
        """Return the names of the errors of a run's tasks, in order."""
        return [
            event["taskFailedEventDetails"]["error"]
            for event in self.history(run_id)
            if event["type"] == "TaskFailed"
        ]

    def arn(self, run_id: str) -> str:
        """Return the ARN of a run's execution.

        Raises:
            LookupError: the run has no execution.
        """
        states = self.aws("stepfunctions")
        pages = states.get_paginator("list_state_machines").paginate()
        for machine in [entry for page in pages for entry in page["stateMachines"]]:
            executions = states.list_executions(stateMachineArn=machine["stateMachineArn"])
            for execution in executions["executions"]:
                arn: str = execution["executionArn"]
                document = states.describe_execution(executionArn=arn).get("input", "{}")
                if json.loads(document).get("run", {}).get("id") == run_id:
                    return arn
        raise LookupError(run_id)
