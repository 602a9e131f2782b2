"""A job that a worker reports about: its lease is checked before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from taskrunner.errors import ForbiddenError, NotFoundError
from taskrunner.model import step_path
from taskrunner.model.job import job_name
from taskrunner.model.run import StepReference, lease_lost
from taskrunner.runtime.running_step import find_step

if TYPE_CHECKING:
    from taskrunner.model.caller import Caller
    from taskrunner.model.job import Job, JobName
    from taskrunner.ports import World
    from taskrunner.runtime.running_step import RunningStep


class LeasedJob(NamedTuple):
    """A job, and the step whose attempt it is."""

    job: Job
    running: RunningStep


def leased_job(lease_id: str, secret: str, caller: Caller, world: World) -> LeasedJob:
    """Return the job that *caller* has leased with *secret*; it may be done.

    Raises:
        NotFoundError: the caller can have no such lease.
        ForbiddenError: the caller may not take jobs from the pool, or not any more.
        ConflictError: `lease_lost`: somebody else has the job, or a later attempt was offered.
    """
    name = job_name(lease_id)
    if name.tenant not in caller.tenants:
        raise NotFoundError("the lease")
    name_job(name, world)
    job = world.jobs.get(name.tenant, name.run_id, name.step_path)
    if job is None:
        raise NotFoundError("the lease")
    if not caller.may_take_from(job.pool):
        raise ForbiddenError("forbidden", f"this worker may not take jobs from the pool {job.pool}")
    is_same = job.attempt == name.attempt and job.is_leased_by(secret)
    if not is_same or job.lease is None or job.lease.client != caller.subject:
        raise lease_lost(name.step_path)
    return LeasedJob(job, step_of(job, world))


def name_job(job: Job | JobName, world: World) -> None:
    """Let the lines of this call name *job*."""
    world.logs.add(tenant=job.tenant, run=job.run_id, step=job.step_path, attempt=job.attempt)


def step_of(job: Job, world: World) -> RunningStep:
    """Return the step whose attempt *job* is, with the outcome that it has, if any.

    Raises:
        NotFoundError: retention has deleted the run or its plan.
    """
    prefix, step_id = step_path.split(job.step_path)
    reference = StepReference(job.tenant, job.run_id, step_id, prefix)
    return find_step(reference, world, job.step_path)
