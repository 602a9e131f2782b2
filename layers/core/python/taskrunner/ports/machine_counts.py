"""The last count of the account's state machines, which a daily pass makes and `create_run` reads.

Counting takes a list of all machines, so no request does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.model.machine_count import MachineCount


class MachineCounts(Protocol):
    """One count, which the next one replaces.

    Raises:
        TryAgainError: AWS is busy.
    """

    def put(self, count: MachineCount) -> None:
        """Store *count* as the last one."""
        ...

    def last(self) -> MachineCount | None:
        """Return the last count, or None before the first."""
        ...
