"""The state machines of others that `states:<name>` steps call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.model.machine_call import Execution, ExecutionReport


class CalledMachines(Protocol):
    """Executions of the machines that a deployment lets packs call."""

    def start(self, execution: Execution, input_text: str) -> None:
        """Start *execution* with the JSON text *input_text*; one of that name is not started again.

        Raises:
            ExecutorFailure: there is no such machine, or AWS refuses the execution for good.
            TryAgainError: AWS is busy.
        """
        ...

    def describe(self, execution: Execution) -> ExecutionReport | None:
        """Return the state of *execution*, or None when there is none.

        Raises:
            TryAgainError: AWS is busy.
        """
        ...

    def stop(self, execution: Execution) -> None:
        """Stop *execution* if it is running.

        Raises:
            TryAgainError: AWS is busy.
        """
        ...
