"""Lists of runs by filters, over the index `run-lists`.

An item of a run is in one list of the index: the run's own item is in that of its status, an item
`I#<kind>` in each of those of its pack, its version and its requester, and an open approval in that
of the runs which wait for it. One filter chooses the list, and the others are checked for each run
that it has. A page reads a limited number of runs, so it may be short and have a cursor.

No filter chooses the list of the approved runs of a pack, which comparisons with the last of them
read. A run joins it with the decision that grants one of its approvals.

Recording whether an unended run waits would cost a write with each step. So the list of unended
runs has all of them, and the end of a run's journal says which status it has.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.adapters.cursors import TenantIndex, unknown_cursor
from taskrunner.adapters.journal_chunks import chunk_entries
from taskrunner.adapters.run_items import UNENDED, run_from_item, run_summary
from taskrunner.adapters.table_layout import (
    CHUNKS,
    LAST_CHUNK,
    RUN,
    RUN_LISTS,
    RUNS_BY_TENANT,
    Key,
    ListKind,
    run_list,
    tenant_and_run_id,
)
from taskrunner.adapters.table_requests import Query, by_range
from taskrunner.model.run import RunStatus
from taskrunner.model.run_filters import ALL_RUNS, RunFilters
from taskrunner.model.state import tail
from taskrunner.model.state.run_reason import waiting_reason
from taskrunner.ports.page import Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskrunner.adapters.table import Table
    from taskrunner.adapters.table_requests import Item
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run

# The runs that one query reads when a filter must be checked for each, and all of a page's.
_READ_AT_ONCE: Final = 100
_MOST_READ: Final = 200
# The newest two are enough, unless retention has deleted one of them.
_APPROVED_AT_ONCE: Final = 2
_SORT: Final = "created_sort"
_AFTER_ALL: Final = "~"  # sorts after every time


class _List(NamedTuple):
    """A list of runs in an index; *is_exact* is whether all runs in it have what is asked for."""

    index_name: str
    partition_attribute: str
    partition: str
    is_exact: bool


class RunLists:
    """Reads lists of runs."""

    def __init__(self, table: Table) -> None:
        """Read nothing yet."""
        self._table = table

    def page(self, tenant: str, limit: int, cursor: str | None, filters: RunFilters) -> Page:
        """Return at most *limit* summaries of *tenant*'s runs that *filters* admit."""
        chosen = _chosen_list(tenant, filters)
        index = TenantIndex(
            tenant, chosen.partition_attribute, _SORT, chosen.partition, _digest(filters)
        )
        start = _start(index, cursor, filters)
        found: list[JsonObject] = []
        # A run is in the list once for each gate that waits by itself, one entry after the other.
        last_partition = None if start is None else start["pk"]
        left = max(_MOST_READ, limit)
        while left > 0:
            size = min(left, limit - len(found) if chosen.is_exact else _READ_AT_ONCE)
            read = self._table.page(_query(chosen, filters, size, start))
            left -= size
            runs = self._summaries(read.items, chosen, filters)
            for item in read.items:
                if item["pk"] in runs and item["pk"] != last_partition:
                    found.append(runs[item["pk"]])
                last_partition = item["pk"]
                if len(found) == limit and item is not read.items[-1]:
                    return Page(found, index.cursor_of(item))
            start = read.last_key
            if start is None or len(found) == limit:
                break
        return Page(found, index.cursor_of(start))

    def last_approved(self, tenant: str, pack_name: str, besides: str | None) -> Run | None:
        """Return the newest run in the list of the pack's approved runs that still exists.

        The list keeps a run's entry until retention deletes it, which may be after the run itself.
        """
        entries = self._table.query(
            Query(
                condition="run_list = :list",
                values={":list": run_list(tenant, ListKind.APPROVED, pack_name)},
                index=RUN_LISTS,
                descending=True,
                limit=_APPROVED_AT_ONCE,
            )
        )
        others = (e for e in entries if tenant_and_run_id(e["pk"]) != (tenant, besides))
        for entry in others:
            for item in self._table.page(by_range(Key(entry["pk"], RUN), RUN)).items:
                return run_from_item(item)
        return None

    def _summaries(
        self, entries: Sequence[Item], chosen: _List, filters: RunFilters
    ) -> Mapping[str, JsonObject]:
        """Return the summaries of the runs of *entries* that *filters* admit, by partition."""
        items = entries
        if chosen.index_name == RUN_LISTS:
            partitions = dict.fromkeys(entry["pk"] for entry in entries)
            items = list(self._table.batch([Key(partition, RUN) for partition in partitions]))
        admitted = [item for item in items if filters.admits(run_from_item(item))]
        summaries = {item["pk"]: self._summary(item) for item in admitted}
        return {
            partition: summary
            for partition, summary in summaries.items()
            if filters.status is None or summary["status"] == filters.status.value
        }

    def _summary(self, item: Item) -> JsonObject:
        """The summary with the run's status, for which an unended run costs one more read."""
        summary = run_summary(item)
        return summary if "status" in summary else summary | self._status(item["pk"])

    def _status(self, partition: str) -> JsonObject:
        """The status by the end of the journal, which an index may not have followed yet.

        For a run that waits, the gate is returned too.
        """
        last = by_range(Key(partition, CHUNKS), LAST_CHUNK, descending=True, limit=1)
        for chunk in self._table.page(last).items:
            if "fence" in chunk:
                return {"status": str(chunk["fence"])}
            entries = [placed.entry for placed in chunk_entries(chunk)]
            status = tail.status(entries)
            reason = waiting_reason(entries) if status is RunStatus.WAITING else None
            return {"status": status.value} | ({} if reason is None else {"statusReason": reason})
        return {"status": RunStatus.QUEUED.value}


def _chosen_list(tenant: str, filters: RunFilters) -> _List:
    """Return the list with the fewest runs, as far as the filters let know."""
    only = _of_filters(filters)
    if not only:
        return _List(RUNS_BY_TENANT, "tenant_runs", tenant, is_exact=True)
    kind, values = next(iter(only.items()))
    has_others = len(only.keys() - ({ListKind.PACK} if kind is ListKind.VERSION else set())) > 1
    is_status_known = filters.status is None or not filters.status.is_unended
    partition = run_list(tenant, kind, *values)
    return _List(RUN_LISTS, "run_list", partition, not has_others and is_status_known)


def _of_filters(filters: RunFilters) -> dict[ListKind, tuple[str, ...]]:
    """Return the values of the lists that *filters* name, the most selective list first."""
    status = filters.status
    lists: dict[ListKind, tuple[str | None, ...]] = {ListKind.APPROVAL: (filters.approval,)}
    if status is not None and status.is_unended:
        lists[ListKind.STATUS] = (UNENDED,)
    lists[ListKind.VERSION] = (filters.pack, filters.version)
    lists[ListKind.REQUESTER] = (filters.requested_by,)
    lists[ListKind.PACK] = (filters.pack,)
    if status is not None and not status.is_unended:
        lists[ListKind.STATUS] = (status.value,)
    given = {kind: tuple(v for v in values if v is not None) for kind, values in lists.items()}
    return {kind: values for kind, values in given.items() if len(values) == len(lists[kind])}


def _digest(filters: RunFilters) -> str:
    """Return what a cursor says of *filters*; nothing if there are none."""
    if filters == ALL_RUNS:
        return ""
    return hashlib.sha256(json.dumps(astuple(filters)).encode()).hexdigest()[:16]


def _start(index: TenantIndex, cursor: str | None, filters: RunFilters) -> Item | None:
    """Return the key after which the page starts. DynamoDB refuses one outside of its range."""
    start = index.key_of(cursor)
    first, last = _range(filters)
    if start is not None and not first <= start[_SORT] <= last:
        raise unknown_cursor()
    return start


def _range(filters: RunFilters) -> tuple[str, str]:
    """Return the least and the greatest place in a list; a place is a time, `#` and a run id."""
    return filters.created_after or "", filters.created_before or _AFTER_ALL


def _query(chosen: _List, filters: RunFilters, limit: int, start: Item | None) -> Query:
    condition = f"{chosen.partition_attribute} = :list"
    values = {":list": chosen.partition}
    first, last = _range(filters)
    if (filters.created_after, filters.created_before) != (None, None):
        condition += f" AND {_SORT} BETWEEN :first AND :last"
        values |= {":first": first or "0", ":last": last}
    return Query(
        condition=condition,
        values=values,
        index=chosen.index_name,
        descending=True,
        limit=limit,
        start_after=start,
    )
