"""The jobs that wait in a pool, as far as a worker with certain labels may take them.

The keys of the list of a pool end with a digest of the job's labels. An environment reads the
labels of each digest once, and a poll reads no job that the worker may not take.

A poll reads a bounded number of pages. The first one has the oldest jobs. After a full page the
poll goes on where the last one has stopped, which an item of the pool remembers for the workers
with these labels. So each job is found in the end, whatever waits before it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.adapters.job_items import job_from_item, listed_digest, pool_list, waits
from taskrunner.adapters.table_layout import RUN_LISTS, Key, pool_position_key
from taskrunner.adapters.table_requests import Query, Update
from taskrunner.model import timestamp
from taskrunner.model.job import has_labels, labels_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskrunner.adapters.table import Table
    from taskrunner.adapters.table_requests import Item
    from taskrunner.model.job import Job

_READ_TOGETHER: Final = 10
_MOST_REMEMBERED: Final = 5000  # digests of labels
_POSITION_KEPT: Final = timedelta(days=30)
_KEYS: Final = ("pk", "sk", "run_list", "created_sort")


class Bounds(NamedTuple):
    """The most keys in a page, and the most pages that a poll reads."""

    page: int = 500
    pages: int = 4


MOST_READ: Final = Bounds()


class WaitingJobs:
    """The waiting jobs in *table*, of which a poll reads as much as *bounds* allow."""

    def __init__(self, table: Table, bounds: Bounds) -> None:
        """Read nothing yet."""
        self._table = table
        self._bounds = bounds
        self._labels: dict[str, Mapping[str, str]] = {}

    def of_pool(self, tenant: str, pool: str, labels: Mapping[str, str]) -> Iterator[Job]:
        """Yield the jobs that a worker with *labels* may take, each read when it is asked for."""
        query = Query(
            condition="run_list = :list",
            values={":list": pool_list(tenant, pool)},
            index=RUN_LISTS,
            limit=self._bounds.page,
        )
        page = self._table.page(query)
        yield from self._suiting(page.items, labels)
        if page.last_key is None:
            return
        position = pool_position_key(tenant, pool, labels_digest(labels))
        stored = next(iter(self._table.batch([position])), {})
        start = max(page.last_key, stored.get("go_on_after") or page.last_key, key=_place)
        after: Item | None = start
        for _ in range(self._bounds.pages - 1):
            page = self._table.page(replace(query, start_after=after))
            yield from self._suiting(page.items, labels)
            after = page.last_key
            if after is None:
                break
        if after is not None or "go_on_after" in stored:
            self._remember(position, after)

    def _remember(self, position: Key, after: Item | None) -> None:
        """Let the next poll go on behind *after*, or behind its first page if that is None."""
        if after is None:
            self._table.update(Update(key=position, expression="REMOVE go_on_after"))
            return
        place = {name: after[name] for name in _KEYS}
        expires_at = timestamp.from_text(_place(after).partition("#")[0]) + _POSITION_KEPT
        self._table.update(
            Update(
                key=position,
                expression="SET go_on_after = :place, expires_at = :end",
                values={":place": place, ":end": int(expires_at.timestamp())},
            )
        )

    def _suiting(self, keys: Sequence[Item], labels: Mapping[str, str]) -> Iterator[Job]:
        """Yield those of the jobs under *keys* that wait still and want no other labels."""
        suiting = self._suiting_digests(keys, labels)
        chosen = [key for key in keys if listed_digest(key["created_sort"]) in suiting]
        for first in range(0, len(chosen), _READ_TOGETHER):
            for job in self._read(chosen[first : first + _READ_TOGETHER]):
                if job.suits(labels):
                    yield job

    def _suiting_digests(self, keys: Sequence[Item], labels: Mapping[str, str]) -> set[str]:
        """Return the digests of labels that the worker has; one job of each shows the labels."""
        if not labels:
            return {labels_digest({})}
        known = {labels_digest({}), labels_digest(labels)}
        self._learn(keys, known)
        digests = {listed_digest(key["created_sort"]) for key in keys}
        # A job that has gone shows no labels; the others with its digest are read themselves.
        suiting = {digest for digest in digests if has_labels(labels, self._labels.get(digest, {}))}
        return suiting | known

    def _learn(self, keys: Sequence[Item], known: set[str]) -> None:
        """Read the labels of those digests that are neither *known* nor remembered."""
        unknown = {
            digest: Key(key["pk"], key["sk"])
            for key in reversed(keys)
            if (digest := listed_digest(key["created_sort"])) not in known
            and digest not in self._labels
        }
        if len(self._labels) + len(unknown) > _MOST_REMEMBERED:
            self._labels.clear()
        for item in self._table.batch(list(unknown.values())):
            self._labels[labels_digest(item["labels"])] = item["labels"]

    def _read(self, keys: Sequence[Item]) -> Iterator[Job]:
        """Yield the jobs under *keys* that wait still, the oldest first."""
        items = self._table.batch([Key(key["pk"], key["sk"]) for key in keys])
        still = [item for item in items if waits(item)]
        return map(job_from_item, sorted(still, key=_place))


def _place(item: Item) -> str:
    return str(item["created_sort"])
