"""Approvals and gates as items of the table, and the updates that change them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from taskrunner.adapters.due_work import DUE_ASSIGNMENTS, due_values
from taskrunner.adapters.table_layout import (
    APPROVALS,
    GATES,
    OPEN_APPROVAL,
    ListKind,
    approval_key,
    created_sort,
    gate_key,
    partition_of,
    run_list,
)
from taskrunner.adapters.table_requests import Check, Update
from taskrunner.model.approval import (
    CLOCK,
    ApprovalRecord,
    Decision,
    GateOpening,
    GateRecord,
    Verdict,
    record_of,
)
from taskrunner.model.due_work import DueKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.adapters.table_layout import Key
    from taskrunner.adapters.table_requests import Item, Write
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run


def approval_from_item(item: Item) -> ApprovalRecord:
    """Return the approval that *item* stores."""
    verdict = item.get("verdict")
    return ApprovalRecord(
        approval_id=item["approval_id"],
        verdict=None if verdict is None else Verdict(verdict),
        decisions=tuple(
            Decision(
                verdict=Verdict(decision["verdict"]),
                approver=decision["by"],
                approver_name=decision.get("name"),
                decided_at=decision["at"],
                actor=decision.get("actor"),
                summary=decision.get("summary"),
                names_gate=not decision.get("unnamed", False),
            )
            for decision in item["decisions"]
        ),
        was_opened=True,
        version=item["version"],
        gate_path=record_of(item["sk"].removeprefix(APPROVALS))[1],
    )


def gate_from_item(item: Item) -> GateRecord:
    """Return the gate that *item* stores."""
    return GateRecord(
        step_path=item["sk"].removeprefix(GATES),
        recorded_decisions=item["heard"],
        is_notified=item.get("notified", False),
        expired_by=item.get("expired_by"),
    )


def gate_update(
    run: Run, record: ApprovalRecord, step_path: str, gate: GateRecord | None, expires_at: int
) -> Update:
    """Record that the journal holds all decisions of *record* for a gate, if it is still *gate*.

    None stands for a gate that has not been opened.
    """
    known = {} if gate is None else {":known": gate.recorded_decisions}
    return Update(
        key=gate_key(partition_of(run), step_path),
        expression="SET approval_id = :approval_id, heard = :heard, expires_at = :expires_at",
        condition="attribute_not_exists(expired_by) AND "
        f"(attribute_not_exists(heard){' OR heard = :known' if known else ''})",
        values={
            ":approval_id": record.name,
            ":heard": len(record.decisions),
            ":expires_at": expires_at,
            **known,
        },
    )


def unnotified_update(gate: Update, opening: GateOpening) -> Update:
    """Let the reconciler look whether approvers were notified of a gate that *gate* records."""
    return replace(
        gate,
        expression=f"{gate.expression}, {DUE_ASSIGNMENTS}",
        values={**gate.values, **due_values(DueKind.GATE, opening.opened_at)},
    )


def waiting_update(gate: Update, token: str, listing: Mapping[str, str]) -> Update:
    """Let a gate that *gate* records wait with *token*, and keep how it is listed."""
    return replace(
        gate,
        expression=(
            f"{gate.expression}, task_token = :token, opened_sort = :sort, summary = :summary"
        ),
        values={**gate.values, ":token": token, **listing},
    )


def expired_update(gate: Update, expiry: Decision) -> Update:
    """Let a gate that *gate* records expire. A token is of no use once its time is over."""
    removal = " REMOVE task_token" if expiry.approver == CLOCK else ""
    return replace(
        gate,
        expression=f"{gate.expression}, expired_by = :by{removal}",
        values={**gate.values, ":by": expiry.approver},
    )


def undecided(run: Run, record: ApprovalRecord, expiry: Decision) -> Write:
    """Require that no decision was stored since an approval was read as *record*.

    A gate that the clock expires learns of it by that. For an expiry that a person decides, the
    approval is due until its gates have learned of it.
    """
    key = approval_key(partition_of(run), record.name)
    values = {":version": record.version}
    if expiry.approver == CLOCK:
        condition = "attribute_not_exists(pk) OR version = :version"
        return Check(key=key, condition=condition, values=values)
    due = due_values(DueKind.APPROVAL, expiry.decided_at)
    return Update(
        key=key,
        expression=f"SET {DUE_ASSIGNMENTS}",
        condition="version = :version",  # a gate waits, so there is an item
        values={**values, **due},
    )


def relisting_update(key: Key, seen: Item, gate: Item | None) -> Update:
    """List an approval with *gate*, or no more, if it is still listed as in the item *seen*."""
    update = Update(
        key=key,
        expression=f"REMOVE {', '.join(OPEN_APPROVAL)}",
        condition="summary = :seen",
        values={":seen": seen["summary"]},
    )
    if gate is None:
        return update
    shown = {":sort": gate["opened_sort"], ":summary": gate["summary"]}
    return replace(
        update,
        expression="SET opened_sort = :sort, summary = :summary",
        values={**update.values, **shown},
    )


def listing(
    run: Run, record: ApprovalRecord, opening: GateOpening, summary: JsonObject
) -> dict[str, str]:
    """Return the values by which an approval is listed with one of its gates."""
    return {
        ":sort": f"{opening.opened_at}#{run.run_id}#{record.name}",
        ":summary": json.dumps(summary, ensure_ascii=False),
    }


def opening_update(
    run: Run, record: ApprovalRecord, listing: Mapping[str, str], expires_at: int
) -> Update:
    """List an approval as open with its latest gate. Its decisions stay as they are."""
    return _approval_update(
        run,
        record,
        "SET approval_id = :approval_id, decisions = if_not_exists(decisions, :none), "
        "version = :version, expires_at = :expires_at, tenant_open_approvals = :tenant, "
        "opened_sort = :sort, summary = :summary, run_list = :list, created_sort = :created",
        {
            ":none": [],
            ":expires_at": expires_at,
            ":tenant": run.tenant,
            ":list": run_list(run.tenant, ListKind.APPROVAL, record.approval_id),
            ":created": created_sort(run),
            **listing,
        },
    )


def decision_update(run: Run, record: ApprovalRecord, expires_at: int) -> Update:
    """Store the decisions of *record*, and close the approval if it has a verdict."""
    verdict = record.verdict
    closing = "" if verdict is None else f", verdict = :verdict REMOVE {', '.join(OPEN_APPROVAL)}"
    return _approval_update(
        run,
        record,
        "SET approval_id = :approval_id, decisions = :decisions, version = :next, "
        f"expires_at = :expires_at, {DUE_ASSIGNMENTS}{closing}",
        {
            ":decisions": [_decision_document(decision) for decision in record.decisions],
            ":next": record.version + 1,
            ":expires_at": expires_at,
            ":verdict": None if verdict is None else verdict.value,
            **due_values(DueKind.APPROVAL, record.decisions[-1].decided_at),
        },
    )


def _approval_update(
    run: Run, record: ApprovalRecord, expression: str, values: Mapping[str, object]
) -> Update:
    """Update an approval, if no decision was stored since it was read as *record*."""
    return Update(
        key=approval_key(partition_of(run), record.name),
        expression=expression,
        condition="attribute_not_exists(pk) OR version = :version",
        values={":approval_id": record.approval_id, ":version": record.version, **values},
    )


def _decision_document(decision: Decision) -> JsonObject:
    document: JsonObject = {
        "verdict": decision.verdict.value,
        "by": decision.approver,
        "name": decision.approver_name,
        "at": decision.decided_at,
        "actor": decision.actor,
        "summary": decision.summary,
        "unnamed": None if decision.names_gate else True,
    }
    return {key: value for key, value in document.items() if value is not None}
