"""The port MachineCounts: one item of the table, outside the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.adapters.table_layout import MACHINE_COUNT
from taskrunner.adapters.table_requests import Put
from taskrunner.model.machine_count import MachineCount

if TYPE_CHECKING:
    from taskrunner.adapters.table import Table


class StoredMachineCounts:
    """`ports.MachineCounts` over the table."""

    def __init__(self, table: Table) -> None:
        """Read nothing yet."""
        self._table = table

    def put(self, count: MachineCount) -> None:
        """See the port."""
        self._table.transact([Put(item={**MACHINE_COUNT._asdict(), **count._asdict()})])

    def last(self) -> MachineCount | None:
        """See the port."""
        item = self._table.get(MACHINE_COUNT)
        if item is None:
            return None
        return MachineCount(item["in_account"], item["warn_from"], item["counted_at"])
