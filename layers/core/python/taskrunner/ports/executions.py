"""State machines and their executions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run


class Machines(Protocol):
    """State machines by name, and one execution for each run."""

    def name(self, pack_name: str, pack_version: str, definition: JsonObject) -> str:
        """Return the name of the pack's machine in this deployment, at most 80 characters.

        Raises:
            MachineQuotaError: the machine is new, and the account has as many as AWS allows.
            TryAgainError: AWS is busy, or the deployment is being updated.
        """
        ...

    def start(
        self, run: Run, definition: JsonObject, execution_input: Mapping[str, object]
    ) -> bool:
        """Start the run's execution, and return whether that made its machine. Idempotent.

        Raises:
            MachineQuotaError: the machine is new, and the account has as many as AWS allows.
            StartRefusedError: AWS refuses the machine or the execution.
            TryAgainError: AWS is busy, or the machine is not ready.
        """
        ...

    def status(self, run: Run) -> str | None:
        """Return Step Functions' status of the run's execution, or None when there is none."""
        ...

    def stop(self, run: Run) -> None:
        """Stop the run's execution if it is running."""
        ...
