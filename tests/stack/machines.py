"""What a run's machine did, as Step Functions records it."""

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
        """The events so far of the execution of a run."""
        states = self.aws("stepfunctions")
        found: list[dict[str, Any]] = states.get_execution_history(
            executionArn=self._execution(run_id), maxResults=1000
        )["events"]
        return found

    def errors(self, run_id: str) -> list[str]:
        """The names of the errors of its tasks, in the order in which they failed."""
        return [
            event["taskFailedEventDetails"]["error"]
            for event in self.history(run_id)
            if event["type"] == "TaskFailed"
        ]

    def _execution(self, run_id: str) -> str:
        states = self.aws("stepfunctions")
        pages = states.get_paginator("list_state_machines").paginate()
        machines = [one["stateMachineArn"] for page in pages for one in page["stateMachines"]]
        for machine in machines:
            for one in states.list_executions(stateMachineArn=machine)["executions"]:
                arn: str = one["executionArn"]
                given = json.loads(states.describe_execution(executionArn=arn).get("input", "{}"))
                if given.get("run", {}).get("id") == run_id:
                    return arn
        raise LookupError(run_id)
