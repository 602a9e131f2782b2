"""The last count of machines, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskrunner.model.machine_count import MachineCount


@dataclass
class MemoryMachineCounts:
    """The count that was stored last; with *refusal*, nothing is stored or read."""

    stored: MachineCount | None = None
    refusal: Exception | None = None
    reads: int = 0

    def put(self, count: MachineCount) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.stored = count

    def last(self) -> MachineCount | None:
        self.reads += 1
        if self.refusal is not None:
            raise self.refusal
        return self.stored
