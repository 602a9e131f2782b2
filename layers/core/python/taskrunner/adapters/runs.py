"""The port Runs over the table.

Each write that decides something (creating a run, ending it, recording the end of a step) is one
transaction with its journal entries. The items are described in `table_layout`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.due_work import seen_update, watch_put
from taskrunner.adapters.journal_chunks import (
    Addition,
    JournalEndedError,
    chunk_entries,
    chunk_used_ms,
    is_chunk,
    is_full,
    placed_entries,
)
from taskrunner.adapters.run_endings import RunEndings
from taskrunner.adapters.run_items import (
    brief_puts,
    moved_update,
    run_from_item,
    run_item,
    run_listings,
    running_check,
    sealed_update,
    settled_update,
    unfinished_partition,
    unsealed_check,
)
from taskrunner.adapters.run_lists import RunLists
from taskrunner.adapters.step_records import StepRecords
from taskrunner.adapters.table import ConditionFailedError, Table
from taskrunner.adapters.table_layout import (
    CHUNKS,
    RUN,
    UNFINISHED_RUNS,
    Key,
    chunk_key,
    idempotency_key_key,
    outcome_key,
    queue_key,
    run_partition,
)
from taskrunner.adapters.table_requests import Put, Query, Update, by_range
from taskrunner.errors import NotFoundError, TooManyRunsError
from taskrunner.model import timestamp
from taskrunner.model.run import (
    Run,
    RunStatus,
    StepOutcome,
    StepsEnd,
    block_stopped,
    run_ended,
)
from taskrunner.model.run_filters import ALL_RUNS, RunFilters
from taskrunner.ports.runs import NOTHING, RunSnapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from taskrunner.adapters.journal_chunks import JournalChunks
    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.step_outcomes import StepOutcomes
    from taskrunner.adapters.table_requests import Item
    from taskrunner.model.artifact import Artifact
    from taskrunner.model.due_work import DueItem
    from taskrunner.model.job import Job
    from taskrunner.model.journal import Entry, PlacedEntry, Position
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports.page import Page
    from taskrunner.ports.runs import Stops

# A transaction takes 100 writes and 4 MB. An artifact that is a value has up to 256 KB.
_MAX_ARTIFACTS: Final = 12
_MS_PER_S: Final = 1000


class DynamoRuns:
    """`ports.Runs` over the table."""

    def __init__(
        self, table: Table, journal: JournalChunks, outcomes: StepOutcomes, retention: Retention
    ) -> None:
        """Keep all items of a run for as long as *retention* says."""
        self._table = table
        self._journal = journal
        self._outcomes = outcomes
        self._retention = retention
        self._lists = RunLists(table)
        self._endings = RunEndings(table, retention)
        self._steps = StepRecords(journal, outcomes, self._endings, retention)

    def create(
        self,
        run: Run,
        entries: Sequence[Entry],
        brief: JsonObject | None = None,
        *,
        watch_at: str | None = None,
    ) -> bool:
        """See the port."""
        item = run_item(run, self._retention.expires_at(run))
        unique = [Put(item=item, condition="attribute_not_exists(pk)"), *_key_put(item)]
        chunks = self._journal.first_chunks(run, entries)
        expires_at = item["expires_at"]
        shown = [*run_listings(run, expires_at), *brief_puts(run, brief, expires_at)]
        watch = [] if watch_at is None else [watch_put(run, "", watch_at, expires_at)]
        try:
            self._table.transact([*unique, *chunks, *shown, *watch, *_enter_queue(run)])
        except ConditionFailedError as failed:
            if run.queue_depth is None or min(failed.items) < len(unique):
                return False
            raise TooManyRunsError(run.pack_name, run.queue_depth) from None
        return True

    def move(self, run: Run, machine: str) -> bool:
        """See the port."""
        try:
            self._table.update(moved_update(run, machine))
        except ConditionFailedError:
            return False
        return True

    def keyed(self, tenant: str, creator: str, idempotency_key: str) -> str | None:
        """See the port."""
        item = self._table.get(idempotency_key_key(tenant, creator, idempotency_key))
        return None if item is None else str(item["run_id"])

    def snapshot(self, tenant: str, run_id: str, *paths: str) -> RunSnapshot:
        """See the port. One query reads both, because the run sorts right after its journal."""
        if paths and (known := self._snapshot_of_known(tenant, run_id, paths)) is not None:
            return known
        first = Key(run_partition(tenant, run_id), CHUNKS)
        page = self._table.page(by_range(first, RUN, descending=True, limit=2))
        if not page.items or page.items[0]["sk"] != RUN:
            raise NotFoundError(f"run {run_id}")
        run = run_from_item(page.items[0])
        last_chunks = list(filter(is_chunk, page.items[1:]))
        outcomes = self._outcomes.read(tenant, run_id, paths) if paths else {}
        return self._snapshot(run, last_chunks, {path: outcomes.get(path) for path in paths})

    def _snapshot_of_known(
        self, tenant: str, run_id: str, paths: Collection[str]
    ) -> RunSnapshot | None:
        """Return the snapshot of a run whose last chunk was seen a moment ago, or None.

        One call reads the outcomes too, because all keys are known. The result is None if there is
        a later chunk than that and its next one.
        """
        partition = run_partition(tenant, run_id)
        numbers = self._journal.last_numbers(partition)
        if not numbers:
            return None
        outcome_keys = {outcome_key(partition, path): path for path in paths}
        keys = [*outcome_keys, *(chunk_key(partition, number) for number in numbers)]
        read = self._table.batch([Key(partition, RUN), *keys])
        items = {Key(item["pk"], item["sk"]): item for item in read}
        chunks = [items[key] for key in keys if key in items and is_chunk(items[key])]
        run = items.get(Key(partition, RUN))
        if run is None or not chunks or (len(chunks) == len(numbers) and is_full(chunks[-1])):
            return None
        outcomes = {
            path: self._outcomes.from_item(items[key]) if key in items else None
            for key, path in outcome_keys.items()
        }
        return self._snapshot(run_from_item(run), chunks, outcomes)

    def _snapshot(
        self, run: Run, chunks: Sequence[Item], outcomes: Mapping[str, StepOutcome | None]
    ) -> RunSnapshot:
        """Return the snapshot of a run of which these last *chunks* were read."""
        snapshot = RunSnapshot(run, [], outcomes=outcomes)
        for chunk in chunks:
            self._journal.remember(chunk)
            placed, used_ms = chunk_entries(chunk), chunk_used_ms(chunk)
            self._journal.known.see(run, chunk["sk"], [item.entry for item in placed], used_ms)
            snapshot = RunSnapshot(run, placed, used_ms / _MS_PER_S, outcomes)
        return snapshot

    def remembered(self, tenant: str, run_id: str, path: str) -> RunSnapshot | None:
        """See the port."""
        known = self._journal.known.find(run_partition(tenant, run_id))
        if known is None or path in known.paths:
            return None
        return RunSnapshot(
            known.run, placed_entries(known), known.used_ms / _MS_PER_S, {path: None}
        )

    def journal(
        self, tenant: str, run_id: str, *, after: Position | None = None, limit: int | None = None
    ) -> Sequence[PlacedEntry]:
        """See the port."""
        return self._journal.read(tenant, run_id, after, limit)

    def journal_end(
        self, tenant: str, run_id: str, count: int, *, before: Position | None = None
    ) -> Sequence[PlacedEntry]:
        """See the port."""
        return self._journal.read_end(tenant, run_id, count, before)

    def append(
        self,
        snapshot: RunSnapshot,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
        stops: Stops = NOTHING,
    ) -> None:
        """See the port."""
        self._steps.begin(snapshot, entries, inside, stops)

    def append_if_unchanged(
        self, snapshot: RunSnapshot, entries: Sequence[Entry], *, inside: Collection[str] = ()
    ) -> bool:
        """See the port."""
        return self._steps.begin_if_unchanged(snapshot, entries, inside)

    def outcomes(self, tenant: str, run_id: str, paths: Collection[str]) -> dict[str, StepOutcome]:
        """See the port."""
        return self._outcomes.read(tenant, run_id, paths)

    def outcomes_below(self, tenant: str, run_id: str, beginning: str) -> dict[str, StepOutcome]:
        """See the port."""
        return self._outcomes.read_below(tenant, run_id, beginning)

    def record_step(  # noqa: PLR0913 - as in the port
        self,
        snapshot: RunSnapshot,
        outcome: StepOutcome,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
        used_s: float = 0,
        *,
        stops: Stops = NOTHING,
        patience_s: float = 0,
        job: Job | None = None,
    ) -> StepOutcome:
        """See the port. If two calls made the same attempt, the first one to write counts."""
        addition = Addition(entries, round(used_s * _MS_PER_S), patience_s=patience_s)
        return self._steps.end_attempt(snapshot, outcome, addition, artifacts, stops=stops, job=job)

    def record_decision(  # noqa: PLR0913 - as in the port
        self,
        snapshot: RunSnapshot,
        outcome: StepOutcome,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
        stops: Stops = NOTHING,
        patience_s: float = 0,
    ) -> StepOutcome:
        """See the port."""
        addition = Addition(entries, patience_s=patience_s)
        return self._steps.decide(snapshot, outcome, addition, inside, stops)

    def stopped_blocks(self, run: Run) -> dict[str, DueItem | None]:
        """See the port."""
        return self._endings.stopped_blocks(run)

    def end_steps(
        self, snapshot: RunSnapshot, end: StepsEnd, entries: Sequence[Entry], execution: str
    ) -> Run:
        """See the port."""
        run = snapshot.run
        writes = self._endings.of_steps(run, end, entries[-1].occurred_at, execution)
        try:
            self._journal.append(snapshot, Addition(entries), writes)
        except JournalEndedError as ended:
            raise run_ended(run.run_id, ended.outcome) from None
        except ConditionFailedError:
            now = self.snapshot(run.tenant, run.run_id).run
            if now.outcome is not None:
                raise run_ended(run.run_id, now.outcome) from None
            if now.steps_end is None:
                raise block_stopped(run.run_id) from None
            return now
        return replace(run, steps_end=end, execution=execution)

    def end(
        self,
        snapshot: RunSnapshot,
        outcome: RunStatus,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
        *,
        has_approvals: bool = True,
    ) -> RunStatus:
        """See the port."""
        run = snapshot.run
        puts = self._steps.artifact_puts(run, artifacts)
        last_puts = puts[:_MAX_ARTIFACTS]
        if has_approvals:
            writes = self._endings.of_run(run, outcome, entries, last_puts)
        else:
            writes = self._endings.of_run_without_approvals(run, outcome, entries)
        try:
            # The artifacts that do not fit beside the end are written before it, never after it:
            # the list of artifacts of an ended run may already be signed.
            for start in range(_MAX_ARTIFACTS, len(puts), _MAX_ARTIFACTS):
                batch = puts[start : start + _MAX_ARTIFACTS]
                self._table.transact([running_check(run), *batch])
            self._journal.append(snapshot, Addition(entries, ends=outcome), [*writes, *last_puts])
        except JournalEndedError as ended:
            return ended.outcome
        except ConditionFailedError as failed:
            return RunStatus(failed.items[0]["outcome"])
        return outcome

    def settle(self, run: Run) -> None:
        """See the port."""
        self._table.update(settled_update(run))

    def record_outputs(self, run: Run, artifacts: Sequence[Artifact]) -> None:
        """See the port."""
        puts = self._steps.artifact_puts(run, artifacts)
        for start in range(0, len(puts), _MAX_ARTIFACTS):
            batch = puts[start : start + _MAX_ARTIFACTS]
            with suppress(ConditionFailedError):
                self._table.transact([unsealed_check(run), *batch])

    def close_approvals(self, run: Run) -> None:
        """See the port."""
        self._endings.close_approvals(run)

    def record_breach(self, snapshot: RunSnapshot, entry: Entry, watch: DueItem) -> bool:
        """See the port."""
        try:
            self._journal.append(snapshot, Addition([entry], is_late=True), [seen_update(watch)])
        except ConditionFailedError:
            return False
        return True

    def seal(
        self, run: Run, bundle: Artifact, *, look_at: str | None = None, has_approvals: bool = True
    ) -> bool:
        """See the port.

        It closes the approvals that did not fit into the write that ended the run, or were opened
        at the same moment. No other approval can be opened after that write.
        """
        if has_approvals:
            self._endings.close_approvals(run)
        try:
            self._table.transact(
                [sealed_update(run, look_at), *self._steps.artifact_puts(run, [bundle])]
            )
        except ConditionFailedError:
            return False
        return True

    def list(
        self, tenant: str, limit: int, cursor: str | None, filters: RunFilters = ALL_RUNS
    ) -> Page:
        """See the port."""
        return self._lists.page(tenant, limit, cursor, filters)

    def last_approved(self, tenant: str, pack_name: str, besides: str | None) -> Run | None:
        """See the port. The index follows the table within moments."""
        return self._lists.last_approved(tenant, pack_name, besides)

    def count_unfinished(self, tenant: str, pack_name: str, at_most: int) -> int:
        """See the port. The index follows the table within moments, so the count may lag."""
        unfinished = self._table.query(
            Query(
                condition="unfinished = :queue",
                values={":queue": unfinished_partition(tenant, pack_name)},
                index=UNFINISHED_RUNS,
                attributes="pk",
            )
        )
        return sum(1 for _ in islice(unfinished, at_most))


def _key_put(run: Item) -> list[Put]:
    """Record the idempotency key of the new *run*; one that has expired may be used again."""
    if run["idempotency_key"] is None:
        return []
    key = idempotency_key_key(run["tenant"], run["created_by"], run["idempotency_key"])
    return [
        Put(
            item={**key._asdict(), "run_id": run["run_id"], "expires_at": run["expires_at"]},
            condition="attribute_not_exists(pk) OR expires_at < :now",
            values={":now": int(timestamp.from_text(run["created_at"]).timestamp())},
        )
    ]


def _enter_queue(run: Run) -> list[Update]:
    """Count *run* as unfinished if its pack has a maxQueueDepth, unless that many are."""
    if run.queue_depth is None:
        return []
    return [
        Update(
            key=queue_key(run),
            expression="ADD unfinished_runs :one",
            condition="attribute_not_exists(pk) OR unfinished_runs < :depth",
            values={":one": 1, ":depth": run.queue_depth},
        )
    ]
