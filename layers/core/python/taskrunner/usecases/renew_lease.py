"""Renew a worker's lease, record its newest output, and answer whether it goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskrunner.errors import TryAgainError
from taskrunner.model import timestamp
from taskrunner.model.job import LEASE_S, REPORTING, Lease
from taskrunner.model.run import lease_lost
from taskrunner.runtime import job_output
from taskrunner.runtime.job_ends import why_out_of_time, why_stopped
from taskrunner.runtime.leased_jobs import leased_job
from taskrunner.runtime.noted_workers import note_worker

if TYPE_CHECKING:
    from datetime import datetime

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.worker_reports import LeaseReport
    from taskrunner.ports import World

# A worker reports once at a time, so only its repeated requests meet.
_TRIES: Final = 4


def renew_lease(report: LeaseReport, world: World) -> JsonObject:
    """Return whether the worker goes on or stops, and until when it has the job.

    A lease that has expired is renewed too, as long as nobody has given the job away. A repeated
    report records its output once.

    Raises:
        NotFoundError: the caller can have no such lease.
        ConflictError: `lease_lost`: the job was given away, or its attempt has ended.
        TryAgainError: AWS was busy.
    """
    for _ in range(_TRIES):
        answer = _renew(report, world)
        if answer is not None:
            return answer
    raise TryAgainError("other reports about the lease come again and again")


def _renew(report: LeaseReport, world: World) -> JsonObject | None:
    """Return the answer, or None if another report of this worker, or its loss, came first."""
    job, running = leased_job(report.lease_id, report.secret, report.caller, world)
    if job.lease is None or job.is_done:
        raise lease_lost(job.step_path)
    if job.lease.labels is not None:
        note_worker(report.tenants, job.pool, job.lease.labels, world)
    now = world.clock.now()
    reason = why_stopped(running) or why_out_of_time(job, timestamp.to_text(now))
    lease, entries = job_output.recorded(job, job.lease, report.output, running)
    if reason is None:  # a worker that is to stop has what is left of its lease to report
        lease = _renewed(lease, now)
    if not world.jobs.renew(running.snapshot, job, lease, entries):
        return None
    answer: JsonObject = {
        "action": "continue" if reason is None else "stop",
        "expiresAt": lease.expires_at,
        "outputBytesLeft": job_output.bytes_left(lease),
    }
    return answer if reason is None else answer | {"reason": reason.value}


def _renewed(lease: Lease, now: datetime) -> Lease:
    """Return *lease* with its next end, which is soon after the end of the attempt's time."""
    last = timestamp.from_text(lease.stop_at) + REPORTING
    expires_at = min(now + timedelta(seconds=LEASE_S), last)
    return replace(lease, expires_at=timestamp.to_text(expires_at))
