"""The port DueWork over the sparse index `due-work`.

The run, approval, gate, job or stopped block that something must follow is itself the item of due
work, while it has the index's attributes. So recording due work costs no further write.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.table import ConditionFailedError, Table
from taskrunner.adapters.table_layout import (
    APPROVALS,
    BLOCKS,
    DUE,
    DUE_WORK,
    GATES,
    JOBS,
    RUN,
    WATCHES,
    Key,
    approval_key,
    block_key,
    gate_key,
    job_key,
    partition_of,
    run_key,
    run_partition,
    tenant_and_run_id,
    watch_key,
)
from taskrunner.adapters.table_requests import Put, Query, Update
from taskrunner.model.due_work import DueItem, DueKind, first_look_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.adapters.table_requests import Item
    from taskrunner.model.run import Run

# For an update expression that makes an item due, with `due_values`.
DUE_ASSIGNMENTS: Final = "due = :due, due_at = :due_at, due_looks = :due_looks"
DUE_REMOVAL: Final = ", ".join(DUE)
_MOST_RUNS: Final = 400  # of which `tenants` reads the keys, about 20 KB
# What precedes the name of due work in the sort key of its item.
_PREFIXES: Final = {
    DueKind.APPROVAL: APPROVALS,
    DueKind.GATE: GATES,
    DueKind.LEASE: JOBS,
    DueKind.OFFER: JOBS,
    DueKind.BLOCK: BLOCKS,
    DueKind.OBJECTIVE: WATCHES,
}


def due_values(kind: DueKind, recorded_at: str) -> dict[str, object]:
    """Return the values of `DUE_ASSIGNMENTS` for a write at *recorded_at*."""
    return {":due": kind.value, ":due_at": first_look_at(recorded_at), ":due_looks": 0}


def due_attributes(kind: DueKind, recorded_at: str) -> dict[str, object]:
    """Return the attributes that make a new item due after a write at *recorded_at*."""
    return {"due": kind.value, "due_at": first_look_at(recorded_at), "due_looks": 0}


def watch_put(run: Run, step_path: str, due_at: str, expires_at: int) -> Put:
    """Return the write of a watch over the gate at *step_path*, or over the run if it is empty."""
    due = {"due": DueKind.OBJECTIVE.value, "due_at": due_at, "due_looks": 0}
    key = watch_key(partition_of(run), step_path)
    return Put(item={**key._asdict(), **due, "expires_at": expires_at})


def seen_update(watch: DueItem) -> Update:
    """Remove the due work of *watch*, unless another caller has."""
    return Update(
        key=_key(watch),
        expression=f"REMOVE {DUE_REMOVAL}",
        condition="due = :kind AND due_at = :seen",
        values={":kind": watch.kind.value, ":seen": watch.due_at},
    )


class DynamoDueWork:
    """`ports.DueWork` over the table."""

    def __init__(self, table: Table) -> None:
        """Read nothing yet."""
        self._table = table

    def due(self, kind: DueKind, now: str, limit: int) -> Sequence[DueItem]:
        """See the port. The index follows the table within moments."""
        page = self._table.page(
            Query(
                condition="due = :kind AND due_at <= :now",
                values={":kind": kind.value, ":now": now},
                index=DUE_WORK,
                limit=limit,
            )
        )
        return [due_item(item) for item in page.items]

    def tenants(self, limit: int) -> Sequence[str]:
        """See the port. A run that only waits is due last of all."""
        page = self._table.page(
            Query(
                condition="due = :kind",
                values={":kind": DueKind.RUN.value},
                index=DUE_WORK,
                attributes="pk",
                descending=True,
                limit=_MOST_RUNS,
            )
        )
        found = dict.fromkeys(tenant_and_run_id(item["pk"])[0] for item in page.items)
        return list(found)[:limit]

    def lease(self, item: DueItem, until: str) -> DueItem | None:
        """See the port."""
        looks = item.looks + 1
        return self._move(item, until, looks)

    def postpone(self, item: DueItem, until: str) -> None:
        """See the port."""
        self._move(item, until, 0)

    def _move(self, item: DueItem, until: str, looks: int) -> DueItem | None:
        values = {":until": until, ":looks": looks}
        if not self._update(item, "SET due_at = :until, due_looks = :looks", values):
            return None
        return DueItem(
            kind=item.kind,
            tenant=item.tenant,
            run_id=item.run_id,
            due_at=until,
            name=item.name,
            looks=looks,
        )

    def look_at_run(self, run: Run, until: str, *, now: str) -> None:
        """See the port. A pass that holds the item postpones it no more, because it has changed."""
        update = Update(
            key=run_key(run),
            expression="SET due_at = :until, due_looks = :none",
            condition="due = :kind AND due_at > :now",
            values={":until": until, ":none": 0, ":kind": DueKind.RUN.value, ":now": now},
        )
        with suppress(ConditionFailedError):
            self._table.update(update)

    def finish(self, item: DueItem) -> None:
        """See the port."""
        self._update(item, f"REMOVE {DUE_REMOVAL}", {})

    def _update(self, item: DueItem, expression: str, values: dict[str, object]) -> bool:
        """Update *item* if it is due as it was read."""
        seen = {":kind": item.kind.value, ":seen": item.due_at}
        update = Update(
            key=_key(item),
            expression=expression,
            condition="due = :kind AND due_at = :seen",
            values={**values, **seen},
        )
        with suppress(ConditionFailedError):
            self._table.update(update)
            return True
        return False


def _key(item: DueItem) -> Key:
    partition = run_partition(item.tenant, item.run_id)
    match item.kind:
        case DueKind.APPROVAL:
            return approval_key(partition, item.name)
        case DueKind.GATE:
            return gate_key(partition, item.name)
        case DueKind.LEASE | DueKind.OFFER:
            return job_key(partition, item.name)
        case DueKind.BLOCK:
            return block_key(partition, item.name)
        case DueKind.OBJECTIVE:
            return watch_key(partition, item.name)
        case DueKind.RUN | DueKind.ENDED:
            return Key(partition, RUN)


def due_item(item: Item) -> DueItem:
    """Return the due work that *item* is; it has the index's attributes."""
    tenant, run_id = tenant_and_run_id(item["pk"])
    kind = DueKind(item["due"])
    prefix = _PREFIXES.get(kind)
    return DueItem(
        kind=kind,
        tenant=tenant,
        run_id=run_id,
        due_at=item["due_at"],
        name="" if prefix is None else str(item["sk"]).removeprefix(prefix),
        looks=item["due_looks"],
    )
