"""All state machines of packs, for those who delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta


class PackMachine(NamedTuple):
    """A pack's machine."""

    name: str
    arn: str
    created_at: datetime


class Listing(NamedTuple):
    """The machines of this deployment's packs, and how many machines the account has in all."""

    machines: Sequence[PackMachine]
    in_account: int


class MachineInventory(Protocol):
    """The machines that exist.

    Each method waits while AWS is busy, for half a minute at most.

    Raises:
        TryAgainError: AWS stays busy.
    """

    @property
    def stack(self) -> str:
        """The name of the deployment."""
        ...

    @property
    def retention(self) -> timedelta:
        """The time for which a machine is kept while nothing runs on it."""
        ...

    @property
    def warn_from(self) -> int:
        """The number of the account's machines from which on the deployment warns."""
        ...

    def listing(self) -> Listing:
        """Return the machines as of a few seconds ago."""
        ...

    def is_unused(self, machine: PackMachine, since: datetime) -> bool:
        """Return whether nothing runs on the machine, and nothing has begun or ended *since*."""
        ...

    def delete(self, machine: PackMachine) -> None:
        """Delete the machine. AWS ends what still runs on it at its next state. Idempotent."""
        ...
