"""Jobs as items of the table, and the writes that change them.

An item waits, is leased, or neither: after its end it is done, and a withdrawn one has ended
without one. One that waits is in the list of its pool. An item is due work as long as it has a task
token: when it has waited for too long, when its lease ends, or when its machine must be answered.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.due_work import DUE_ASSIGNMENTS, DUE_REMOVAL, due_values
from taskrunner.adapters.table_layout import (
    JOBS,
    Key,
    ListKind,
    job_key,
    run_list,
    run_partition,
    tenant_and_run_id,
)
from taskrunner.adapters.table_requests import Put, Update
from taskrunner.model import timestamp
from taskrunner.model.due_work import DueKind
from taskrunner.model.job import LONGEST_WAIT, Job, Lease, labels_digest

if TYPE_CHECKING:
    from taskrunner.adapters.table_requests import Item

_LISTING: Final = "run_list, created_sort"
_ANSWERED: Final = "attribute_not_exists(task_token)"


def key_of(job: Job) -> Key:
    """Return the key of *job*."""
    return job_key(run_partition(job.tenant, job.run_id), job.step_path)


def job_from_item(item: Item) -> Job:
    """Return the job that *item* stores, without its token."""
    tenant, run_id = tenant_and_run_id(item["pk"])
    return Job(
        tenant=tenant,
        run_id=run_id,
        step_path=item["sk"].removeprefix(JOBS),
        attempt=item["attempt"],
        pool=item["pool"],
        offered_at=item["offered_at"],
        waits_since=item["waits_since"],
        labels=item["labels"],
        losses=item["losses"],
        lease=Lease(**item["lease"]) if "lease" in item else None,
        is_done=item.get("done", False),
    )


def pool_list(tenant: str, pool: str) -> str:
    """Return the partition of *tenant*'s jobs that wait in *pool*, in the index of run lists."""
    return run_list(tenant, ListKind.POOL, pool)


def listed_digest(created_sort: str) -> str:
    """Return the digest of a waiting job's labels, with which its place in a list ends."""
    return created_sort.rpartition("#")[2]


def waits(item: Item) -> bool:
    """Return whether the job that *item* stores waits in its pool."""
    return "run_list" in item


def offered_put(job: Job, token: str, expires_at: int) -> Put:
    """Store the new *job*, unless the step has a job of this attempt or of a later one.

    It waits in its pool, if it has no lease yet.
    """
    values = _waiting_values(job) if job.lease is None else _leased_values(job.lease)
    return Put(
        item={
            **key_of(job)._asdict(),
            "attempt": job.attempt,
            "pool": job.pool,
            "labels": dict(job.labels),
            "offered_at": job.offered_at,
            "waits_since": job.waits_since,
            "losses": job.losses,
            "task_token": token,
            "expires_at": expires_at,
            **{name.removeprefix(":"): value for name, value in values.items()},
        },
        condition="attribute_not_exists(pk) OR attempt < :attempt",
        values={":attempt": job.attempt},
    )


def token_update(item: Item, job: Job, token: str) -> Update:
    """Replace the token of *item*, whose machine has called again with *job*.

    The reconciler answers the token of a job that has ended, if nobody else does.
    """
    is_due, is_done = "due" in item, "done" in item
    due = {} if is_due else due_values(DueKind.LEASE, job.offered_at)
    return Update(
        key=key_of(job),
        expression="SET task_token = :token" + ("" if is_due else f", {DUE_ASSIGNMENTS}"),
        condition=(
            f"attempt = :attempt AND attribute_{'' if is_due else 'not_'}exists(due) "
            f"AND attribute_{'' if is_done else 'not_'}exists(done)"
        ),
        values={":attempt": job.attempt, ":token": token, **due},
    )


def leased_update(job: Job, lease: Lease) -> Update:
    """Give *lease* to a worker, if *job* still waits as it was read."""
    return _update(
        replace(job, lease=None),
        f"SET lease = :lease, {DUE_ASSIGNMENTS} REMOVE {_LISTING}",
        _leased_values(lease),
        "attribute_exists(run_list)",
    )


def renewed_update(job: Job, seen: Lease, lease: Lease) -> Update:
    """Replace the lease *seen* of *job* by *lease*.

    The reconciler's next look stays where it is, so that a renewal writes to no index. The
    reconciler postpones it.
    """
    return _update(
        job,
        "SET lease = :lease",
        {":lease": asdict(lease), ":sequence": seen.output_sequence},
        "lease.output_sequence = :sequence",
    )


def given_back_update(job: Job, seen: Lease, now: str) -> Update:
    """Let *job*, whose lease *seen* has ended, wait in its pool again from *now* on."""
    values = {
        ":more": job.losses + 1,
        ":since": now,
        ":until": seen.expires_at,
        **_waiting_values(replace(job, waits_since=now)),
    }
    return _update(
        job,
        "SET losses = :more, waits_since = :since, run_list = :run_list, "
        f"created_sort = :created_sort, {DUE_ASSIGNMENTS} REMOVE lease",
        values,
        "lease.expires_at = :until",
    )


def withdrawn_update(job: Job, *, has_token: bool) -> Update:
    """Remove *job* from its pool, or end its lease.

    The reconciler answers its machine if nobody else does. Only the time of the offer is known
    here, so that may be in its next pass.
    """
    if not has_token:
        expression = f"REMOVE {_LISTING}, lease, {DUE_REMOVAL}"
        return _update(job, expression, {}, _ANSWERED)
    return _update(
        job,
        f"SET {DUE_ASSIGNMENTS} REMOVE {_LISTING}, lease",
        due_values(DueKind.LEASE, job.offered_at),
        "attribute_exists(task_token)",
    )


def hastened_update(job: Job, now: str) -> Update:
    """Let the leased *job* be looked at *now*, if it has not ended and is not due yet."""
    return _update(
        job,
        f"SET {DUE_ASSIGNMENTS}",
        {**_due_at(DueKind.LEASE, now)},
        "due_at > :due_at",
    )


def done_update(job: Job, recorded_at: str) -> Update:
    """Record that the end of *job*'s attempt was recorded then, if *job* is as it was read."""
    return _update(
        job,
        f"SET done = :yes, {DUE_ASSIGNMENTS} REMOVE {_LISTING}",
        {":yes": True, **due_values(DueKind.LEASE, recorded_at)},
    )


def answered_update(item: Item) -> Update:
    """Remove the token of *item*, if it is still the one that was answered, and its due work."""
    token = item.get("task_token")
    return Update(
        key=Key(item["pk"], item["sk"]),
        expression=f"REMOVE task_token, {_LISTING}, {DUE_REMOVAL}",
        condition=f"attempt = :attempt AND {_ANSWERED if token is None else 'task_token = :token'}",
        values={":attempt": item["attempt"], **({} if token is None else {":token": token})},
    )


def _update(job: Job, expression: str, values: dict[str, object], condition: str = "") -> Update:
    """Return an update of *job*, if it has not ended, and has its lease or none as it was read."""
    seen: dict[str, object] = {":attempt": job.attempt, ":losses": job.losses}
    lease = "attribute_not_exists(lease)"
    if job.lease is not None:
        lease = "lease.secret_digest = :digest"
        seen[":digest"] = job.lease.secret_digest
    unended = f"attempt = :attempt AND losses = :losses AND {lease} AND attribute_not_exists(done)"
    return Update(
        key=key_of(job),
        expression=expression,
        condition=f"{unended} AND {condition}" if condition else unended,
        values={**values, **seen},
    )


def _waiting_values(job: Job) -> dict[str, object]:
    """Return the values of the attributes that a job has while it waits."""
    waits_since = timestamp.from_text(job.waits_since)
    place = (job.offered_at, job.run_id, job.step_path, labels_digest(job.labels))
    return {
        ":run_list": pool_list(job.tenant, job.pool),
        ":created_sort": "#".join(place),
        **_due_at(DueKind.OFFER, timestamp.to_text(waits_since + LONGEST_WAIT)),
    }


def _leased_values(lease: Lease) -> dict[str, object]:
    """Return the values of the attributes that a job has while it is leased."""
    return {":lease": asdict(lease), **_due_at(DueKind.LEASE, lease.expires_at)}


def _due_at(kind: DueKind, due_at: str) -> dict[str, object]:
    return {":due": kind.value, ":due_at": due_at, ":due_looks": 0}
