"""The address at which AWS shows the execution of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.machine_call import Execution
    from taskrunner.model.run import Run


class ExecutionLinks(Protocol):
    """The names and addresses of executions, which cost no call."""

    def of(self, run: Run) -> JsonObject:
        """Return the run's `executionArn`, and its `executionUrl` if AWS's console shows it.

        A run has its execution a moment after its creation.
        """
        ...

    def of_call(self, execution: Execution) -> JsonObject:
        """Return the same members of an execution that a step of a run has called."""
        ...
