"""The journal of a run, kept in chunks of a few entries, one item each.

An append is one update of the last chunk: DynamoDB orders simultaneous writers, and no writer's
clock matters. A chunk with CHUNK_ENTRIES entries is full for every writer, however much is to be
appended, and never changes again. Only a writer that found chunk n full begins chunk n+1. A reader
that stops behind the first chunk that is not full therefore never sees a gap, although a query is
not a snapshot. An append costs the write units of its whole chunk, one or two. A counter with one
item per entry would leave gaps after a crash.

A chunk also holds the ids of its entries, so that it recognises a repeated append. Entries that
decide something come with a conditional write, which happens once. Other entries, such as the start
of an attempt, may appear again some chunks later if their writer repeats them; the fold ignores
them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.table import ConditionFailedError, Table
from taskrunner.adapters.table_layout import (
    CHUNKS,
    LAST_CHUNK,
    chunk_key,
    chunk_number,
    partition_of,
    run_partition,
)
from taskrunner.adapters.table_requests import Update, by_range
from taskrunner.errors import TryAgainError
from taskrunner.model import journal
from taskrunner.model.journal import Entry, PlacedEntry, Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.table_requests import Item, Write
    from taskrunner.model.run import Run
    from taskrunner.ports.runs import Head

# An append costs the size of the whole chunk, so chunks are small.
CHUNK_ENTRIES: Final = 8
# A new run's entries are one transaction with its item, which takes 100 writes.
_MAX_FIRST_CHUNKS: Final = 50
_APPEND_TRIES: Final = 200


class JournalChunks:
    """Reads and appends the journals of all runs."""

    def __init__(self, table: Table, retention: Retention) -> None:
        """Keep chunks for as long as *retention* keeps their runs."""
        self._table = table
        self._retention = retention

    def read(
        self, tenant: str, run_id: str, after: Position | None, limit: int | None
    ) -> Sequence[PlacedEntry]:
        """Return at most *limit* entries behind *after*, in order."""
        start = after or Position(0, -1)
        first = chunk_key(run_partition(tenant, run_id), start.chunk)
        read: list[PlacedEntry] = []
        for item in self._table.query(by_range(first, LAST_CHUNK)):
            entries = chunk_entries(item)
            read += [placed for placed in entries if placed.position > start]
            if limit is not None and len(read) >= limit:
                return read[:limit]
            if len(entries) < CHUNK_ENTRIES:
                # This chunk was the last one when it was read. A later chunk in the same answer
                # was begun since then, so entries may have been appended in between.
                break
        return read

    def first_chunks(self, run: Run, entries: Sequence[Entry]) -> list[Update]:
        """Return the updates that begin the journal of a new run.

        These chunks may be larger than CHUNK_ENTRIES, so that they fit into one transaction.
        """
        size = max(CHUNK_ENTRIES, -(-len(entries) // _MAX_FIRST_CHUNKS))
        chunks = [entries[i : i + size] for i in range(0, len(entries), size)]
        return [self._append_update(run, number, chunk) for number, chunk in enumerate(chunks)]

    def append(
        self,
        head: Head,
        entries: Sequence[Entry],
        writes: Sequence[Write] = (),
        used_ms: int = 0,
    ) -> None:
        """Append *entries* at the end of the journal, in one transaction with *writes*.

        Without *writes* it is one plain update, which no transaction can conflict with.
        *used_ms* is added to the time that executors have used; see `chunk_used_ms`.

        Raises:
            ConditionFailedError: a condition of *writes* does not hold.
            TryAgainError: other writers append again and again.
        """
        number = head.tail[0].position.chunk if head.tail else 0
        before_ms = 0  # only a new chunk stores it, and then `_next_chunk` has found it out
        for _ in range(_APPEND_TRIES):
            if not entries:
                return self._table.transact(writes) if writes else None
            update = self._append_update(head.run, number, entries, before_ms, used_ms)
            try:
                if writes:
                    self._table.transact([*writes, update])
                else:
                    self._table.update(update)
            except ConditionFailedError as failed:
                if any(place < len(writes) for place in failed.items):
                    raise
                chunk = failed.items[len(writes)]
                present = chunk.get("ids", set())
                entries = [entry for entry in entries if entry.id not in present]
                number, before_ms = self._next_chunk(head.run, number, chunk)
            else:
                return None
        raise TryAgainError(f"the journal of run {head.run.run_id} is too busy")

    def _next_chunk(self, run: Run, number: int, chunk: Item) -> tuple[int, int]:
        """Return the chunk to append to next, and the time that executors used before it, in ms.

        It is the same chunk if that has room and only repeated entries were in the way.
        """
        if len(chunk.get("entries", [])) < CHUNK_ENTRIES:
            return number, chunk_used_ms(chunk)
        next_key = chunk_key(partition_of(run), number + 1)
        page = self._table.page(by_range(next_key, LAST_CHUNK, descending=True, limit=1))
        last = next(iter(page.items), None)
        # A full chunk never changes again, so neither does the time used up to its end.
        return (number + 1, chunk_used_ms(chunk)) if last is None else (chunk_number(last["sk"]), 0)

    def _append_update(
        self,
        run: Run,
        number: int,
        entries: Sequence[Entry],
        before_ms: int = 0,
        used_ms: int = 0,
    ) -> Update:
        """Return the update that appends to a chunk, unless it holds one of *entries*."""
        ids = {f":i{place}": entry.id for place, entry in enumerate(entries)}
        none_present = "".join(f" AND NOT contains(ids, {name})" for name in ids)
        texts = [json.dumps(journal.to_document(entry), ensure_ascii=False) for entry in entries]
        return Update(
            key=chunk_key(partition_of(run), number),
            expression=(
                "SET entries = list_append(if_not_exists(entries, :none), :new), "
                "expires_at = :expires_at, used_before_ms = if_not_exists(used_before_ms, :before) "
                "ADD ids :ids, used_ms :used"
            ),
            condition=f"attribute_not_exists(pk) OR (size(entries) < :full{none_present})",
            values={
                ":none": [],
                ":new": texts,
                ":ids": {entry.id for entry in entries},
                ":full": CHUNK_ENTRIES,
                ":before": before_ms,
                ":used": used_ms,
                ":expires_at": self._retention.expires_at(run),
                **ids,
            },
        )


def is_chunk(item: Item) -> bool:
    """Return whether *item* is a chunk of a journal."""
    return str(item["sk"]).startswith(CHUNKS)


def chunk_entries(chunk: Item) -> list[PlacedEntry]:
    """Return the entries of a chunk with their positions."""
    number = chunk_number(chunk["sk"])
    return [
        PlacedEntry(Position(number, place), journal.from_document(json.loads(text)))
        for place, text in enumerate(chunk["entries"])
    ]


def chunk_used_ms(chunk: Item) -> int:
    """Return the time that executors have used up to the end of a chunk.

    A chunk counts its own time, and holds the time before it. Every attempt's end writes to a chunk
    anyway, so this count costs nothing.
    """
    return int(chunk.get("used_before_ms", 0)) + int(chunk.get("used_ms", 0))
