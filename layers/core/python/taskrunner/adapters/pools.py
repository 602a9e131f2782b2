"""The port Pools over the table: an item for each kind of workers of a pool.

A pool has a fixed number of items, so no worker can fill the table with labels. A new kind takes an
unused item, or else the one that was not written for the longest time, if its kind has gone.

An environment remembers which item a kind has and when it is due, so that a poll costs nothing
more. Others may write the item meanwhile; the condition of the write shows that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.adapters.table import ConditionFailedError, Table
from taskrunner.adapters.table_layout import pool_kind_key
from taskrunner.adapters.table_requests import Update, by_range
from taskrunner.model import timestamp
from taskrunner.model.job import labels_digest
from taskrunner.model.worker_wait import KEPT, LATELY, MAX_KINDS, NOTED_EVERY, WorkerKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import timedelta

    from taskrunner.adapters.table_requests import Item

_MOST_REMEMBERED: Final = 1000
_TRIES: Final = 2


class _Kind(NamedTuple):
    """The name of a kind of workers."""

    tenant: str
    pool: str
    digest: str


class _Place(NamedTuple):
    """The number of a kind's item, or None while none is free, and when to write it next."""

    number: int | None
    due_at: str


class DynamoPools:
    """`ports.Pools` over the table."""

    def __init__(self, table: Table) -> None:
        """Remember nothing yet."""
        self._table = table
        self._places: dict[_Kind, _Place] = {}

    def note(self, tenant: str, pool: str, labels: Mapping[str, str], now: str) -> None:
        """See the port."""
        kind = _Kind(tenant, pool, labels_digest(labels))
        for _ in range(_TRIES):
            place = self._places.get(kind) or self._found(kind, now)
            if now < place.due_at:
                break
            if place.number is None or self._write(kind, place.number, labels, now):
                place = place._replace(due_at=_later(now, NOTED_EVERY))
                break
            self._places.pop(kind, None)  # another kind has taken the item
        else:
            return
        if len(self._places) >= _MOST_REMEMBERED:
            self._places.clear()
        self._places[kind] = place

    def _found(self, kind: _Kind, now: str) -> _Place:
        """Return the place of *kind*, or one that it may take."""
        items = {_number(item): item for item in self._items(kind.tenant, [kind.pool])}
        for number, item in items.items():
            if item["labels_digest"] == kind.digest:
                return _Place(number, _later(item["seen_at"], NOTED_EVERY))
        free = next((number for number in range(MAX_KINDS) if number not in items), None)
        if free is None:
            oldest = min(items, key=lambda number: items[number]["seen_at"])
            free = oldest if items[oldest]["seen_at"] <= _later(now, -LATELY) else None
        return _Place(free, now)

    def _write(self, kind: _Kind, number: int, labels: Mapping[str, str], now: str) -> bool:
        """Write an item, and return whether *kind* has it."""
        expires_at = timestamp.from_text(now) + KEPT
        update = Update(
            key=pool_kind_key(kind.tenant, kind.pool, number),
            expression=(
                "SET labels = :labels, labels_digest = :digest, seen_at = :now, expires_at = :end"
            ),
            condition=(
                "attribute_not_exists(pk) OR seen_at <= :gone "
                "OR (labels_digest = :digest AND seen_at <= :due)"
            ),
            values={
                ":labels": dict(labels),
                ":digest": kind.digest,
                ":now": now,
                ":end": int(expires_at.timestamp()),
                ":gone": _later(now, -LATELY),
                ":due": _later(now, -NOTED_EVERY),
            },
        )
        try:
            self._table.update(update)
        except ConditionFailedError as failed:
            return bool(failed.items[0].get("labels_digest") == kind.digest)
        return True

    def kinds(self, tenant: str, pools: Collection[str]) -> Sequence[WorkerKind]:
        """See the port."""
        return [
            WorkerKind(pool=_pool(item), labels=item["labels"], seen_at=item["seen_at"])
            for item in self._items(tenant, pools)
        ]

    def _items(self, tenant: str, pools: Collection[str]) -> Iterator[Item]:
        """Yield the items of *pools*, and read those of pools whose names are between these."""
        if not pools:
            return
        first = pool_kind_key(tenant, min(pools), 0)
        last = pool_kind_key(tenant, max(pools), MAX_KINDS)
        for item in self._table.query(by_range(first, last.sk)):
            if _pool(item) in pools:
                yield item


def _pool(item: Item) -> str:
    return str(item["sk"].partition("#")[0])


def _number(item: Item) -> int:
    return int(item["sk"].partition("#")[2])


def _later(time: str, by: timedelta) -> str:
    return timestamp.to_text(timestamp.from_text(time) + by)
