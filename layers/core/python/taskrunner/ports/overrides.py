"""Gates whose policy has been evaluated by a function that may not resume machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.model.run import StepReference


class Overrides(Protocol):
    """The function `open_gate`, which alone may resume a gate or let it wait for an override."""

    def enter(self, gate: StepReference, token: str, *, has_timed_out: bool) -> None:
        """Let *gate* wait with *token*, or go on, by the verdict that is recorded.

        *has_timed_out* says that the gate has waited for as long as it may.

        Raises:
            ConflictError: the run, or a block around the gate, has ended.
            TryAgainError: the function could not be called now, or failed.
        """
        ...
