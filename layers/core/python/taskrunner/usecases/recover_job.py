"""Take up a job that nobody reports about: it waits too long, its worker is lost, or its end is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.errors import ConflictError, NotFoundError
from taskrunner.model import timestamp
from taskrunner.model.entries.job_entries import LossCause
from taskrunner.model.job import LONGEST_WAIT
from taskrunner.model.machine_call import execution_of
from taskrunner.model.run import LEASE_LOST, Reason
from taskrunner.runtime.delivery import refuse_job
from taskrunner.runtime.job_ends import (
    answer_again,
    give_up,
    lose,
    why_out_of_time,
    why_stopped,
)
from taskrunner.runtime.leased_jobs import step_of
from taskrunner.usecases.recover_machine_call import recover_machine_call

if TYPE_CHECKING:
    from datetime import timedelta

    from taskrunner.model.due_work import DueItem
    from taskrunner.model.job import Job
    from taskrunner.ports import World
    from taskrunner.runtime.running_step import RunningStep


def recover_job(item: DueItem, world: World) -> None:
    """Look after the job that *item* is, which the reconciler holds.

    An attempt whose time is over has failed, and so has a job that has waited for too long. A job
    whose worker was lost is offered again. A machine that has not learned of an end is answered. A
    worker that still reports, or reports now, changes the job; then nothing is done here. A job
    whose run retention has deleted is removed from its pool, and its machine is answered.

    Raises:
        TryAgainError: AWS was busy; the next look goes on from there.
    """
    job = world.jobs.get(item.tenant, item.run_id, item.name)
    if job is None:
        world.due_work.finish(item)
        return
    try:
        running = step_of(job, world)
    except NotFoundError as error:
        world.jobs.withdraw(job)
        world.jobs.answer(job, error)
        return
    try:
        look_again_at = _take_up(job, running)
    except ConflictError as conflict:
        if conflict.code != LEASE_LOST:
            raise
        return  # somebody reports about it at this moment
    if look_again_at is not None:
        world.due_work.postpone(item, look_again_at)


def _take_up(job: Job, running: RunningStep) -> str | None:
    """Do what is due; return when to look again, or None if the record says it."""
    now = running.now()
    if job.is_done:
        answer_again(job, running)
        return None
    if execution_of(job) is not None:
        return recover_machine_call(job, running)
    stopped = why_stopped(running)
    if job.lease is None:
        return _of_waiting(job, running, now, stopped)
    if now < job.lease.expires_at:
        return job.lease.expires_at
    reason = stopped or why_out_of_time(job, now)
    if reason is None:
        lose(job, running, now, cause=LossCause.SILENT)
    else:
        give_up(job, running, reason, _message(reason, job.lease.worker))
    return None


def _of_waiting(job: Job, running: RunningStep, now: str, stopped: Reason | None) -> str | None:
    if stopped is not None:
        refuse_job(job, running.snapshot.run, running.world)
        return None
    ends_at = timestamp.to_text(timestamp.from_text(job.waits_since) + LONGEST_WAIT)
    if now < ends_at:
        return ends_at
    message = (
        f"no worker of the pool {job.pool} took it within {_hours(LONGEST_WAIT)} hours; "
        "start a worker of this pool with the labels of the step, and run the pack again"
    )
    give_up(job, running, Reason.TIMEOUT, message)
    return None


def _message(reason: Reason, worker: str) -> str:
    match reason:
        case Reason.RUN_FAILED:
            return f"its worker {worker} was lost after another step had failed"
        case Reason.CANCELLED:
            return f"cancelled with its run; its worker {worker} was lost after that"
        case _:
            return f"it took longer than its time limit, and its worker {worker} did not report"


def _hours(duration: timedelta) -> int:
    return int(duration.total_seconds() // 3600)
