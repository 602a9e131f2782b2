"""The port Approvals over the table: an approval, and beside it one item for each of its gates.

With the scope `gate` an approval is an item for each gate too, so its decisions meet no other gate.

A gate's item has its task token until the gate is woken, so the gates that wait are the items with
a token. Opening a gate checks in its transaction that no decision was stored since the approval was
read. A decision is stored before anybody looks for waiting gates. So every gate either sees the
verdict when it opens, or is found after the decision.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from taskrunner.adapters import cursors
from taskrunner.adapters.approval_items import (
    approval_from_item,
    decision_update,
    expired_update,
    gate_from_item,
    gate_update,
    listing,
    opening_update,
    relisting_update,
    undecided,
    unnotified_update,
    waiting_update,
)
from taskrunner.adapters.due_work import DUE_REMOVAL, watch_put
from taskrunner.adapters.journal_chunks import Addition, with_end
from taskrunner.adapters.run_endings import RunEndings
from taskrunner.adapters.run_items import approved_listing
from taskrunner.adapters.table import ConditionFailedError, Table
from taskrunner.adapters.table_layout import (
    OPEN_APPROVALS,
    Key,
    approval_key,
    brief_key,
    gate_key,
    partition_of,
    run_partition,
)
from taskrunner.adapters.table_requests import Query, Update, by_prefix
from taskrunner.errors import ConflictError
from taskrunner.model.approval import ApprovalRecord, Verdict, record_name, record_of
from taskrunner.ports.approvals import GateChange, OpenApprovals, OpenCount
from taskrunner.ports.runs import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from taskrunner.adapters.journal_chunks import JournalChunks
    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.table_requests import Item, Write
    from taskrunner.adapters.task_tokens import TaskTokens
    from taskrunner.errors import TaskRunnerError
    from taskrunner.model.approval import Decision, GateOpening, GateRecord
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports.runs import RunSnapshot, Stops

_FAILURES: Final = {
    Verdict.REJECTED: ("ApprovalRejectedError", "the gate was rejected"),
    Verdict.EXPIRED: ("ApprovalExpiredError", "nobody decided the gate in time"),
}
# The state machine retries nothing of what has ended.
_ENDED: Final = (ConflictError.__name__, "the run, or a block around the gate, has ended")
# A gate's item has the name of the record that it waits for.
_OF_APPROVAL: Final = "(approval_id = :approval_id OR begins_with(approval_id, :of_gates))"
_UNWOKEN: Final = "attribute_exists(task_token)"
_RECORD: Final = "sk, heard, notified, expired_by"
_TOKEN_AND_RECORD: Final = f"pk, {_RECORD}, approval_id, task_token"
# Thousands of gates may wait, and the API's caller waits at most 29 s. boto3 keeps 10 connections.
_WAKE_THREADS: Final = 10


class DynamoApprovals:
    """`ports.Approvals` over the table. Task tokens leave it for Step Functions only."""

    def __init__(
        self, table: Table, journal: JournalChunks, tokens: TaskTokens, retention: Retention
    ) -> None:
        """Append entries to *journal* in the transaction of the change that they describe."""
        self._table = table
        self._journal = journal
        self._tokens = tokens
        self._retention = retention
        self._endings = RunEndings(table, retention)

    def get(
        self, tenant: str, run_id: str, approval_id: str, gate_path: str | None = None
    ) -> ApprovalRecord:
        """See the port."""
        name = record_name(approval_id, gate_path)
        item = self._table.get(approval_key(run_partition(tenant, run_id), name))
        if item is None:
            return ApprovalRecord(approval_id=approval_id, gate_path=gate_path)
        return approval_from_item(item)

    def records(self, tenant: str, run_id: str, approval_id: str) -> Sequence[ApprovalRecord]:
        """See the port. The ids of other approvals may begin with this one."""
        query = by_prefix(approval_key(run_partition(tenant, run_id), approval_id))
        records = map(approval_from_item, self._table.query(query))
        return [record for record in records if record.approval_id == approval_id]

    def gate(self, run: Run, path: str) -> GateRecord | None:
        """See the port."""
        item = self._table.get(gate_key(partition_of(run), path))
        return None if item is None or "heard" not in item else gate_from_item(item)

    def gates(self, run: Run, approval_id: str) -> Iterator[GateRecord]:
        """See the port."""
        return map(gate_from_item, self._gates(run, _OF_APPROVAL, approval_id, _RECORD))

    def waiting(
        self, run: Run, approval_id: str, gate_path: str | None = None
    ) -> Iterator[GateRecord]:
        """See the port."""
        if gate_path is not None:
            item = self._table.get(gate_key(partition_of(run), gate_path))
            is_waiting = item is not None and _waits(item, approval_id)
            return iter([gate_from_item(item)] if item is not None and is_waiting else [])
        condition = f"{_OF_APPROVAL} AND {_UNWOKEN} AND attribute_not_exists(expired_by)"
        return map(gate_from_item, self._gates(run, condition, approval_id, _RECORD))

    def unwoken(self, run: Run) -> Iterator[GateRecord]:
        """See the port."""
        return map(gate_from_item, self._gates(run, _UNWOKEN, None, _RECORD))

    def first_expiry(self, run: Run) -> str | None:
        """See the port."""
        condition = f"{_UNWOKEN} AND attribute_not_exists(expired_by)"
        waiting = self._gates(run, condition, None, "summary")
        return min((json.loads(item["summary"])["expiresAt"] for item in waiting), default=None)

    def _gates(
        self, run: Run, condition: str, approval_id: str | None, attributes: str
    ) -> Iterator[Item]:
        """Query the *attributes* of the run's gates that fulfil *condition*, by path."""
        gates = by_prefix(gate_key(partition_of(run), ""))
        approval = {":approval_id": approval_id, ":of_gates": f"{approval_id}#"}
        values = {**gates.values, **({} if approval_id is None else approval)}
        return self._table.query(
            replace(gates, values=values, filter=condition, attributes=attributes)
        )

    def open(  # noqa: PLR0913 - as in the port
        self,
        snapshot: RunSnapshot,
        record: ApprovalRecord,
        waiting: GateOpening,
        token: str,
        entries: Sequence[Entry],
        *,
        gate: GateRecord | None,
        summary: JsonObject,
        inside: Collection[str] = (),
        stops: Stops = NOTHING,
        watch_at: str | None = None,
    ) -> bool:
        """See the port."""
        change = GateChange([], entries, inside, stops)
        expires_at = self._retention.expires_at(snapshot.run)
        update = gate_update(snapshot.run, record, waiting.step_path, gate, expires_at)
        if record.verdict is not None:
            # The caller wakes the gate itself, by *token*. An older token must wake nothing more.
            decided = replace(update, expression=f"{update.expression} REMOVE task_token")
            return self._write(snapshot, [decided], change)
        shown = listing(snapshot.run, record, waiting, summary)
        opened = waiting_update(update, token, shown)
        if gate is None or not gate.is_notified:
            opened = unnotified_update(opened, waiting)
        listed = opening_update(snapshot.run, record, shown, expires_at)
        watched = []
        if watch_at is not None and gate is None:
            watched = [watch_put(snapshot.run, waiting.step_path, watch_at, expires_at)]
        return self._write(snapshot, [opened, listed, *watched], change)

    def unnotified(self, run: Run, path: str) -> JsonObject | None:
        """See the port."""
        item = self._table.get(gate_key(partition_of(run), path))
        if item is None or "task_token" not in item or item.keys() & {"notified", "expired_by"}:
            return None
        summary: JsonObject = json.loads(item["summary"])
        return summary

    def record_notified(self, run: Run, path: str) -> None:
        """See the port. Gates that open at the same moment would collide on the approval's item."""
        self._table.update(
            Update(
                key=gate_key(partition_of(run), path),
                expression=(f"SET expires_at = :expires_at, notified = :yes REMOVE {DUE_REMOVAL}"),
                values={":expires_at": self._retention.expires_at(run), ":yes": True},
            )
        )

    def decide(self, snapshot: RunSnapshot, record: ApprovalRecord, change: GateChange) -> bool:
        """See the port. The first granted approval lists the run among the approved ones."""
        run, expires_at = snapshot.run, self._retention.expires_at(snapshot.run)
        writes: list[Write] = [decision_update(run, record, expires_at)]
        if record.verdict is Verdict.APPROVED:
            writes.append(approved_listing(run, expires_at))
        return self._write(snapshot, [*writes, *self._gate_updates(run, record, change)], change)

    def record_decisions(
        self, snapshot: RunSnapshot, record: ApprovalRecord, change: GateChange
    ) -> bool:
        """See the port."""
        return self._write(snapshot, self._gate_updates(snapshot.run, record, change), change)

    def expire(
        self, snapshot: RunSnapshot, record: ApprovalRecord, change: GateChange, expiry: Decision
    ) -> bool:
        """See the port."""
        updates = self._gate_updates(snapshot.run, record, change)
        expired = [expired_update(update, expiry) for update in updates]
        return self._write(snapshot, [*expired, undecided(snapshot.run, record, expiry)], change)

    def _gate_updates(self, run: Run, record: ApprovalRecord, change: GateChange) -> list[Update]:
        expires_at = self._retention.expires_at(run)
        return [gate_update(run, record, gate.step_path, gate, expires_at) for gate in change.gates]

    def _write(self, snapshot: RunSnapshot, writes: Sequence[Write], change: GateChange) -> bool:
        """Make all of *writes* if their items, the run and its blocks are as they were read."""
        added = self._endings.of_failure(
            snapshot.run, change.stops, change.entries, writes, change.inside
        )
        addition = with_end(Addition(change.entries), change.stops)
        try:
            self._journal.append(snapshot, addition, [*writes, *added])
        except ConditionFailedError:
            return False
        return True

    def list_anew(self, run: Run, name: str, waiting: Collection[str]) -> None:
        """See the port. A gate that opens meanwhile lists the approval itself, and that stays."""
        key = approval_key(partition_of(run), name)
        item = self._table.get(key)
        if item is None or "summary" not in item:
            return
        if json.loads(item["summary"]).get("stepId") in waiting:
            return
        keys = [gate_key(partition_of(run), path) for path in waiting]
        gates = [gate for gate in self._table.batch(keys) if "summary" in gate]
        latest = max(gates, key=itemgetter("opened_sort"), default=None)
        with suppress(ConditionFailedError):
            self._table.update(relisting_update(key, item, latest))

    def resume(self, run: Run, record: ApprovalRecord) -> None:
        """See the port. A sent token is removed, so that a repeated call continues after it."""
        items: Iterable[Item]
        if record.gate_path is None:
            condition = f"{_OF_APPROVAL} AND {_UNWOKEN}"
            items = self._gates(run, condition, record.approval_id, _TOKEN_AND_RECORD)
        else:
            item = self._table.get(gate_key(partition_of(run), record.gate_path))
            items = [] if item is None or "task_token" not in item else [item]
        own = (item for item in items if item["approval_id"] == record.name)
        self._each(own, lambda item: self._wake_once(item, record))

    def fail(self, run: Run, gates: Sequence[GateRecord]) -> None:
        """See the port."""
        keys = [gate_key(partition_of(run), gate.step_path) for gate in gates]
        items = (item for item in self._table.batch(keys) if "task_token" in item)
        self._each(items, self._fail_once)

    def _each(self, items: Iterable[Item], act: Callable[[Item], None]) -> None:
        with ThreadPoolExecutor(_WAKE_THREADS) as pool:
            for _ in pool.map(act, items):
                pass  # an exception of a thread is raised here

    def _wake_once(self, item: Item, record: ApprovalRecord) -> None:
        verdict = record.verdict
        if "expired_by" in item:
            verdict = Verdict.EXPIRED
        elif item["heard"] < len(record.decisions):
            return  # its run or block has ended without the decision
        if verdict is not None:
            self.wake(item["task_token"], verdict)
            self._remove_token(item)

    def _fail_once(self, item: Item) -> None:
        self._tokens.fail(item["task_token"], *_ENDED)
        self._remove_token(item)

    def _remove_token(self, item: Item) -> None:
        with suppress(ConditionFailedError):
            self._table.update(
                Update(
                    key=Key(item["pk"], item["sk"]),
                    expression="REMOVE task_token",
                    condition="task_token = :token",
                    values={":token": item["task_token"]},
                )
            )

    def wake(self, token: str, verdict: Verdict) -> None:
        """See the port."""
        if verdict is Verdict.APPROVED:
            self._tokens.succeed(token)
        else:
            self._tokens.fail(token, *_FAILURES[verdict])

    def refuse(self, token: str, error: TaskRunnerError) -> None:
        """See the port."""
        self._tokens.fail(token, type(error).__name__, str(error))

    def list_open(self, tenant: str, limit: int, cursor: str | None) -> OpenApprovals:
        """See the port. A page costs one query, and one read of the briefs of its runs."""
        index = cursors.TenantIndex(tenant, "tenant_open_approvals", "opened_sort")
        page = self._table.page(
            Query(
                condition="tenant_open_approvals = :tenant",
                values={":tenant": tenant},
                index=OPEN_APPROVALS,
                limit=limit,
                start_after=index.key_of(cursor),
            )
        )
        partitions = dict.fromkeys(item["pk"] for item in page.items)
        keys = [brief_key(partition) for partition in partitions]
        briefs = {item["pk"]: json.loads(item["brief"]) for item in self._table.batch(keys)}
        return OpenApprovals(
            [json.loads(item["summary"]) | briefs.get(item["pk"], {}) for item in page.items],
            [approval_from_item(item) for item in page.items],
            index.cursor_of(page.last_key),
        )

    def count_open(self, tenant: str, at_most: int) -> OpenCount:
        """See the port."""
        page = self._table.page(
            Query(
                condition="tenant_open_approvals = :tenant",
                values={":tenant": tenant},
                index=OPEN_APPROVALS,
                attributes="opened_sort",
                limit=at_most,
            )
        )
        first = next(iter(page.items), None)
        # An approval is sorted by when its latest gate opened, and then by its run.
        oldest = None if first is None else str(first["opened_sort"]).partition("#")[0]
        return OpenCount(len(page.items), oldest)


def _waits(item: Item, approval_id: str) -> bool:
    """Return whether a gate waits for a decision about the approval."""
    has_waited = "task_token" in item and "expired_by" not in item
    return has_waited and record_of(item["approval_id"])[0] == approval_id
