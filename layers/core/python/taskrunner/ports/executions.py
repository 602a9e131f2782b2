"""State machines and their executions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run


class Machines(Protocol):
    """State machines by name, and one execution for each run."""

    def name(self, pack_name: str, definition_hash: str) -> str:
        """Return the name of the machine for a definition, at most 80 characters."""
        ...

    def start(
        self, run: Run, definition: JsonObject, execution_input: Mapping[str, object]
    ) -> None:
        """Start the run's execution, and make its machine if it is new. Idempotent."""
        ...

    def status(self, run: Run) -> str | None:
        """Return Step Functions' status of the run's execution, or None when there is none."""
        ...

    def stop(self, run: Run) -> None:
        """Stop the run's execution if it is running."""
        ...
