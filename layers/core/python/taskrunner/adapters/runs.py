"""Runs, journals and outcomes in the table.

The journal is kept in chunks of a few entries, one item each. Appending is one update of the last
chunk: DynamoDB puts simultaneous writers into an order, and no writer's clock matters. A chunk that
has CHUNK_ENTRIES is full for every writer, however much is to be appended, and never changes again;
chunk n+1 is begun only by one who found chunk n full. So a reader who stops behind the first chunk
that is not full never sees a gap, although a query is no snapshot. `list_append` in a small chunk
costs one or two write units, where a counter and an item per entry would leave gaps behind a crash.

An entry's id is kept beside the entries of its chunk, so that a repeated append is recognised
there. What decides comes with a conditional write that happens once; what only tells, such as that
an attempt has started, may stand there again when its writer repeats it some chunks later, and the
fold does not mind.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Final

from taskrunner.adapters import cursors
from taskrunner.adapters.table import (
    OPEN_APPROVAL,
    RUNS_BY_TENANT,
    UNFINISHED_RUNS,
    ConditionFailedError,
    Table,
    encoded,
    run_key,
)
from taskrunner.errors import NotFoundError, TooManyRunsError, TryAgainError
from taskrunner.model import journal
from taskrunner.model.journal import Entry, PlacedEntry, Position
from taskrunner.model.run import Run, RunStatus, StepOutcome, StepStatus
from taskrunner.ports.page import Page
from taskrunner.ports.runs import Head

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from taskrunner.adapters.artifacts import ArtifactItems
    from taskrunner.adapters.claims import Claims
    from taskrunner.adapters.retention import Retention
    from taskrunner.model.artifact import Artifact
    from taskrunner.model.json_types import JsonObject

# Small chunks keep an append cheap: its cost is the size of the whole chunk.
CHUNK_ENTRIES: Final = 8
_APPEND_TRIES: Final = 200
# A transaction has at most 100 writes and 4 MB; an artifact that is a value has up to 256 KB.
_MOST_CHUNKS: Final = 50
_MOST_ARTIFACTS: Final = 12
_MOST_APPROVALS: Final = 80
_MS_PER_S: Final = 1000
_OUTPUTS_INLINE_BYTES: Final = 8 * 1024


class DynamoRuns:
    """`usecases.ports.Runs` over the table; outputs that are large are claimed from the bucket."""

    def __init__(
        self, table: Table, claims: Claims, artifacts: ArtifactItems, retention: Retention
    ) -> None:
        """Keep everything of a run for as long as *retention* says."""
        self._table = table
        self._claims = claims
        self._artifacts = artifacts
        self._retention = retention

    def create(self, run: Run, entries: Sequence[Entry]) -> bool:
        """See the port."""
        size = max(CHUNK_ENTRIES, -(-len(entries) // _MOST_CHUNKS))
        chunks = [entries[i : i + size] for i in range(0, len(entries), size)]
        item = _run_item(run) | {"expires_at": self._retention.expires_at(run)}
        put = {"Put": {"Item": encoded(item), "ConditionExpression": "attribute_not_exists(pk)"}}
        journal = [{"Update": self._append(run, n, c)} for n, c in enumerate(chunks)]
        try:
            self._table.transact([put, *journal, *_queued(run)])
        except ConditionFailedError as failed:
            if run.queue_depth is None or 0 in failed.items:
                return False
            raise TooManyRunsError(run.pack_name, run.queue_depth) from None
        return True

    def head(self, tenant: str, run_id: str) -> Head:
        """See the port. One query: the run sorts right behind its journal."""
        answer = self._table.query_page(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :run",
            ExpressionAttributeValues={
                ":pk": run_key(tenant, run_id),
                ":first": "J#",
                ":run": "R",
            },
            ScanIndexForward=False,
            Limit=2,
        )
        items = answer["Items"]
        if not items or items[0]["sk"] != "R":
            raise NotFoundError(f"run {run_id}")
        last = items[1] if len(items) > 1 and items[1]["sk"].startswith("J#") else None
        if last is None:
            return Head(_run(items[0]), [])
        return Head(_run(items[0]), _entries(last), _used_ms(last) / _MS_PER_S)

    def journal(
        self, tenant: str, run_id: str, *, after: Position | None = None, limit: int | None = None
    ) -> Sequence[PlacedEntry]:
        """See the port."""
        start = after or Position(0, -1)
        found: list[PlacedEntry] = []
        for item in self._table.query(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": run_key(tenant, run_id),
                ":first": _chunk_key(start.chunk),
                ":last": "J#~",
            },
        ):
            entries = _entries(item)
            found += [placed for placed in entries if placed.position > start]
            if limit is not None and len(found) >= limit:
                return found[:limit]
            if len(entries) < CHUNK_ENTRIES:
                # It was the last when it was read. What the query found behind it was begun since,
                # and entries that this one got in between would be passed over.
                break
        return found

    def append(self, head: Head, entries: Sequence[Entry]) -> None:
        """See the port. One plain update, which needs no transaction and meets no conflict."""
        self.append_with(head, entries, [])

    def append_with(
        self,
        head: Head,
        entries: Sequence[Entry],
        others: Sequence[JsonObject],
        used_ms: int = 0,
    ) -> None:
        """Append *entries*, atomically with *others*, at the journal's end wherever that is.

        *used_ms* is added to what executors have used; see `_used_ms`.

        Raises:
            ConditionFailedError: a condition of *others* does not hold.
        """
        chunk = head.tail[0].position.chunk if head.tail else 0
        before_ms = 0  # what matters to a chunk that is new, and is known by whoever begins one
        for _ in range(_APPEND_TRIES):
            if not entries:
                return self._table.transact(others) if others else None
            update = self._append(head.run, chunk, entries, before_ms, used_ms)
            try:
                if others:
                    self._table.transact([*others, {"Update": update}])
                else:
                    self._table.update(update)
            except ConditionFailedError as failed:
                if any(place < len(others) for place in failed.items):
                    raise
                there = failed.items[len(others)].get("ids", set())
                entries = [entry for entry in entries if entry.id not in there]
                chunk, before_ms = self._next_chunk(head.run, chunk, failed.items[len(others)])
            else:
                return None
        raise TryAgainError(f"the journal of run {head.run.run_id} is too busy")

    def _next_chunk(self, run: Run, chunk: int, item: JsonObject) -> tuple[int, int]:
        """Where to try next: here, when only repeated entries were in the way, else further on.

        With it comes what was used up to there, for the chunk that may have to be begun.
        """
        if len(item.get("entries", [])) < CHUNK_ENTRIES:
            return chunk, _used_ms(item)
        last = next(
            iter(
                self._table.query_page(
                    KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                    ExpressionAttributeValues={
                        ":pk": run_key(run.tenant, run.run_id),
                        ":first": _chunk_key(chunk + 1),
                        ":last": "J#~",
                    },
                    ScanIndexForward=False,
                    Limit=1,
                )["Items"]
            ),
            None,
        )
        # A full chunk never changes again, and neither does what was used up to its end.
        return (chunk + 1, _used_ms(item)) if last is None else (_chunk_number(last), 0)

    def _append(
        self,
        run: Run,
        chunk: int,
        entries: Sequence[Entry],
        before_ms: int = 0,
        used_ms: int = 0,
    ) -> JsonObject:
        """The update that appends to a chunk, under the condition that none of it is there."""
        ids = {f":i{number}": entry.id for number, entry in enumerate(entries)}
        new = "".join(f" AND NOT contains(ids, {name})" for name in ids)
        texts = [json.dumps(journal.to_document(entry), ensure_ascii=False) for entry in entries]
        return {
            "Key": encoded({"pk": run_key(run.tenant, run.run_id), "sk": _chunk_key(chunk)}),
            "UpdateExpression": (
                "SET entries = list_append(if_not_exists(entries, :none), :new), "
                "expires_at = :expires_at, used_before_ms = if_not_exists(used_before_ms, :before) "
                "ADD ids :ids, used_ms :used"
            ),
            "ConditionExpression": f"attribute_not_exists(pk) OR (size(entries) < :full{new})",
            "ExpressionAttributeValues": encoded(
                {
                    ":none": [],
                    ":new": texts,
                    ":ids": {entry.id for entry in entries},
                    ":full": CHUNK_ENTRIES,
                    ":before": before_ms,
                    ":used": used_ms,
                    ":expires_at": self._retention.expires_at(run),
                    **ids,
                }
            ),
        }

    def outcomes(self, tenant: str, run_id: str, paths: Collection[str]) -> dict[str, StepOutcome]:
        """See the port."""
        pk = run_key(tenant, run_id)
        items = self._table.batch([(pk, f"S#{path}") for path in sorted(paths)])
        return {item["path"]: self._outcome(item) for item in items}

    def outcomes_below(self, tenant: str, run_id: str, beginning: str) -> dict[str, StepOutcome]:
        """See the port."""
        items = self._table.query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :beginning)",
            ExpressionAttributeValues={
                ":pk": run_key(tenant, run_id),
                ":beginning": f"S#{beginning}",
            },
        )
        return {item["path"]: self._outcome(item) for item in items}

    def _outcome(self, item: JsonObject) -> StepOutcome:
        claim = item.get("claim")
        text = self._claims.fetch(claim) if claim else item.get("outputs", "null")
        return StepOutcome(
            path=item["path"],
            attempt=item["attempt"],
            status=StepStatus(item["status"]),
            outputs=json.loads(text),
            final=item["final"],
        )

    def record_step(
        self,
        head: Head,
        outcome: StepOutcome,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
        used_s: float = 0,
    ) -> StepOutcome:
        """See the port."""
        run = head.run
        text = json.dumps(outcome.outputs, ensure_ascii=False, separators=(",", ":"))
        large = len(text.encode()) > _OUTPUTS_INLINE_BYTES
        item = {
            "pk": run_key(run.tenant, run.run_id),
            "sk": f"S#{outcome.path}",
            "path": outcome.path,
            "attempt": outcome.attempt,
            "status": outcome.status.value,
            "final": outcome.final,
            "claim": self._claims.leave(run, text) if large else None,
            "outputs": None if large or outcome.outputs is None else text,
            "expires_at": self._retention.expires_at(run),
        }
        # Two tries of one attempt may both come here; the first to do so is the one that counts.
        put = {
            "Item": encoded(item),
            "ConditionExpression": "attribute_not_exists(pk) OR attempt < :attempt",
            "ExpressionAttributeValues": encoded({":attempt": outcome.attempt}),
        }
        live = {"ConditionCheck": live_check(run)}
        others = [{"Put": put}, live, *self._artifact_puts(run, artifacts, outcome)]
        try:
            self.append_with(head, entries, others, round(used_s * _MS_PER_S))
        except ConditionFailedError as failed:
            if 0 in failed.items:
                return self._outcome(failed.items[0])
            self.append(head, entries)  # the run has ended: it is logged, and changes nothing
        return outcome

    def _artifact_puts(
        self, run: Run, artifacts: Sequence[Artifact], writer: StepOutcome | None = None
    ) -> list[JsonObject]:
        expiry = self.expiry(run)
        items = [self._artifacts.item(run, one, writer) | expiry for one in artifacts]
        return [{"Put": {"Item": encoded(item)}} for item in items]

    def end(
        self,
        head: Head,
        outcome: RunStatus,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
    ) -> RunStatus:
        """See the port."""
        run = head.run
        fence = {
            "Key": encoded({"pk": run_key(run.tenant, run.run_id), "sk": "R"}),
            "UpdateExpression": ("SET outcome = :outcome, ended_at = :at, unfinished = :unsealed"),
            "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(outcome)",
            "ExpressionAttributeValues": encoded(
                {
                    ":outcome": outcome.value,
                    ":at": entries[-1].occurred_at,
                    ":unsealed": _unsealed(run),
                }
            ),
        }
        puts = self._artifact_puts(run, artifacts)
        others = [{"Update": fence}, *puts[:_MOST_ARTIFACTS], *_dequeued(run)]
        others += self._approvals_closed(run)[:_MOST_APPROVALS]
        live = {"ConditionCheck": live_check(run)}
        try:
            # What has no room beside the end comes before it, and never behind somebody else's:
            # of a run that has ended the list of artifacts may be signed.
            for start in range(_MOST_ARTIFACTS, len(puts), _MOST_ARTIFACTS):
                self._table.transact([live, *puts[start : start + _MOST_ARTIFACTS]])
            self.append_with(head, entries, others)
        except ConditionFailedError as failed:
            return RunStatus(failed.items[0]["outcome"])
        return outcome

    def seal(self, run: Run, bundle: Artifact) -> bool:
        """See the port. Who takes the run off the list of unfinished ones is who records.

        Approvals that had no room in the write that ended the run, or were opened beside it, are
        closed here: no more of them can come.
        """
        closings = self._approvals_closed(run)
        for start in range(0, len(closings), _MOST_APPROVALS):
            self._table.transact(closings[start : start + _MOST_APPROVALS])
        closed = {
            "Key": encoded({"pk": run_key(run.tenant, run.run_id), "sk": "R"}),
            "UpdateExpression": "REMOVE unfinished",
            "ConditionExpression": "attribute_exists(outcome) AND attribute_exists(unfinished)",
        }
        try:
            self._table.transact([{"Update": closed}, *self._artifact_puts(run, [bundle])])
        except ConditionFailedError:
            return False
        return True

    def _approvals_closed(self, run: Run) -> Sequence[JsonObject]:
        """What takes the approvals that still wait off the list of open ones."""
        pk = run_key(run.tenant, run.run_id)
        found = self._table.query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": pk, ":prefix": "A#"},
        )
        closed = f"REMOVE {', '.join(OPEN_APPROVAL)}"
        return [
            {"Update": {"Key": encoded({"pk": pk, "sk": item["sk"]}), "UpdateExpression": closed}}
            for item in found
            if OPEN_APPROVAL[0] in item
        ]

    def list(self, tenant: str, limit: int, cursor: str | None) -> Page:
        """See the port."""
        answer = self._table.query_page(
            IndexName=RUNS_BY_TENANT,
            KeyConditionExpression="tenant_runs = :tenant",
            ExpressionAttributeValues={":tenant": tenant},
            ScanIndexForward=False,
            Limit=limit,
            **cursors.start(cursor, ("tenant_runs", tenant), "created_sort"),
        )
        return Page([_summary(item) for item in answer["Items"]], cursors.following(answer))

    def count_unfinished(self, tenant: str, pack_name: str, at_most: int) -> int:
        """See the port. The index follows the table within moments, so the count may lag."""
        found = self._table.query(
            IndexName=UNFINISHED_RUNS,
            KeyConditionExpression="unfinished = :queue",
            ExpressionAttributeValues={":queue": f"{tenant}#{pack_name}"},
            ProjectionExpression="pk",
        )
        return sum(1 for _ in islice(found, at_most))

    def expiry(self, run: Run) -> JsonObject:
        """The attribute by which everything of a run is removed together."""
        return {"expires_at": self._retention.expires_at(run)}


def _queued(run: Run) -> list[JsonObject]:
    """What counts a run that its pack limits, if it does, under the condition that it may be."""
    if run.queue_depth is None:
        return []
    count = {
        "Key": _queue_key(run),
        "UpdateExpression": "ADD unfinished_runs :one",
        "ConditionExpression": "attribute_not_exists(pk) OR unfinished_runs < :most",
        "ExpressionAttributeValues": encoded({":one": 1, ":most": run.queue_depth}),
    }
    return [{"Update": count}]


def _dequeued(run: Run) -> list[JsonObject]:
    if run.queue_depth is None:
        return []
    count = {
        "Key": _queue_key(run),
        "UpdateExpression": "ADD unfinished_runs :less",
        "ExpressionAttributeValues": encoded({":less": -1}),
    }
    return [{"Update": count}]


def _queue_key(run: Run) -> JsonObject:
    return encoded({"pk": f"T#{run.tenant}#Q#{run.pack_name}", "sk": "Q"})


def live_check(run: Run) -> JsonObject:
    """The condition that *run* has not ended."""
    return {
        "Key": encoded({"pk": run_key(run.tenant, run.run_id), "sk": "R"}),
        "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(outcome)",
    }


def _chunk_key(chunk: int) -> str:
    return f"J#{chunk:09d}"


def _chunk_number(item: JsonObject) -> int:
    return int(item["sk"].removeprefix("J#"))


def _used_ms(chunk: JsonObject) -> int:
    """What executors have used until a chunk's end: what it counts, on top of what was before it.

    Counted in the chunks because each attempt's end writes to one anyway, so that it costs nothing.
    """
    return int(chunk.get("used_before_ms", 0)) + int(chunk.get("used_ms", 0))


def _entries(item: JsonObject) -> list[PlacedEntry]:
    chunk = _chunk_number(item)
    return [
        PlacedEntry(Position(chunk, place), journal.from_document(json.loads(text)))
        for place, text in enumerate(item["entries"])
    ]


def _run_item(run: Run) -> JsonObject:
    return {
        "pk": run_key(run.tenant, run.run_id),
        "sk": "R",
        "tenant": run.tenant,
        "run_id": run.run_id,
        "plan_hash": run.plan_hash,
        "definition_hash": run.definition_hash,
        "pack_name": run.pack_name,
        "pack_version": run.pack_version,
        "machine": run.machine,
        "execution": run.execution,
        "created_at": run.created_at,
        "created_by": run.created_by,
        "request_digest": run.request_digest,
        "longest_s": run.longest_s,
        "queue_depth": run.queue_depth,
        "idempotency_key": run.idempotency_key,
        "tenant_runs": run.tenant,
        "unfinished": f"{run.tenant}#{run.pack_name}",
        "created_sort": f"{run.created_at}#{run.run_id}",
    }


def _unsealed(run: Run) -> str:
    """Where the index of unfinished runs has one that ended and lacks its evidence.

    The reconciler scans the index and finds it; whoever counts a pack's runs by their key does not.
    """
    return f"{run.tenant}#{run.pack_name}#ended"


def _run(item: JsonObject) -> Run:
    outcome = item.get("outcome")
    return Run(
        tenant=item["tenant"],
        run_id=item["run_id"],
        plan_hash=item["plan_hash"],
        definition_hash=item["definition_hash"],
        pack_name=item["pack_name"],
        pack_version=item["pack_version"],
        machine=item["machine"],
        execution=item["execution"],
        created_at=item["created_at"],
        created_by=item["created_by"],
        request_digest=item["request_digest"],
        longest_s=item["longest_s"],
        queue_depth=item.get("queue_depth"),
        idempotency_key=item.get("idempotency_key"),
        outcome=None if outcome is None else RunStatus(outcome),
        sealed="unfinished" not in item,
    )


def _summary(item: JsonObject) -> JsonObject:
    summary = {
        "runId": item["run_id"],
        "pack": {"name": item["pack_name"], "version": item["pack_version"]},
        "planHash": item["plan_hash"],
        "createdAt": item["created_at"],
        "createdBy": item["created_by"],
        "outcome": item.get("outcome"),
        "endedAt": item.get("ended_at"),
    }
    return {key: value for key, value in summary.items() if value is not None}
