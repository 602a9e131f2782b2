"""Jobs of worker pools, as the contract of the port Jobs offers and leases them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taskrunner.model import timestamp
from taskrunner.model.job import LEASE_S, Job, Lease, digest
from taskrunner.model.run import StepOutcome, StepStatus
from tests.contract.samples import an_entry, new_run
from tests.fakes.clock import NOON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.due_work import DueItem, DueKind
    from taskrunner.ports import RunSnapshot
    from tests.contract.ports import Ports

PATH = "outer[1]::tests"


def at(seconds: float) -> str:
    """Return the time so many seconds after noon, when the jobs of these tests are offered."""
    return timestamp.to_text(NOON + timedelta(seconds=seconds))


def a_lease(of: str = "one", seconds: float = 0, **changes: Any) -> Lease:  # noqa: ANN401 - any field
    """Return a lease with the secret *of*, given so many seconds after noon."""
    fields: dict[str, Any] = {
        "secret_digest": digest(of),
        "client": "build-farm",
        "worker": "build-7",
        "leased_at": at(seconds),
        "expires_at": at(seconds + LEASE_S),
        "stop_at": at(seconds + 3600),
    }
    return Lease(**(fields | changes))


def a_job(snapshot: RunSnapshot, step_path: str = PATH, **changes: Any) -> Job:  # noqa: ANN401
    fields: dict[str, Any] = {
        "tenant": snapshot.run.tenant,
        "run_id": snapshot.run.run_id,
        "step_path": step_path,
        "attempt": 1,
        "pool": "linux",
        "offered_at": at(0),
        "labels": {"gpu": "no"},
    }
    fields |= changes
    return Job(**({"waits_since": fields["offered_at"]} | fields))


def offered(
    world: Ports,
    snapshot: RunSnapshot | None = None,
    step_path: str = PATH,
    **changes: Any,  # noqa: ANN401 - any field
) -> tuple[RunSnapshot, Job]:
    """Offer a job with the token `token-1`, of a new run if none is given."""
    snapshot = snapshot or new_run(world)
    job = a_job(snapshot, step_path, **changes)
    entry = an_entry(f"{step_path}#{job.attempt}#offered")
    assert world.jobs.offer(snapshot, job, "token-1", [entry]) == job
    return snapshot, job


def leased(world: Ports, lease: Lease | None = None) -> tuple[RunSnapshot, Job]:
    """Offer a job of a new run, and lease it at noon."""
    snapshot, job = offered(world)
    lease = lease or a_lease()
    assert world.jobs.lease(snapshot, job, lease, [an_entry(f"{PATH}#1#started")])
    return snapshot, replace(job, lease=lease)


def called(world: Ports) -> tuple[RunSnapshot, Job]:
    """Offer a job of a new run that calls a state machine, and so has a lease from the start."""
    snapshot = new_run(world)
    lease = a_lease(secret_digest="", client="states", worker="run-7-hash", expires_at=at(120))
    job = a_job(snapshot, pool="states:import", labels={}, lease=lease)
    assert world.jobs.offer(snapshot, job, "token-1", [an_entry(f"{PATH}#1#started")]) == job
    return snapshot, job


def stored(world: Ports, job: Job) -> Job | None:
    """Return the last job of the step of *job*."""
    return world.jobs.get(job.tenant, job.run_id, job.step_path)


def recorded(
    world: Ports, snapshot: RunSnapshot, job: Job, entry_id: str = f"{PATH}#1#completed"
) -> StepOutcome:
    """Record that the attempt of *job* succeeded, ten seconds after noon."""
    outcome = StepOutcome(path=job.step_path, attempt=job.attempt, status=StepStatus.SUCCEEDED)
    entry = an_entry(entry_id, occurred_at=at(10))
    return world.runs.record_step(snapshot, outcome, [entry], job=job)


def due(world: Ports, kind: DueKind, seconds: float = 1e6) -> Sequence[DueItem]:
    """Return the work that is due so many seconds after noon."""
    return world.due_work.due(kind, at(seconds), 100)


def due_ats(world: Ports, kind: DueKind) -> list[str]:
    return [item.due_at for item in due(world, kind)]


def jobs_in(world: Ports, tenant: str, pool: str, **labels: str) -> list[Job]:
    """Return the jobs that a worker may take which has the labels of `a_job`, or these."""
    return list(world.jobs.waiting(tenant, pool, labels or {"gpu": "no"}))
