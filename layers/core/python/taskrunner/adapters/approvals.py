"""The port Approvals over the table: an approval, and beside it one item for each of its gates.

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
from typing import TYPE_CHECKING, Final

from taskrunner.adapters import cursors
from taskrunner.adapters.approval_items import (
    approval_from_item,
    decision_update,
    gate_from_item,
    gate_update,
    opening_update,
    unnotified_update,
)
from taskrunner.adapters.due_work import DUE_REMOVAL
from taskrunner.adapters.run_items import running_check
from taskrunner.adapters.table import ConditionFailedError, Table
from taskrunner.adapters.table_layout import (
    OPEN_APPROVALS,
    Key,
    approval_key,
    gate_key,
    partition_of,
    run_partition,
)
from taskrunner.adapters.table_requests import Query, Update, by_prefix
from taskrunner.model.approval import ApprovalRecord, Verdict
from taskrunner.ports.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskrunner.adapters.journal_chunks import JournalChunks
    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.table_requests import Item, Write
    from taskrunner.adapters.task_tokens import TaskTokens
    from taskrunner.model.approval import GateOpening, GateRecord
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports.runs import Head

_FAILURES: Final = {
    Verdict.REJECTED: ("ApprovalRejectedError", "the gate was rejected"),
    Verdict.EXPIRED: ("ApprovalExpiredError", "nobody decided the gate in time"),
}
# Thousands of gates may wait, and the API's caller waits at most 29 s. boto3 keeps 10 connections.
_WAKE_THREADS: Final = 10


class DynamoApprovals:
    """`ports.Approvals` over the table. Task tokens leave it for Step Functions only."""

    def __init__(
        self, table: Table, journal: JournalChunks, tokens: TaskTokens, retention: Retention
    ) -> None:
        """Append to *journal* in the transaction that a journal entry describes."""
        self._table = table
        self._journal = journal
        self._tokens = tokens
        self._retention = retention

    def get(self, tenant: str, run_id: str, approval_id: str) -> ApprovalRecord:
        """See the port."""
        item = self._table.get(approval_key(run_partition(tenant, run_id), approval_id))
        return ApprovalRecord(approval_id=approval_id) if item is None else approval_from_item(item)

    def gate(self, run: Run, path: str) -> GateRecord | None:
        """See the port."""
        item = self._table.get(gate_key(partition_of(run), path))
        return None if item is None or "heard" not in item else gate_from_item(item)

    def waiting(self, run: Run, approval_id: str) -> Iterator[GateRecord]:
        """See the port."""
        return map(gate_from_item, self._waiting(run, approval_id, "sk, heard, notified"))

    def _waiting(self, run: Run, approval_id: str, attributes: str) -> Iterator[Item]:
        gates = by_prefix(gate_key(partition_of(run), ""))
        return self._table.query(
            replace(
                gates,
                values={**gates.values, ":approval_id": approval_id},
                filter="approval_id = :approval_id AND attribute_exists(task_token)",
                attributes=attributes,
            )
        )

    def open(  # noqa: PLR0913 - as in the port
        self,
        head: Head,
        record: ApprovalRecord,
        waiting: GateOpening,
        token: str,
        entries: Sequence[Entry],
        *,
        gate: GateRecord | None,
        summary: JsonObject,
    ) -> bool:
        """See the port."""
        expires_at = self._retention.expires_at(head.run)
        update = gate_update(head.run, record, waiting.step_path, gate, expires_at)
        if record.verdict is not None:
            # The caller wakes the gate at once by *token*. An older token must wake nothing more.
            decided = replace(update, expression=f"{update.expression} REMOVE task_token")
            return self._write(head, [decided], entries)
        opened = replace(
            update,
            expression=f"{update.expression}, task_token = :token, summary = :summary",
            values={
                **update.values,
                ":token": token,
                ":summary": json.dumps(summary, ensure_ascii=False),
            },
        )
        if gate is None or not gate.is_notified:
            opened = unnotified_update(opened, waiting)
        listed = opening_update(head.run, record, waiting, summary, expires_at)
        return self._write(head, [opened, listed], entries)

    def unnotified(self, run: Run, path: str) -> JsonObject | None:
        """See the port."""
        item = self._table.get(gate_key(partition_of(run), path))
        if item is None or "task_token" not in item or item.get("notified", False):
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

    def decide(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        """See the port."""
        decided = decision_update(head.run, record, self._retention.expires_at(head.run))
        return self._write(head, [decided, *self._gate_updates(head.run, record, gates)], entries)

    def record_decisions(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        """See the port."""
        return self._write(head, self._gate_updates(head.run, record, gates), entries)

    def _gate_updates(
        self, run: Run, record: ApprovalRecord, gates: Sequence[GateRecord]
    ) -> list[Update]:
        expires_at = self._retention.expires_at(run)
        return [gate_update(run, record, gate.step_path, gate, expires_at) for gate in gates]

    def _write(self, head: Head, writes: Sequence[Write], entries: Sequence[Entry]) -> bool:
        """Make all of *writes* if their items and the run are still as they were read."""
        try:
            self._journal.append(head, entries, [*writes, running_check(head.run)])
        except ConditionFailedError:
            return False
        return True

    def resume(self, run: Run, record: ApprovalRecord) -> None:
        """See the port. A sent token is removed, so that a repeated call continues behind it."""
        verdict = record.verdict
        if verdict is None:
            return
        items = self._waiting(run, record.approval_id, "pk, sk, task_token")
        with ThreadPoolExecutor(_WAKE_THREADS) as pool:
            for _ in pool.map(lambda item: self._wake_once(item, verdict), items):
                pass  # an exception of a thread is raised here

    def _wake_once(self, item: Item, verdict: Verdict) -> None:
        self.wake(item["task_token"], verdict)
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

    def list_open(self, tenant: str, limit: int, cursor: str | None) -> Page:
        """See the port."""
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
        summaries = [json.loads(item["summary"]) for item in page.items]
        return Page(summaries, index.cursor_of(page.last_key))
