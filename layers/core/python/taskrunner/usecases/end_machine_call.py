"""Record how an execution has ended that a step has started, once, and let the run go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.errors import ConflictError, NotFoundError
from taskrunner.model import json_types
from taskrunner.model.machine_call import CALLER, ExecutionStatus, execution_of
from taskrunner.model.run import LEASE_LOST
from taskrunner.runtime.job_ends import answer_again
from taskrunner.runtime.leased_jobs import name_job, step_of
from taskrunner.runtime.machine_calls import end_call

if TYPE_CHECKING:
    from taskrunner.model.job import Job
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.machine_call import Execution, ExecutionReport
    from taskrunner.ports import World

_UNKNOWN: Final[JsonObject] = {"status": "unknown"}


def end_machine_call(execution: Execution, report: ExecutionReport, world: World) -> JsonObject:
    """Record the end of *execution* that *report* is about; nothing if no step waits for it.

    The input only claims which step has started the execution. The job says whether it has. The end
    is recorded first, and the run's machine learns of it after that; if this call is cut off
    between the two, the reconciler answers the machine. A repeated report changes nothing.

    Raises:
        TryAgainError: AWS was busy; the same call goes on from there.
    """
    if _is_short(report):
        described = world.called_machines.describe(execution)
        if described is None or not described.has_ended:
            return _UNKNOWN
        report = described
    job = _claimed_job(report.input_text, world)
    if job is None or execution_of(job) != execution:
        return _UNKNOWN
    name_job(job, world)
    try:
        running = step_of(job, world)
        if job.is_done:
            answer_again(job, running)
        else:
            end_call(job, running, report)
    except NotFoundError:  # retention deletes items of a run one by one
        return _UNKNOWN
    except ConflictError as conflict:
        if conflict.code != LEASE_LOST:
            raise
    return {"status": "ended"}


def _is_short(report: ExecutionReport) -> bool:
    """Return whether *report* lacks what is too large for an event."""
    is_success = report.status is ExecutionStatus.SUCCEEDED
    return report.input_text is None or (is_success and report.output_text is None)


def _claimed_job(input_text: str | None, world: World) -> Job | None:
    """Return the job that an execution's input names; others start such machines too."""
    try:
        given = json_types.read(input_text or "null")
    except ValueError:
        return None
    caller = given.get(CALLER) if isinstance(given, dict) else None
    if not isinstance(caller, dict):
        return None
    match caller:
        case {"tenant": str(tenant), "run": str(run_id), "step": str(path), "attempt": int(number)}:
            job = world.jobs.get(tenant, run_id, path)
            return job if job is not None and job.attempt == number else None
        case _:
            return None
