"""Removing machines that nothing uses, and all machines of a stack."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import TryAgainError
from taskrunner.model.machine_count import MachineCount
from taskrunner.usecases.remove_machines import (
    MOST_LOOKS,
    remove_all_machines,
    remove_unused_machines,
    store_count,
)
from tests.fakes.clock import NOON
from tests.fakes.machine_inventory import MemoryInventory
from tests.fakes.world import MemoryWorld
from tests.log_lines import log_lines

if TYPE_CHECKING:
    from taskrunner.ports.machine_inventory import PackMachine

DAY = timedelta(days=1)


def a_world(*names: str, age: timedelta = 40 * DAY) -> MemoryWorld:
    """A world with machines that were made that long ago."""
    world = MemoryWorld()
    world.inventory.created = dict.fromkeys(names, NOON - age)
    return world


class TestUnused:
    def test_deletes_a_machine_that_nothing_has_used_for_its_retention(self) -> None:
        world = a_world("old", "older")

        removal = remove_unused_machines(world, 60)

        assert world.inventory.created == {}
        assert (removal.of_stack, removal.deleted, removal.left) == (2, 2, 0)

    def test_keeps_a_machine_that_was_used_since(self) -> None:
        world = a_world("old", "used")
        world.inventory.used["used"] = NOON - 29 * DAY
        world.inventory.used["old"] = NOON - 31 * DAY

        remove_unused_machines(world, 60)

        assert list(world.inventory.created) == ["used"]

    def test_keeps_a_machine_on_which_a_run_has_waited_for_months(self) -> None:
        world = a_world("waits", age=300 * DAY)
        world.inventory.running.add("waits")

        assert remove_unused_machines(world, 60).deleted == 0

    def test_does_not_look_at_machines_that_are_new(self) -> None:
        world = a_world("new", age=29 * DAY)

        assert remove_unused_machines(world, 60).deleted == 0
        assert world.inventory.looks == []

    def test_keeps_a_machine_that_a_run_uses_between_the_two_looks(self) -> None:
        class UsedMeanwhile(MemoryInventory):
            def is_unused(self, machine: PackMachine, since: object) -> bool:
                answer = super().is_unused(machine, since)  # type: ignore[arg-type]
                self.running.add(machine.name)
                return answer

        world = a_world()
        world.inventory = UsedMeanwhile(created={"old": NOON - 40 * DAY})

        assert remove_unused_machines(world, 60).deleted == 0
        assert list(world.inventory.created) == ["old"]

    def test_counts_all_machines_of_the_account(self) -> None:
        world = a_world("ours")
        world.inventory.others_in_account = 94_000

        assert remove_unused_machines(world, 60).in_account == 94_001

    def test_every_machine_is_looked_at_within_days(self) -> None:
        names = [f"machine-{number:04}" for number in range(2 * MOST_LOOKS + 500)]
        world = a_world(*names, age=4000 * DAY)
        world.inventory.running.update(names)

        for _ in range(3):
            world.inventory.looks.clear()
            remove_unused_machines(world, 60)
            assert len(world.inventory.looks) == MOST_LOOKS
            world.clock.advance(DAY.total_seconds())

        world = a_world(*names, age=4000 * DAY)
        for _ in range(5):
            remove_unused_machines(world, 60)
            world.clock.advance(DAY.total_seconds())
        assert world.inventory.created == {}


class TestCount:
    def test_stores_how_many_machines_are_left_in_the_account(self) -> None:
        world = a_world("old", "older")
        world.inventory.others_in_account = 7
        world.inventory.warn_from = 50

        store_count(remove_unused_machines(world, 60), world)

        assert world.machine_counts.stored == MachineCount(7, 50, "2025-12-06T12:00:00.000Z")

    @pytest.mark.parametrize(("others", "levels"), [(6, []), (7, ["WARNING"])])
    def test_says_in_the_log_that_the_account_nears_the_quota(
        self, others: int, levels: list[str]
    ) -> None:
        world = a_world("old")
        world.inventory.others_in_account = others
        world.inventory.warn_from = 7
        removal = remove_unused_machines(world, 60)

        with log_lines() as lines:
            store_count(removal, world)

        assert [line["level"] for line in lines] == levels
        assert [line["in_account"] for line in lines] == [7] * len(levels)

    @pytest.mark.parametrize("refusal", [TryAgainError("busy"), PermissionError("no")])
    def test_does_not_fail_if_the_count_cannot_be_stored(self, refusal: Exception) -> None:
        world = a_world("old")
        world.machine_counts.refusal = refusal

        with log_lines() as lines:
            store_count(remove_unused_machines(world, 60), world)

        assert [line["message"] for line in lines] == [
            "the count of state machines could not be stored"
        ]


class TestRefused:
    def test_counts_machines_that_aws_refuses_to_delete(self) -> None:
        world = a_world("a", "b", "c")
        world.inventory.refusals = {"a": PermissionError("no"), "c": ValueError("odd")}

        removal = remove_unused_machines(world, 60)

        assert (removal.deleted, removal.refused) == (1, 2)

    def test_counts_machines_that_aws_refuses_to_look_at(self) -> None:
        class Refusing(MemoryInventory):
            def is_unused(self, machine: PackMachine, since: object) -> bool:
                raise PermissionError(machine.name, since)

        world = a_world()
        world.inventory = Refusing(created={"old": NOON - 40 * DAY})

        assert remove_unused_machines(world, 60).refused == 1

    def test_a_busy_aws_refuses_nothing(self) -> None:
        world = a_world("a", "b")
        world.inventory.refusals["a"] = TryAgainError("busy")

        removal = remove_unused_machines(world, 60)

        assert (removal.left, removal.refused) == (2, 0)

    def test_a_lack_of_time_refuses_nothing(self) -> None:
        world = MemoryWorld()
        world.inventory = Slow(world, list("abcdef"))

        removal = remove_unused_machines(world, 100)

        assert (removal.left, removal.refused) == (4, 0)


class Slow(MemoryInventory):
    """Each look and each deletion takes ten seconds of *clock*."""

    def __init__(self, world: MemoryWorld, names: list[str]) -> None:
        super().__init__(created=dict.fromkeys(names, NOON - 40 * DAY))
        self._clock = world.clock

    def is_unused(self, machine: PackMachine, since: object) -> bool:
        self._clock.advance(10)
        return super().is_unused(machine, since)  # type: ignore[arg-type]

    def delete(self, machine: PackMachine) -> None:
        self._clock.advance(10)
        super().delete(machine)


def test_a_pass_begins_nothing_after_its_time() -> None:
    world = MemoryWorld()
    world.inventory = Slow(world, list("abcdef"))

    removal = remove_unused_machines(world, 100)

    # Six looks, and then two machines that are looked at again and deleted.
    assert (removal.deleted, removal.left) == (2, 4)


class TestAll:
    def test_deletes_every_machine_however_new_and_used(self) -> None:
        world = a_world("new", "waits", age=timedelta())
        world.inventory.running.add("waits")

        removal = remove_all_machines(world, 60)

        assert world.inventory.created == {}
        assert (removal.deleted, removal.left, removal.failures) == (2, 0, [])

    def test_reports_what_it_could_not_delete_in_time(self) -> None:
        world = MemoryWorld()
        world.inventory = Slow(world, list("abcdef"))

        removal = remove_all_machines(world, 35)

        assert (removal.deleted, removal.left) == (4, 2)

    def test_one_refusal_does_not_keep_the_others(self) -> None:
        world = a_world("a", "b", "c")
        world.inventory.refusals["b"] = PermissionError("no")

        removal = remove_all_machines(world, 60)

        assert list(world.inventory.created) == ["b"]
        assert (removal.deleted, removal.left) == (2, 1)
        assert [machine.name for machine, _ in removal.failures] == ["b"]

    def test_gives_up_once_aws_stays_busy(self) -> None:
        world = a_world("a", "b", "c")
        world.inventory.refusals["b"] = TryAgainError("busy")

        removal = remove_all_machines(world, 60)

        assert sorted(world.inventory.created) == ["b", "c"]
        assert (removal.deleted, removal.left) == (1, 2)


@pytest.mark.parametrize("remove", [remove_unused_machines, remove_all_machines])
def test_nothing_is_removed_without_machines(remove: object) -> None:
    removal = remove(MemoryWorld(), 60)  # type: ignore[operator]

    assert (removal.of_stack, removal.deleted, removal.left) == (0, 0, 0)
