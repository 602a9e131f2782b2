"""Remove packs' machines: those that nothing uses any more, or all of them with their stack.

Each version of a pack has a machine, and an account may have 100,000. A run needs no machine to be
kept: its state is in the table, and the next run of the version makes the machine again.
"""

from __future__ import annotations

import logging
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from taskrunner.errors import TryAgainError
from taskrunner.model import timestamp
from taskrunner.model.machine_count import MachineCount
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taskrunner.ports import World
    from taskrunner.ports.machine_inventory import Listing, PackMachine

# AWS lists executions at two to five a second, and looking at a machine takes one or two lists.
MOST_LOOKS: Final = 1000
_log: Final = logging.getLogger(__name__)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The numbers of machines that a pass looked at, deleted and left.

    *of_stack* machines of this deployment's packs and *in_account* machines were there at first.
    *deleted* were deleted, and *left* could not be, for lack of time or because of *failures*.
    """

    in_account: int
    of_stack: int
    deleted: int
    left: int
    failures: list[tuple[PackMachine, Exception]] = field(default_factory=list)

    @property
    def left_in_account(self) -> int:
        """The number of the account's machines after the pass."""
        return self.in_account - self.deleted

    @property
    def refused(self) -> int:
        """The number of machines that something other than a busy AWS kept from being deleted."""
        return sum(not isinstance(error, TryAgainError) for _, error in self.failures)


def remove_unused_machines(world: World, longest_s: float) -> Removal:
    """Delete machines that nothing has used for their retention, for *longest_s* at most.

    A pass looks at 1,000 of the machines that are old enough, and the next day's pass at others. A
    machine is looked at twice, so that a run that starts between the looks keeps it. A run that
    finds its machine deleted waits, and the reconciler starts it on a new one.
    """
    began = world.clock.now()
    deadline, since = began + timedelta(seconds=longest_s), began - world.inventory.retention
    listing = world.inventory.listing()
    old = sorted(machine for machine in listing.machines if machine.created_at <= since)
    looked = _of_today(old, began)
    unused = _collect(
        looked, lambda machine: world.inventory.is_unused(machine, since), deadline, world
    )

    def remove(machine: PackMachine) -> bool:
        if not world.inventory.is_unused(machine, since):
            return False
        world.inventory.delete(machine)
        return True

    removed = _collect(unused.chosen, remove, deadline, world)
    return _removal(listing, removed, unused.failures)


def store_count(removal: Removal, world: World) -> None:
    """Store how many machines the account has after a pass, for those who make one more.

    The pass has done its work, so it does not fail if the count cannot be stored. The next day
    stores another.
    """
    count = MachineCount(
        in_account=removal.left_in_account,
        warn_from=world.inventory.warn_from,
        counted_at=timestamp.to_text(world.clock.now()),
    )
    if count.is_near_the_quota:
        _log.warning("the account nears its quota of state machines", extra=count._asdict())
    try:
        world.machine_counts.put(count)
    except Exception:  # noqa: BLE001 - the log has it
        _log.exception("the count of state machines could not be stored")


def remove_all_machines(world: World, longest_s: float) -> Removal:
    """Delete all machines of the deployment's packs, for *longest_s* at most."""
    deadline = world.clock.now() + timedelta(seconds=longest_s)
    listing = world.inventory.listing()

    def remove(machine: PackMachine) -> bool:
        world.inventory.delete(machine)
        return True

    removed = _collect(listing.machines, remove, deadline, world)
    return _removal(listing, removed, [])


@dataclass(frozen=True, slots=True)
class _Collected:
    chosen: list[PackMachine]
    failures: list[tuple[PackMachine, Exception]]
    unreached: int


def _removal(
    listing: Listing, removed: _Collected, earlier: list[tuple[PackMachine, Exception]]
) -> Removal:
    """Return what was done; *earlier* are the failures of looks at machines."""
    return Removal(
        in_account=listing.in_account,
        of_stack=len(listing.machines),
        deleted=len(removed.chosen),
        left=removed.unreached + len(removed.failures),
        failures=earlier + removed.failures,
    )


def _collect(
    machines: Iterable[PackMachine],
    choose: Callable[[PackMachine], bool],
    deadline: datetime,
    world: World,
) -> _Collected:
    """Return the machines for which *choose* is true, as far as the time and AWS allow."""
    waiting = list(machines)
    result = _Collected([], [], 0)
    chosen, failures = result.chosen, result.failures
    while waiting and world.clock.now() < deadline:
        machine = waiting.pop(0)
        try:
            if choose(machine):
                chosen.append(machine)
        except TryAgainError as error:  # AWS stays busy, so the others would wait in vain
            failures.append((machine, error))
            break
        except Exception as error:  # noqa: BLE001 - one machine must not keep the others
            failures.append((machine, error))
    return _Collected(chosen, failures, len(waiting))


def _of_today(machines: list[PackMachine], now: datetime) -> list[PackMachine]:
    """Return those that today's pass looks at, so that every machine has its turn."""
    if len(machines) <= MOST_LOOKS:
        return machines
    first = (now - _EPOCH).days * MOST_LOOKS % len(machines)
    return (machines + machines)[first : first + MOST_LOOKS]
