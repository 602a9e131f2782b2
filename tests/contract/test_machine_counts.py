"""The port MachineCounts: the last count of the account's state machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.machine_count import MachineCount

if TYPE_CHECKING:
    from tests.contract.ports import Ports

FIRST = MachineCount(89_999, 90_000, "2025-12-06T03:00:00.000Z")
SECOND = MachineCount(90_001, 135_000, "2025-12-07T03:00:00.000Z")


def test_there_is_no_count_before_the_first(world: Ports) -> None:
    assert world.machine_counts.last() is None


def test_a_count_replaces_the_one_before(world: Ports) -> None:
    world.machine_counts.put(FIRST)
    assert world.machine_counts.last() == FIRST

    world.machine_counts.put(SECOND)

    assert world.machine_counts.last() == SECOND
