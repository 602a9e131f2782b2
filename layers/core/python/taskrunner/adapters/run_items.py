"""A run as an item of the table.

The mapping is written by hand, because `import cattrs` would add 80 ms to each cold start on a
machine where `import boto3` takes 390 ms. The same is true for the other items and documents.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.due_work import (
    DUE_ASSIGNMENTS,
    DUE_REMOVAL,
    due_attributes,
    due_values,
)
from taskrunner.adapters.table_layout import (
    ListKind,
    brief_key,
    created_sort,
    listing_key,
    partition_of,
    run_key,
    run_list,
)
from taskrunner.adapters.table_requests import Check, Put, Update
from taskrunner.model.due_work import DueKind
from taskrunner.model.run import Run, RunStatus, StepsEnd

if TYPE_CHECKING:
    from taskrunner.adapters.table_requests import Item
    from taskrunner.model.json_types import JsonObject


# The list of runs that go on. Which of them wait, only their journals say.
UNENDED: Final = "unended"


def run_item(run: Run, expires_at: int) -> Item:
    """Return the item of a new run."""
    return {
        **run_key(run)._asdict(),
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
        "created_by_name": run.created_by_name,
        "request_digest": run.request_digest,
        "distributed": list(run.distributed),
        "longest_s": run.longest_s,
        "queue_depth": run.queue_depth,
        "idempotency_key": run.idempotency_key,
        "manifest_digest": run.manifest_digest,
        "rerun_of": run.rerun_of,
        "expires_at": expires_at,
        "tenant_runs": run.tenant,
        "unfinished": unfinished_partition(run.tenant, run.pack_name),
        "created_sort": created_sort(run),
        "run_list": run_list(run.tenant, ListKind.STATUS, UNENDED),
        **due_attributes(DueKind.RUN, run.created_at),
    }


def run_listings(run: Run, expires_at: int) -> list[Put]:
    """Return the items that list a new run by what never changes. Its own item has its status."""
    values = {
        ListKind.PACK: (run.pack_name,),
        ListKind.VERSION: (run.pack_name, run.pack_version),
        ListKind.REQUESTER: (run.created_by,),
    }
    return [_listing(run, kind, of_run, expires_at) for kind, of_run in values.items()]


def approved_listing(run: Run, expires_at: int) -> Put:
    """Return the item that lists *run* among the approved runs of its pack."""
    return _listing(run, ListKind.APPROVED, (run.pack_name,), expires_at)


def _listing(run: Run, kind: ListKind, values: tuple[str, ...], expires_at: int) -> Put:
    return Put(
        item={
            **listing_key(partition_of(run), kind)._asdict(),
            "run_list": run_list(run.tenant, kind, *values),
            "created_sort": created_sort(run),
            "expires_at": expires_at,
        }
    )


def brief_puts(run: Run, brief: JsonObject | None, expires_at: int) -> list[Put]:
    """Return the item of what approvers are shown of *run*, if there is such."""
    if brief is None:
        return []
    key = brief_key(partition_of(run))
    return [Put(item={**key._asdict(), "brief": json.dumps(brief), "expires_at": expires_at})]


def run_from_item(item: Item) -> Run:
    """Return the run that *item* stores."""
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
        created_by_name=item.get("created_by_name"),
        request_digest=item["request_digest"],
        distributed=tuple(item.get("distributed", ())),
        longest_s=item["longest_s"],
        queue_depth=item.get("queue_depth"),
        idempotency_key=item.get("idempotency_key"),
        manifest_digest=item.get("manifest_digest"),
        rerun_of=item.get("rerun_of"),
        steps_end=_steps_end(item),
        outcome=None if outcome is None else RunStatus(outcome),
        settled=item.get("settled", False),
        sealed="unfinished" not in item,
    )


def _steps_end(item: Item) -> StepsEnd | None:
    if "steps_outcome" not in item:
        return None
    return StepsEnd(
        outcome=RunStatus(item["steps_outcome"]),
        failed_step=item.get("failed_step"),
        reason=item.get("failure_reason"),
        status_reason=json.loads(item.get("status_reason", "null")),
    )


def run_summary(item: Item) -> JsonObject:
    """Return the entry of a run in the API's list of runs, without the status of an unended run."""
    summary = {
        "runId": item["run_id"],
        "pack": {"name": item["pack_name"], "version": item["pack_version"]},
        "planHash": item["plan_hash"],
        "createdAt": item["created_at"],
        "createdBy": item["created_by"],
        "createdByName": item.get("created_by_name"),
        "status": item.get("outcome"),
        "endedAt": item.get("ended_at"),
        "statusReason": json.loads(item.get("status_reason", "null")),
    }
    return {key: value for key, value in summary.items() if value is not None}


def unfinished_partition(tenant: str, pack_name: str) -> str:
    """Return the partition of a pack's running runs in the index of unfinished runs."""
    return f"{tenant}#{pack_name}"


def unsealed_partition(run: Run) -> str:
    """Return the partition of the index for runs that have ended and lack their evidence.

    A count of a pack's running runs does not find them.
    """
    return f"{unfinished_partition(run.tenant, run.pack_name)}#ended"


def moved_update(run: Run, machine: str) -> Update:
    """Record another machine for *run*, unless it has ended."""
    return Update(
        key=run_key(run),
        expression="SET machine = :machine",
        condition="attribute_exists(pk) AND attribute_not_exists(outcome)",
        values={":machine": machine},
    )


def steps_ended_update(run: Run, end: StepsEnd, ended_at: str, execution: str) -> Update:
    """Record how the steps of *run* ended and which *execution* runs `finally`, once.

    Another execution than the run's is started by the reconciler, so the run is due.
    """
    known = {
        "failed_step": end.failed_step,
        "failure_reason": end.reason,
        "status_reason": None
        if end.status_reason is None
        else json.dumps(end.status_reason, ensure_ascii=False),
    }
    values: dict[str, object] = {
        f":{name}": value for name, value in known.items() if value is not None
    }
    assignments = "".join(f", {name[1:]} = {name}" for name in values)
    if execution != run.execution:
        values |= {":execution": execution, **due_values(DueKind.RUN, ended_at)}
        assignments += f", execution = :execution, {DUE_ASSIGNMENTS}"
    return Update(
        key=run_key(run),
        expression=f"SET steps_outcome = :outcome{assignments}",
        condition=(
            "attribute_exists(pk) AND attribute_not_exists(outcome) "
            "AND attribute_not_exists(steps_outcome)"
        ),
        values={":outcome": end.outcome.value, **values},
    )


def ended_update(run: Run, outcome: RunStatus, ended_at: str, reason: JsonObject | None) -> Update:
    """Record that *run* has ended and why, unless it has before.

    The failure of steps before `finally` stays the reason if `finally` fails too.
    """
    shown = {} if reason is None else {":reason": json.dumps(reason, ensure_ascii=False)}
    is_failure = outcome is RunStatus.FAILED and run.steps_end is not None
    value = "if_not_exists(status_reason, :reason)" if is_failure else ":reason"
    return Update(
        key=run_key(run),
        expression=(
            "SET outcome = :outcome, ended_at = :at, unfinished = :unsealed, run_list = :list, "
            + (f"status_reason = {value}, " if shown else "")
            + DUE_ASSIGNMENTS
        ),
        condition="attribute_exists(pk) AND attribute_not_exists(outcome)",
        values={
            ":outcome": outcome.value,
            ":at": ended_at,
            ":unsealed": unsealed_partition(run),
            ":list": run_list(run.tenant, ListKind.STATUS, outcome.value),
            **due_values(DueKind.ENDED, ended_at),
            **shown,
        },
    )


def settled_update(run: Run) -> Update:
    """Record that the artifacts of *run*, which has ended, are final but for its outputs."""
    return Update(
        key=run_key(run),
        expression="SET settled = :yes",
        condition="attribute_exists(outcome)",
        values={":yes": True},
    )


def sealed_update(run: Run, look_at: str | None) -> Update:
    """Record that *run* has its evidence, and is due again at *look_at* or never.

    The writer that removes `unfinished` is the one that seals the run.
    """
    is_first = "attribute_exists(outcome) AND attribute_exists(unfinished)"
    if look_at is None:
        expression = f"REMOVE unfinished, {DUE_REMOVAL}"
        return Update(key=run_key(run), expression=expression, condition=is_first)
    return Update(
        key=run_key(run),
        expression=f"SET {DUE_ASSIGNMENTS} REMOVE unfinished",
        condition=is_first,
        values={":due": DueKind.ENDED.value, ":due_at": look_at, ":due_looks": 0},
    )


def unsettled_check(run: Run) -> Check:
    """Require that *run* has failed, and that steps which still run may add artifacts."""
    return Check(
        key=run_key(run),
        condition="outcome = :failed AND attribute_not_exists(settled)",
        values={":failed": RunStatus.FAILED.value},
    )


def unsealed_check(run: Run) -> Check:
    """Require that *run* lacks its evidence, so that artifacts may be added."""
    return Check(key=run_key(run), condition="attribute_exists(unfinished)")


def running_check(run: Run) -> Check:
    """Require that *run* has not ended."""
    return Check(
        key=run_key(run),
        condition="attribute_exists(pk) AND attribute_not_exists(outcome)",
    )
