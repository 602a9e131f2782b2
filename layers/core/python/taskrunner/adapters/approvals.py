"""Approvals in the table, with the task tokens of the gates that wait for them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from taskrunner.adapters import cursors
from taskrunner.adapters.runs import live_check
from taskrunner.adapters.table import (
    OPEN_APPROVAL,
    OPEN_APPROVALS,
    ConditionFailedError,
    Table,
    encoded,
    run_key,
)
from taskrunner.model.approval import ApprovalRecord, Decision, Verdict, Waiting
from taskrunner.usecases.ports import Head, Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.adapters.executions import Tokens
    from taskrunner.adapters.runs import DynamoRuns
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.model.run import Run

_FAILURES: Final = {
    Verdict.REJECTED: ("ApprovalRejectedError", "the gate was rejected"),
    Verdict.EXPIRED: ("ApprovalExpiredError", "nobody decided the gate in time"),
}


class DynamoApprovals:
    """`usecases.ports.Approvals` over the table; tokens go nowhere but to Step Functions."""

    def __init__(self, table: Table, runs: DynamoRuns, tokens: Tokens) -> None:
        """Write the journal through *runs*, so that a decision and its entry are one."""
        self._table = table
        self._runs = runs
        self._tokens = tokens

    def get(self, tenant: str, run_id: str, approval_id: str) -> ApprovalRecord:
        """See the port."""
        item = self._table.get(run_key(tenant, run_id), f"A#{approval_id}")
        return ApprovalRecord(approval_id=approval_id) if item is None else _record(item)

    def open(  # noqa: PLR0913 - as in the port
        self,
        head: Head,
        record: ApprovalRecord,
        waiting: Waiting,
        token: str,
        entries: Sequence[Entry],
        *,
        summary: JsonObject,
    ) -> bool:
        """See the port."""
        run = head.run
        index = (
            {
                "tenant_open_approvals": run.tenant,
                "opened_sort": f"{waiting.opened_at}#{run.run_id}#{record.approval_id}",
                "summary": json.dumps(summary, ensure_ascii=False),
            }
            if record.verdict is None
            else {}
        )
        # The tokens of other gates that wait for the same approval stay as they are.
        kept = self._kept_tokens(head, record, waiting.path)
        item = _item(record, {**kept, waiting.path: token}) | index
        return self._write(head, record.version, item, entries)

    def _kept_tokens(self, head: Head, record: ApprovalRecord, path: str) -> dict[str, str]:
        if all(one.path == path for one in record.waiting):
            return {}
        item = self._table.get(run_key(head.run.tenant, head.run.run_id), f"A#{record.approval_id}")
        return {} if item is None else item["tokens"]

    def record_notified(self, run: Run, path: str) -> None:
        """See the port. An item of its own: in the approval's, gates that open at once collide."""
        key = {"pk": run_key(run.tenant, run.run_id), "sk": f"G#{path}"}
        with suppress(ConditionFailedError):
            self._table.update(
                {
                    "Key": encoded(key),
                    "UpdateExpression": "SET expires_at = :expires_at",
                    "ConditionExpression": "attribute_not_exists(pk)",
                    "ExpressionAttributeValues": encoded(
                        {":expires_at": self._runs.expiry(run)["expires_at"]}
                    ),
                }
            )

    def is_notified(self, run: Run, path: str) -> bool:
        """See the port."""
        return self._table.get(run_key(run.tenant, run.run_id), f"G#{path}") is not None

    def decide(self, head: Head, record: ApprovalRecord, entries: Sequence[Entry]) -> bool:
        """See the port."""
        pk = run_key(head.run.tenant, head.run.run_id)
        item = self._table.get(pk, f"A#{record.approval_id}") or {}
        settled = record.verdict is not None
        index = {} if settled else {name: item[name] for name in OPEN_APPROVAL if name in item}
        changed = _item(record, item.get("tokens", {})) | index
        return self._write(head, record.version, changed, entries)

    def _write(self, head: Head, version: int, item: JsonObject, entries: Sequence[Entry]) -> bool:
        """Put *item* if its version and the run are as they were read."""
        pk = run_key(head.run.tenant, head.run.run_id)
        put: dict[str, Any] = {
            "Item": encoded(
                item | {"pk": pk, "version": version + 1, **self._runs.expiry(head.run)}
            ),
            "ConditionExpression": "attribute_not_exists(pk) OR version = :version",
            "ExpressionAttributeValues": encoded({":version": version}),
        }
        live = {"ConditionCheck": live_check(head.run)}
        try:
            self._runs.append_with(head, entries, [{"Put": put}, live])
        except ConditionFailedError:
            return False
        return True

    def resume(self, tenant: str, run_id: str, record: ApprovalRecord) -> None:
        """See the port."""
        item = self._table.get(run_key(tenant, run_id), f"A#{record.approval_id}")
        if item is None or record.verdict is None:
            return
        for token in item["tokens"].values():
            if record.verdict is Verdict.APPROVED:
                self._tokens.succeed(token)
            else:
                self._tokens.fail(token, *_FAILURES[record.verdict])

    def list_open(self, tenant: str, limit: int, cursor: str | None) -> Page:
        """See the port."""
        answer = self._table.query_page(
            IndexName=OPEN_APPROVALS,
            KeyConditionExpression="tenant_open_approvals = :tenant",
            ExpressionAttributeValues={":tenant": tenant},
            Limit=limit,
            **cursors.start(cursor, ("tenant_open_approvals", tenant), "opened_sort"),
        )
        return Page(
            [json.loads(item["summary"]) for item in answer["Items"]], cursors.following(answer)
        )


def _item(record: ApprovalRecord, tokens: JsonMapping) -> JsonObject:
    return {
        "sk": f"A#{record.approval_id}",
        "approval_id": record.approval_id,
        "verdict": None if record.verdict is None else record.verdict.value,
        "decisions": [_without_none(decision) for decision in map(_decision, record.decisions)],
        "waiting": [
            {"path": one.path, "opened_at": one.opened_at, "expires_at": one.expires_at}
            for one in record.waiting
        ],
        "tokens": dict(tokens),
    }


def _decision(decision: Decision) -> JsonObject:
    return {
        "verdict": decision.verdict.value,
        "by": decision.by,
        "at": decision.at,
        "actor": decision.actor,
        "summary": decision.summary,
    }


def _without_none(item: JsonObject) -> JsonObject:
    return {key: value for key, value in item.items() if value is not None}


def _record(item: JsonObject) -> ApprovalRecord:
    verdict = item.get("verdict")
    return ApprovalRecord(
        approval_id=item["approval_id"],
        verdict=None if verdict is None else Verdict(verdict),
        decisions=tuple(
            Decision(
                verdict=Verdict(one["verdict"]),
                by=one["by"],
                at=one["at"],
                actor=one.get("actor"),
                summary=one.get("summary"),
            )
            for one in item["decisions"]
        ),
        waiting=tuple(
            Waiting(path=one["path"], opened_at=one["opened_at"], expires_at=one["expires_at"])
            for one in item["waiting"]
        ),
        version=item["version"],
    )
