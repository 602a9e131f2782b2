"""Look at the execution of a step whose end nobody has reported, and stop it if it must end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.machine_call import execution_of
from taskrunner.runtime.job_ends import why_out_of_time, why_stopped
from taskrunner.runtime.machine_calls import end_call, next_look_at, stop_call

if TYPE_CHECKING:
    from taskrunner.model.job import Job
    from taskrunner.runtime.running_step import RunningStep


def recover_machine_call(job: Job, running: RunningStep) -> str | None:
    """Do what is due of *job*, a call of a machine; return when to look again, if the call goes on.

    An execution that has ended is recorded. One whose run does not want it any more, or whose time
    is over, is stopped, and then recorded as failed. If there is none, the run's machine repeats
    the call that starts it, until that time.

    Raises:
        ConflictError: `lease_lost`: the end is being reported at this moment.
        TryAgainError: AWS was busy; the next look goes on from there.
    """
    world, execution = running.world, execution_of(job)
    assert execution is not None  # noqa: S101 - such a job begins with its lease, and keeps it
    assert job.lease is not None  # noqa: S101 - the same
    report = world.called_machines.describe(execution)
    if report is not None and report.has_ended:
        end_call(job, running, report)
        return None
    now = running.now()
    reason = why_stopped(running) or why_out_of_time(job, now)
    if reason is None:
        return next_look_at(world.clock.now(), job.lease.leased_at, job.lease.stop_at)
    world.called_machines.stop(execution)
    stop_call(job, running, reason)
    return None
