"""The port Pools: which kinds of workers were seen in the pools of a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.adapters.pools import DynamoPools
from taskrunner.adapters.table import Table
from taskrunner.model.worker_wait import KEPT, LATELY, MAX_KINDS, NOTED_EVERY, WorkerKind
from tests.contract.counted import CountedDynamodb
from tests.contract.jobs import at
from tests.contract.ports import TABLE, client
from tests.fakes.clock import NOON

if TYPE_CHECKING:
    from tests.contract.ports import Ports

MINUTE_S = NOTED_EVERY.total_seconds()
GONE_S = LATELY.total_seconds()
GPU = {"gpu": "h100"}


def seen(world: Ports, *pools: str, tenant: str = "acme") -> list[tuple[str, str, str]]:
    """Return the pool, the labels and the time of each kind."""
    return sorted(
        (kind.pool, ",".join(kind.labels.values()), kind.seen_at)
        for kind in world.pools.kinds(tenant, pools)
    )


def test_nobody_was_seen_at_first(world: Ports) -> None:
    assert seen(world, "linux") == []
    assert seen(world) == []


def test_a_kind_has_its_pool_its_labels_and_its_time(world: Ports) -> None:
    world.pools.note("acme", "linux", GPU, at(0))

    assert list(world.pools.kinds("acme", ["linux"])) == [
        WorkerKind(pool="linux", labels=GPU, seen_at=at(0))
    ]


def test_a_kind_is_noted_once_a_minute(world: Ports) -> None:
    for seconds in (0, 15, 30, MINUTE_S - 1):
        world.pools.note("acme", "linux", GPU, at(seconds))
    assert seen(world, "linux") == [("linux", "h100", at(0))]

    world.pools.note("acme", "linux", GPU, at(MINUTE_S))

    assert seen(world, "linux") == [("linux", "h100", at(MINUTE_S))]


def test_each_kind_has_a_time_of_its_own(world: Ports) -> None:
    world.pools.note("acme", "linux", {}, at(0))
    world.pools.note("acme", "linux", GPU, at(1))
    world.pools.note("acme", "linux", {"gpu": "a100"}, at(2))

    assert seen(world, "linux") == [
        ("linux", "", at(0)),
        ("linux", "a100", at(2)),
        ("linux", "h100", at(1)),
    ]


def test_several_pools_are_read_together(world: Ports) -> None:
    for pool in ("a", "a-b", "ab", "b"):
        world.pools.note("acme", pool, {}, at(0))

    assert [pool for pool, *_ in seen(world, "b", "a")] == ["a", "b"]
    assert [pool for pool, *_ in seen(world, "a-b")] == ["a-b"]
    assert seen(world, "a-") == []


def test_a_tenant_learns_nothing_of_another_ones_workers(world: Ports) -> None:
    world.pools.note("acme", "linux", GPU, at(0))

    assert seen(world, "linux", tenant="globex") == []
    assert seen(world, "linux", tenant="acm") == []


def test_a_pool_keeps_a_bounded_number_of_kinds(world: Ports) -> None:
    for number in range(MAX_KINDS + 5):
        world.pools.note("acme", "linux", {"host": f"{number:02d}"}, at(number / 10))

    hosts = [host for _, host, _ in seen(world, "linux")]
    assert hosts == [f"{number:02d}" for number in range(MAX_KINDS)]


def test_a_new_kind_takes_the_place_of_one_that_has_gone(world: Ports) -> None:
    for number in range(MAX_KINDS):
        world.pools.note("acme", "linux", {"host": f"{number:02d}"}, at(number / 10))

    world.pools.note("acme", "linux", GPU, at(GONE_S))
    world.pools.note("acme", "linux", {"host": "01"}, at(GONE_S))

    hosts = [host for _, host, _ in seen(world, "linux")]
    assert hosts == [*(f"{number:02d}" for number in range(1, MAX_KINDS)), "h100"]


@pytest.mark.parametrize("world", ["aws"], indirect=True)
@pytest.mark.usefixtures("world")
class TestItems:
    """The table's items, and how much they cost."""

    def test_a_note_that_is_not_due_calls_nothing(self) -> None:
        dynamodb = CountedDynamodb()
        pools = DynamoPools(Table(dynamodb, TABLE))

        for seconds in (0, 15, 30, 45, 60, 75):
            pools.note("acme", "linux", GPU, at(seconds))

        assert dynamodb.calls == ["query", "update_item", "update_item"]

    def test_environments_share_the_minute(self) -> None:
        pools = [DynamoPools(Table(client("dynamodb"), TABLE)) for _ in range(3)]
        pools[0].note("acme", "mac", GPU, at(0))

        pools[1].note("acme", "mac", GPU, at(30))
        pools[1].note("acme", "mac", GPU, at(61))
        pools[0].note("acme", "mac", GPU, at(62))
        pools[2].note("acme", "mac", GPU, at(63))

        (kind,) = pools[0].kinds("acme", ["mac"])
        assert kind.seen_at == at(61)

    def test_a_kind_whose_item_was_taken_gets_another(self) -> None:
        first, second = (DynamoPools(Table(client("dynamodb"), TABLE)) for _ in range(2))
        for number in range(MAX_KINDS):
            first.note("acme", "arm", {"host": str(number)}, at(0))
        second.note("acme", "arm", GPU, at(GONE_S))

        for number in range(MAX_KINDS):
            first.note("acme", "arm", {"host": str(number)}, at(GONE_S + 1))

        labels = [kind.labels for kind in first.kinds("acme", ["arm"])]
        assert GPU in labels
        assert len(labels) == MAX_KINDS
        assert len({str(each) for each in labels}) == MAX_KINDS

    def test_an_item_expires(self) -> None:
        DynamoPools(Table(client("dynamodb"), TABLE)).note("acme", "old", {}, at(0))

        items = client("dynamodb").scan(TableName=TABLE)["Items"]
        (item,) = [item for item in items if item["sk"]["S"].startswith("old#")]

        assert int(item["expires_at"]["N"]) == int((NOON + KEPT).timestamp())
