"""Due work in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from taskrunner.model.due_work import DueItem, DueKind, first_look_at
from tests.fakes.atomic import atomic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.job import Job
    from taskrunner.model.run import Run

# An item of the table is due work of one kind at a time: the two kinds of runs share a key, and so
# do those of jobs.
_Key: TypeAlias = tuple[str, str, str, str]
_TABLE_ITEMS = {
    DueKind.RUN: "R",
    DueKind.ENDED: "R",
    DueKind.LEASE: "T#",
    DueKind.OFFER: "T#",
}


@dataclass
class MemoryDueWork:
    """Due work by what it is about."""

    items: dict[_Key, DueItem] = field(default_factory=dict)

    def look_at(self, kind: DueKind, run: Run | Job, due_at: str, name: str = "") -> None:
        """Let the run, or the part of it called *name*, be looked at then."""
        item = DueItem(kind=kind, tenant=run.tenant, run_id=run.run_id, due_at=due_at, name=name)
        self.items[_key(item)] = item

    def add(self, kind: DueKind, run: Run, recorded_at: str, name: str = "") -> None:
        """Let the run, or its approval or gate *name*, be looked at after a write."""
        self.look_at(kind, run, first_look_at(recorded_at), name)

    def watch(self, run: Run, path: str, due_at: str) -> None:
        """Let the gate at *path*, or the run, be looked at then."""
        self.look_at(DueKind.OBJECTIVE, run, due_at, path)

    def look_at_ended(self, run: Run, due_at: str) -> None:
        """Let the run, which has ended, be looked at then."""
        self.look_at(DueKind.ENDED, run, due_at)

    def find(self, kind: DueKind, run: Run | Job, name: str = "") -> DueItem | None:
        item = DueItem(kind=kind, tenant=run.tenant, run_id=run.run_id, due_at="", name=name)
        return self.items.get(_key(item))

    def remove(self, kind: DueKind, run: Run | Job, name: str = "") -> None:
        item = DueItem(kind=kind, tenant=run.tenant, run_id=run.run_id, due_at="", name=name)
        self.items.pop(_key(item), None)

    @atomic
    def due(self, kind: DueKind, now: str, limit: int) -> Sequence[DueItem]:
        found = [item for item in self.items.values() if item.kind is kind and item.due_at <= now]
        return sorted(found, key=attrgetter("due_at"))[:limit]

    @atomic
    def tenants(self, limit: int) -> Sequence[str]:
        runs = [item for item in self.items.values() if item.kind is DueKind.RUN]
        latest_first = sorted(runs, key=attrgetter("due_at"), reverse=True)
        return list(dict.fromkeys(item.tenant for item in latest_first))[:limit]

    @atomic
    def lease(self, item: DueItem, until: str) -> DueItem | None:
        return self._move(item, until, item.looks + 1)

    @atomic
    def postpone(self, item: DueItem, until: str) -> None:
        self._move(item, until, 0)

    def _move(self, item: DueItem, until: str, looks: int) -> DueItem | None:
        if not self.is_unchanged(item):
            return None
        moved = replace(item, due_at=until, looks=looks)
        self.items[_key(item)] = moved
        return moved

    @atomic
    def look_at_run(self, run: Run, until: str, *, now: str) -> None:
        item = self.find(DueKind.RUN, run)
        if item is not None and item.kind is DueKind.RUN and item.due_at > now:
            self.items[_key(item)] = replace(item, due_at=until, looks=0)

    @atomic
    def finish(self, item: DueItem) -> None:
        if self.is_unchanged(item):
            del self.items[_key(item)]

    def is_unchanged(self, item: DueItem) -> bool:
        present = self.items.get(_key(item))
        return present is not None and (present.kind, present.due_at) == (item.kind, item.due_at)


def _key(item: DueItem) -> _Key:
    return item.tenant, item.run_id, _TABLE_ITEMS.get(item.kind, item.kind.value), item.name
