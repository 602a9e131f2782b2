"""The journal of a run, kept in chunks of a few entries, one item each.

An append is one update of the last chunk: DynamoDB orders simultaneous writers, and no writer's
clock matters. A chunk with CHUNK_ENTRIES entries is full for every writer, however much is to be
appended, and never changes again. Only a writer that found chunk n full begins chunk n+1. A reader
that stops after the first chunk that is not full therefore never sees a gap, although a query is
not a snapshot. An append costs the write units of its whole chunk, one or two. A counter with one
item per entry would leave gaps after a crash.

The entry that ends the run sets the chunk's `fence` in the same write. An append that begins
something requires that there is none, so one condition of one write decides whether anything may
begin. A writer that begins chunk n+1 has found chunk n full and copies its fence, so the fence is
never lost. An append without that condition only logs what had begun before.

A chunk also holds the ids of its entries, so that it recognises a repeated append. Entries that
decide something come with a conditional write, which happens once. Other entries, such as the start
of an attempt, may appear again some chunks later if their writer repeats them; the fold ignores
them.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.adapters.known_journals import KnownJournals
from taskrunner.adapters.run_items import running_check
from taskrunner.adapters.table import ConditionFailedError, Table
from taskrunner.adapters.table_layout import (
    CHUNKS,
    LAST_CHUNK,
    chunk_key,
    chunk_number,
    partition_of,
    run_key,
    run_partition,
)
from taskrunner.adapters.table_requests import Update, by_range
from taskrunner.errors import TryAgainError
from taskrunner.model import journal
from taskrunner.model.journal import Entry, PlacedEntry, Position
from taskrunner.model.run import RunStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from taskrunner.adapters.known_journals import KnownJournal
    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.table_requests import Item, Write
    from taskrunner.model.run import Run
    from taskrunner.ports.runs import RunSnapshot, Stops

# An append costs the size of the whole chunk, so chunks are small.
CHUNK_ENTRIES: Final = 8
# A new run's entries are one transaction with its item, which takes 100 writes.
_MAX_FIRST_CHUNKS: Final = 50
_APPEND_TRIES: Final = 200
# An environment of a function meets few runs at the same time.
_REMEMBERED_RUNS: Final = 32


class JournalEndedError(ConditionFailedError):
    """The run has ended with *outcome*, so its journal takes no entry that begins something.

    *is_recorded* is whether its last chunk has all entries that were to be appended.
    """

    def __init__(
        self, outcome: RunStatus, items: Mapping[int, Item], *, is_recorded: bool = False
    ) -> None:
        """Keep the items of the other failed conditions, by the places of their writes."""
        super().__init__(dict(items))
        self.outcome = outcome
        self.is_recorded = is_recorded


class Addition(NamedTuple):
    """Entries to append.

    *used_ms* is added to the time that executors have used; see `chunk_used_ms`. *ends* is the
    outcome of the run if the entries end it. Entries that come *is_late* are appended to the
    journal of an ended run too. A transaction with other writes is tried for *patience_s* seconds.
    """

    entries: Sequence[Entry]
    used_ms: int = 0
    ends: RunStatus | None = None
    is_late: bool = False
    patience_s: float = 0


class _End(NamedTuple):
    """The end of the journal: the number of its last chunk, and what full chunks hand on.

    *used_before_ms* and *fence* are known once a full chunk was found.
    """

    number: int
    used_before_ms: int = 0
    fence: str | None = None


class JournalChunks:
    """Reads and appends the journals of all runs."""

    def __init__(self, table: Table, retention: Retention) -> None:
        """Keep chunks for as long as *retention* keeps their runs."""
        self._table = table
        self._retention = retention
        self._last_chunks: dict[str, Item] = {}
        self.known: Final = KnownJournals(CHUNK_ENTRIES)

    def remember(self, chunk: Item) -> None:
        """Remember *chunk*, unless a later state of the run's journal was seen already."""
        if len(self._last_chunks) >= _REMEMBERED_RUNS:
            self._last_chunks.clear()
        known = self._last_chunks.get(chunk["pk"])
        if known is None or _progress(chunk) > _progress(known):
            self._last_chunks[chunk["pk"]] = chunk

    def last_numbers(self, partition: str) -> Sequence[int]:
        """Return the number of the run's last chunk that was seen, and the next; or nothing."""
        journal, chunk = self.known.find(partition), self._last_chunks.get(partition)
        seen = [] if journal is None else [journal.number]
        if chunk is not None:
            seen.append(chunk_number(chunk["sk"]))
        return (max(seen), max(seen) + 1) if seen else ()

    def read(
        self, tenant: str, run_id: str, after: Position | None, limit: int | None
    ) -> Sequence[PlacedEntry]:
        """Return at most *limit* entries that follow *after*, in order."""
        start = after or Position(0, -1)
        first = chunk_key(run_partition(tenant, run_id), start.chunk)
        read: list[PlacedEntry] = []
        # The ids of entries are half of a chunk, and a reader has no use for them.
        chunks = replace(by_range(first, LAST_CHUNK), attributes="sk, entries")
        for item in self._table.query(chunks):
            entries = chunk_entries(item)
            read += [placed for placed in entries if placed.position > start]
            if limit is not None and len(read) >= limit:
                return read[:limit]
            if len(entries) < CHUNK_ENTRIES:
                # This chunk was the last one when it was read. A later chunk in the same answer
                # was begun since then, so entries may have been appended in between.
                break
        return read

    def read_end(
        self, tenant: str, run_id: str, count: int, before: Position | None = None
    ) -> Sequence[PlacedEntry]:
        """Return the last *count* entries, or the last ones before a position, in order.

        The chunks before the last one are full, so reading them backwards never meets a gap.
        """
        partition = run_partition(tenant, run_id)
        last = LAST_CHUNK if before is None else chunk_key(partition, before.chunk).sk
        backwards = replace(
            by_range(chunk_key(partition, 0), last, descending=True),
            attributes="sk, entries",
            limit=count // CHUNK_ENTRIES + 2,  # the last chunk and the first one needed are partial
        )
        read: deque[PlacedEntry] = deque()
        for item in self._table.query(backwards):
            entries = reversed(chunk_entries(item))
            read.extendleft(e for e in entries if before is None or e.position < before)
            if len(read) >= count:
                break
        return list(read)[-count:]

    def first_chunks(self, run: Run, entries: Sequence[Entry]) -> list[Update]:
        """Return the updates that begin the journal of a new run.

        These chunks may be larger than CHUNK_ENTRIES, so that they fit into one transaction.
        """
        size = max(CHUNK_ENTRIES, -(-len(entries) // _MAX_FIRST_CHUNKS))
        chunks = [entries[i : i + size] for i in range(0, len(entries), size)]
        return [
            self._append_update(run, _End(number), Addition(chunk))
            for number, chunk in enumerate(chunks)
        ]

    def append(
        self,
        snapshot: RunSnapshot,
        addition: Addition,
        writes: Sequence[Write] = (),
    ) -> None:
        """Append *addition* at the end of the journal, in one transaction with *writes*.

        Without *writes* it is one plain update, which no transaction can conflict with.

        Raises:
            JournalEndedError: the run has ended, and the entries are not late.
            ConditionFailedError: a condition of *writes* does not hold.
            TryAgainError: other writers append again and again.
        """
        end = _End(snapshot.last_entries[0].position.chunk if snapshot.last_entries else 0)
        partition = partition_of(snapshot.run)
        journal, chunk = self.known.find(partition), self._last_chunks.get(partition)
        # An append to an earlier or a full chunk would be refused, and be followed by a query.
        if journal is not None and journal.number >= end.number:
            addition = _without(addition, {entry.id for entry in journal.entries})
            end = self._end_of_known(journal)
        elif chunk is not None and chunk_number(chunk["sk"]) >= end.number and "fence" not in chunk:
            # The refusal of a chunk with a fence is needed: it says how the run ended.
            addition = _without_present(addition, chunk)
            end = _end_at(chunk, chunk_number(chunk["sk"]))
        for _ in range(_APPEND_TRIES):
            if not addition.entries:
                return self._write_without_entries(snapshot.run, writes, addition)
            update = self._append_update(snapshot.run, end, addition)
            try:
                if writes:
                    self._table.transact([*writes, update], addition.patience_s)
                else:
                    self.remember(self._table.updated(update))
            except ConditionFailedError as failed:
                chunk = failed.items.pop(len(writes), {})
                if not addition.is_late:
                    _check_fence(chunk, failed, addition.entries)
                if failed.items:
                    raise
                addition = _without_present(addition, chunk)
                end = self._end_after(snapshot.run, end.number, chunk)
            else:
                self.known.add(journal, end.number, addition.entries, addition.used_ms)
                return None
        raise TryAgainError(f"the journal of run {snapshot.run.run_id} is too busy")

    def append_if_unchanged(
        self, snapshot: RunSnapshot, entries: Sequence[Entry], writes: Sequence[Write]
    ) -> bool:
        """Append *entries* in one transaction with *writes*, if the journal ends as *snapshot*.

        Return False if it has changed, or this process does not know it, or a condition of *writes*
        does not hold; nothing was written then.
        """
        run, partition = snapshot.run, partition_of(snapshot.run)
        journal = self.known.find(partition)
        if journal is None or snapshot.last_entries != placed_entries(journal):
            return False
        end = self._end_of_known(journal)
        length = len(journal.entries) if end.number == journal.number else 0
        update = self._append_update(run, end, Addition(entries), length)
        try:
            if writes:
                self._table.transact([*writes, update])
            else:
                self._table.update(update)
        except ConditionFailedError as failed:
            self.known.give_up(partition)
            chunk = failed.items.get(len(writes), {})
            if chunk:
                self.remember(chunk)
            written = chunk.get("entries", [])[length : length + len(entries)]
            return failed.was_repeated and bool(written == update.values[":new"])
        self.known.add(journal, end.number, entries, is_exact=True)
        return True

    def _end_of_known(self, journal: KnownJournal) -> _End:
        if self.known.is_full(journal):
            return _End(journal.number + 1, journal.used_ms)
        return _End(journal.number)

    def _write_without_entries(self, run: Run, writes: Sequence[Write], addition: Addition) -> None:
        """Make *writes*, unless the run has ended; the journal has their entries already."""
        if not writes:
            return None
        # A transaction takes one write of an item. A change of the run requires that it goes on.
        changes_run = any(isinstance(w, Update) and w.key == run_key(run) for w in writes)
        if addition.is_late or changes_run:
            return self._table.transact(writes, addition.patience_s)
        try:
            self._table.transact([*writes, running_check(run)], addition.patience_s)
        except ConditionFailedError as failed:
            ended = failed.items.pop(len(writes), None)
            if ended:
                outcome = RunStatus(ended["outcome"])
                raise JournalEndedError(outcome, failed.items, is_recorded=True) from None
            raise

    def _end_after(self, run: Run, number: int, chunk: Item) -> _End:
        """Return the end of the journal after *chunk*, which did not take an append.

        It is the same chunk if that has room and only repeated entries were in the way.
        """
        end = _end_at(chunk, number)
        if end.number == number:
            return end
        next_key = chunk_key(partition_of(run), number + 1)
        page = self._table.page(by_range(next_key, LAST_CHUNK, descending=True, limit=1))
        last = next(iter(page.items), None)
        # A full chunk never changes again, so neither does what it hands on to the next one.
        return end if last is None else _End(chunk_number(last["sk"]))

    def _append_update(
        self,
        run: Run,
        end: _End,
        addition: Addition,
        length: int | None = None,
    ) -> Update:
        """Return the update that appends to a chunk, unless it holds one of the entries.

        With a *length*, it appends to a chunk that has as many entries; 0 is one that is not there.
        """
        entries = addition.entries
        condition, tested = _has_room(addition) if length is None else _has_length(length)
        fence = end.fence if addition.ends is None else addition.ends.value
        texts = [json.dumps(journal.to_document(entry), ensure_ascii=False) for entry in entries]
        return Update(
            key=chunk_key(partition_of(run), end.number),
            expression=(
                "SET entries = list_append(if_not_exists(entries, :none), :new), "
                "expires_at = :expires_at, used_before_ms = if_not_exists(used_before_ms, :before)"
                + ("" if fence is None else ", fence = if_not_exists(fence, :fence)")
                + " ADD ids :ids, used_ms :used"
            ),
            condition=condition,
            values={
                ":none": [],
                ":new": texts,
                ":ids": {entry.id for entry in entries},
                ":before": end.used_before_ms,
                ":used": addition.used_ms,
                ":expires_at": self._retention.expires_at(run),
                ":fence": fence,
                **tested,
            },
        )


def _has_room(addition: Addition) -> tuple[str, dict[str, object]]:
    """Return the condition that a chunk takes an addition, with the values that it names."""
    ids = {f":i{place}": entry.id for place, entry in enumerate(addition.entries)}
    none_present = "".join(f" AND NOT contains(ids, {name})" for name in ids)
    unfenced = "" if addition.is_late else " AND attribute_not_exists(fence)"
    has_room = f"size(entries) < :full{unfenced}{none_present}"
    return f"attribute_not_exists(pk) OR ({has_room})", {":full": CHUNK_ENTRIES, **ids}


def _has_length(length: int) -> tuple[str, dict[str, object]]:
    """Return the condition that a chunk of a run that goes on has so many entries."""
    if length == 0:
        return "attribute_not_exists(pk)", {}
    return "size(entries) = :length AND attribute_not_exists(fence)", {":length": length}


def _end_at(chunk: Item, number: int) -> _End:
    """Return the end of the journal at *chunk*: the next chunk, with what it is handed, if full."""
    if not is_full(chunk):
        return _End(number)
    return _End(number + 1, chunk_used_ms(chunk), chunk.get("fence"))


def with_end(addition: Addition, stops: Stops) -> Addition:
    """Return *addition* with the entry of *stops* that ends the run, or its steps, if any."""
    if stops.steps_failed is not None:
        return addition._replace(entries=[*addition.entries, stops.steps_failed])
    if stops.run_failed is None:
        return addition
    entries = [*addition.entries, stops.run_failed]
    return addition._replace(entries=entries, ends=RunStatus.FAILED)


def _check_fence(chunk: Item, failed: ConditionFailedError, entries: Sequence[Entry]) -> None:
    """Raise JournalEndedError if *chunk* has a fence."""
    if "fence" in chunk:
        is_recorded = all(entry.id in chunk["ids"] for entry in entries)
        outcome = RunStatus(chunk["fence"])
        raise JournalEndedError(outcome, failed.items, is_recorded=is_recorded) from None


def _without_present(addition: Addition, chunk: Item) -> Addition:
    """Return *addition* without the entries that *chunk* has."""
    return _without(addition, chunk.get("ids", set()))


def _without(addition: Addition, present: Collection[str]) -> Addition:
    """Return *addition* without the entries whose ids are *present*."""
    entries = [entry for entry in addition.entries if entry.id not in present]
    return addition._replace(entries=entries)


def _progress(chunk: Item) -> tuple[str, int]:
    """Return a value that grows with the journal: chunks are filled one after the other."""
    return chunk["sk"], len(chunk.get("entries", []))


def is_full(chunk: Item) -> bool:
    """Return whether *chunk* takes no more entries, so that it never changes again."""
    return len(chunk.get("entries", [])) >= CHUNK_ENTRIES


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


def placed_entries(journal: KnownJournal) -> list[PlacedEntry]:
    """Return the entries of the last chunk of a journal with their positions."""
    return [
        PlacedEntry(Position(journal.number, place), entry)
        for place, entry in enumerate(journal.entries)
    ]


def chunk_used_ms(chunk: Item) -> int:
    """Return the time that executors have used up to the end of a chunk.

    A chunk counts its own time, and holds the time before it. Every attempt's end writes to a chunk
    anyway, so this count costs nothing.
    """
    return int(chunk.get("used_before_ms", 0)) + int(chunk.get("used_ms", 0))
