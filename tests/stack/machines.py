"""Read what a run's machine did from Step Functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stack.api import Api


@dataclass(frozen=True, slots=True)
class Executions:
    """Reads the execution of a run, which the run's state names."""

    aws: Callable[[str], Any]
    operator: Api

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
            KeyError: the run has no execution.
        """
        arn: str = self.operator.state(run_id)["executionArn"]
        return arn
