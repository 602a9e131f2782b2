"""Approvals in the table, and beside each, item by item, the gates that wait for it.

A gate's item has its task token until the gate is woken, so what waits is what has one. Opening a
gate checks in its transaction that no decision has been stored since the approval was read, and a
decision is stored before anybody looks for what waits: so every gate either finds the verdict when
it opens, or is found by who decided.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final

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
from taskrunner.model.approval import ApprovalRecord, Decision, OpenedGate, Verdict
from taskrunner.ports.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskrunner.adapters.executions import Tokens
    from taskrunner.adapters.runs import DynamoRuns
    from taskrunner.model.approval import Waiting
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports.runs import Head

_FAILURES: Final = {
    Verdict.REJECTED: ("ApprovalRejectedError", "the gate was rejected"),
    Verdict.EXPIRED: ("ApprovalExpiredError", "nobody decided the gate in time"),
}


# Thousands may wait, the caller of the API for 29 s at most, and a client has as many connections.
_WAKERS: Final = 10


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

    def gate(self, run: Run, path: str) -> OpenedGate | None:
        """See the port."""
        item = self._table.get(run_key(run.tenant, run.run_id), _gate_key(path))
        return None if item is None or "heard" not in item else _gate(item)

    def waiting(self, run: Run, approval_id: str) -> Iterator[OpenedGate]:
        """See the port."""
        return map(_gate, self._with_tokens(run, approval_id, "sk, heard, notified"))

    def _with_tokens(self, run: Run, approval_id: str, attributes: str) -> Iterator[JsonObject]:
        return self._table.query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            FilterExpression="approval_id = :approval_id AND attribute_exists(task_token)",
            ProjectionExpression=attributes,
            ExpressionAttributeValues={
                ":pk": run_key(run.tenant, run.run_id),
                ":prefix": _gate_key(""),
                ":approval_id": approval_id,
            },
        )

    def open(  # noqa: PLR0913 - as in the port
        self,
        head: Head,
        record: ApprovalRecord,
        waiting: Waiting,
        token: str,
        entries: Sequence[Entry],
        *,
        gate: OpenedGate | None,
        summary: JsonObject,
    ) -> bool:
        """See the port."""
        if record.verdict is not None:
            # It wakes at once, by the token that its caller has; an older one opens nothing more.
            settled = self._told(head.run, record, waiting.path, gate, more=" REMOVE task_token")
            return self._write(head, [settled], entries)
        more, values = ", task_token = :token", {":token": token}
        opened = self._told(head.run, record, waiting.path, gate, more=more, values=values)
        return self._write(head, [opened, self._listed(head, record, waiting, summary)], entries)

    def _told(  # noqa: PLR0913 - the parts of one write
        self,
        run: Run,
        record: ApprovalRecord,
        path: str,
        gate: OpenedGate | None,
        *,
        more: str = "",
        values: JsonMapping | None = None,
    ) -> JsonObject:
        """What records that the gate at *path*, if still *gate*, has heard all of *record*."""
        known = {} if gate is None else {":before": gate.recorded_decisions}
        return {
            "Update": {
                "Key": encoded({"pk": run_key(run.tenant, run.run_id), "sk": _gate_key(path)}),
                "UpdateExpression": (
                    "SET approval_id = :approval_id, heard = :heard, expires_at = :expires_at"
                    + more
                ),
                "ConditionExpression": (
                    "attribute_not_exists(heard)" + (" OR heard = :before" if known else "")
                ),
                "ExpressionAttributeValues": encoded(
                    {
                        ":approval_id": record.approval_id,
                        ":heard": len(record.decisions),
                        ":expires_at": self._runs.expiry(run)["expires_at"],
                        **known,
                        **(values or {}),
                    }
                ),
            }
        }

    def _listed(
        self, head: Head, record: ApprovalRecord, waiting: Waiting, summary: JsonObject
    ) -> JsonObject:
        """What lists the approval as open, for its latest gate; its decisions stay as they are."""
        run = head.run
        return self._approval_update(
            run,
            record,
            "SET approval_id = :approval_id, decisions = if_not_exists(decisions, :none), "
            "version = :version, expires_at = :expires_at, tenant_open_approvals = :tenant, "
            "opened_sort = :sort, summary = :summary",
            {
                ":none": [],
                ":tenant": run.tenant,
                ":sort": f"{waiting.opened_at}#{run.run_id}#{record.approval_id}",
                ":summary": json.dumps(summary, ensure_ascii=False),
            },
        )

    def _approval_update(
        self, run: Run, record: ApprovalRecord, expression: str, values: JsonMapping
    ) -> JsonObject:
        """An update of the approval if no decision was stored since it was read as *record*."""
        sk = f"A#{record.approval_id}"
        return {
            "Update": {
                "Key": encoded({"pk": run_key(run.tenant, run.run_id), "sk": sk}),
                "UpdateExpression": expression,
                "ConditionExpression": "attribute_not_exists(pk) OR version = :version",
                "ExpressionAttributeValues": encoded(
                    {
                        ":approval_id": record.approval_id,
                        ":version": record.version,
                        ":expires_at": self._runs.expiry(run)["expires_at"],
                        **values,
                    }
                ),
            }
        }

    def record_notified(self, run: Run, path: str) -> None:
        """See the port. On the gate's item: on the approval's, gates that open at once collide."""
        key = {"pk": run_key(run.tenant, run.run_id), "sk": _gate_key(path)}
        self._table.update(
            {
                "Key": encoded(key),
                "UpdateExpression": "SET expires_at = :expires_at, notified = :yes",
                "ExpressionAttributeValues": encoded(
                    {":expires_at": self._runs.expiry(run)["expires_at"], ":yes": True}
                ),
            }
        )

    def decide(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[OpenedGate],
        entries: Sequence[Entry],
    ) -> bool:
        """See the port."""
        settled = record.verdict is not None
        decided = self._approval_update(
            head.run,
            record,
            "SET approval_id = :approval_id, decisions = :decisions, version = :next, "
            "expires_at = :expires_at"
            + (f", verdict = :verdict REMOVE {', '.join(OPEN_APPROVAL)}" if settled else ""),
            {
                ":decisions": [_without_none(one) for one in map(_decision, record.decisions)],
                ":next": record.version + 1,
                ":verdict": None if record.verdict is None else record.verdict.value,
            },
        )
        return self._write(head, [decided, *self._heard(head.run, record, gates)], entries)

    def record_decisions(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[OpenedGate],
        entries: Sequence[Entry],
    ) -> bool:
        """See the port."""
        return self._write(head, self._heard(head.run, record, gates), entries)

    def _heard(
        self, run: Run, record: ApprovalRecord, gates: Sequence[OpenedGate]
    ) -> list[JsonObject]:
        return [self._told(run, record, gate.path, gate) for gate in gates]

    def _write(self, head: Head, writes: Sequence[JsonObject], entries: Sequence[Entry]) -> bool:
        """Make all of *writes* if what they are about, and the run, are as they were read."""
        try:
            self._runs.append_with(
                head, entries, [*writes, {"ConditionCheck": live_check(head.run)}]
            )
        except ConditionFailedError:
            return False
        return True

    def resume(self, run: Run, record: ApprovalRecord) -> None:
        """See the port. A token goes when it is sent, so that a repeated call begins behind it."""
        verdict = record.verdict
        if verdict is None:
            return
        found = self._with_tokens(run, record.approval_id, "pk, sk, task_token")
        with ThreadPoolExecutor(_WAKERS) as pool:
            for _ in pool.map(lambda item: self._wake(item, verdict), found):
                pass  # what one of them raises is raised here, and ends the others

    def _wake(self, item: JsonObject, verdict: Verdict) -> None:
        self.wake(item["task_token"], verdict)
        sent = {
            "Key": encoded({"pk": item["pk"], "sk": item["sk"]}),
            "UpdateExpression": "REMOVE task_token",
            "ConditionExpression": "task_token = :token",
            "ExpressionAttributeValues": encoded({":token": item["task_token"]}),
        }
        with suppress(ConditionFailedError):
            self._table.update(sent)

    def wake(self, token: str, verdict: Verdict) -> None:
        """See the port."""
        if verdict is Verdict.APPROVED:
            self._tokens.succeed(token)
        else:
            self._tokens.fail(token, *_FAILURES[verdict])

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


def _gate_key(path: str) -> str:
    return f"G#{path}"


def _gate(item: JsonObject) -> OpenedGate:
    return OpenedGate(
        path=item["sk"].removeprefix(_gate_key("")),
        recorded_decisions=item["heard"],
        is_notified=item.get("notified", False),
    )


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
        was_opened=True,
        version=item["version"],
    )
