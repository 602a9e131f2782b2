"""Packs' machines in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from taskrunner.ports.machine_inventory import Listing, PackMachine

_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class MemoryInventory:
    """Machines by name, with the last use of each and the names of those that something runs on.

    *refusals* are raised by the deletion of a machine. *looks* has the names that were looked at.
    """

    stack: str = "memory"
    retention: timedelta = timedelta(days=30)
    warn_from: int = 90_000
    others_in_account: int = 0
    created: dict[str, datetime] = field(default_factory=dict)
    used: dict[str, datetime] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    refusals: dict[str, Exception] = field(default_factory=dict)
    looks: list[str] = field(default_factory=list)

    def listing(self) -> Listing:
        machines = [PackMachine(name, f"arn:{name}", at) for name, at in self.created.items()]
        return Listing(machines, len(machines) + self.others_in_account)

    def is_unused(self, machine: PackMachine, since: datetime) -> bool:
        self.looks.append(machine.name)
        if machine.name not in self.created:
            return False
        return machine.name not in self.running and self.used.get(machine.name, _LONG_AGO) <= since

    def delete(self, machine: PackMachine) -> None:
        if machine.name in self.refusals:
            raise self.refusals[machine.name]
        self.created.pop(machine.name, None)
