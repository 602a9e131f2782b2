"""The completion of an attempt, made from the end of its processes."""

import signal
from typing import Final

from taskrunner_cli.api.worker_documents import Completion, FailureReason, Usage
from taskrunner_cli.worker.containers import is_killed_for_memory
from taskrunner_cli.worker.job import Job
from taskrunner_cli.worker.lease_keeper import Stop
from taskrunner_cli.worker.settings import MIB, Settings
from taskrunner_cli.worker.supervisor.orders import Report

_KILLED: Final = 128 + signal.SIGKILL
_TIMEOUT: Final = "timeout"
CANCELLED: Final = "cancelled with its run"
# The words of the run's log, by the reasons of the service.
_STOPPED: Final = {
    "cancelled": CANCELLED,
    "run-failed": "stopped, because another step has failed",
    _TIMEOUT: "stopped at the end of its time",
}


def failed(message: str, reason: FailureReason = "executor-error") -> Completion:
    """Return the completion of a failed attempt."""
    return {"status": "failed", "reason": reason, "message": message}


def stopped(stop: Stop) -> Completion:
    """Return the completion of an attempt that was stopped."""
    reason: FailureReason = "timeout" if stop.reason == _TIMEOUT else "stopped"
    return failed(_STOPPED.get(stop.reason) or f"the job was stopped: {stop.reason}", reason)


def usage(report: Report) -> Usage:
    """Return the time and the memory that a job took."""
    return {
        "wallSeconds": round(report.wall_s, 3),
        "cpuSeconds": round(report.cpu_s, 3),
        "memoryMiB": -(-report.memory_bytes // MIB),
    }


def failure(report: Report | None, job: Job, settings: Settings) -> Completion | None:
    """Return the completion of a job that failed by its processes; None if it succeeded."""
    if report is None:
        return failed("the supervisor of the job was killed")
    match report.ending:
        case "timeout":
            return failed(f"it ran longer than {job.timeout_s:g} seconds", "timeout")
        case "memory":
            return _memory_exceeded(job, settings)
        case "processes":
            return failed(f"it had more than {settings.max_processes} processes")
        case "stopped":
            return failed("the job was stopped", "stopped")
        case "not-started":
            return failed(f"the command cannot be started: {report.detail}")
        case "exited":
            return _exited(report, job, settings) if report.exit_status else None


def _exited(report: Report, job: Job, settings: Settings) -> Completion:
    """Return the completion of a job whose command failed by itself."""
    if is_killed_for_memory(report.inspected):
        return _memory_exceeded(job, settings)
    words = _exit(report.exit_status)
    if job.image and report.exit_status == _KILLED:
        words += f": {_killed_container(report, job, settings)}"
    return failed(words)


def _killed_container(report: Report, job: Job, settings: Settings) -> str:
    """Return what most likely has killed a container."""
    limit = f"{_memory_mib(job, settings)} MiB of memory"
    if is_killed_for_memory(report.inspected) is None:
        return f"most likely the container used more than its {limit}; {_more(job, settings)}"
    return (
        f"not for the container's limit of {limit}; the machine may have run out of memory, "
        "or something else has killed it"
    )


def _memory_exceeded(job: Job, settings: Settings) -> Completion:
    limit = f"{_memory_mib(job, settings)} MiB of memory"
    return failed(f"it used more than {limit}; {_more(job, settings)}", "memory-exceeded")


def _memory_mib(job: Job, settings: Settings) -> int:
    return job.memory_mib or settings.memory_mib


def _more(job: Job, settings: Settings) -> str:
    """Return how a job gets more memory: in the step up to the worker's, and then there."""
    options = ["'with.memoryMiB'"] if job.memory_mib else []
    if _memory_mib(job, settings) >= settings.memory_mib:
        options.append("the worker's --memory-mib")
    return f"raise {' and '.join(options)}"


def _exit(status: int) -> str:
    """Return an exit status in words; that of a shell may mean a signal."""
    number = -status if status < 0 else status - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"exit status {status}"
    return f"ended by {name}" if status < 0 else f"exit status {status} ({name})"
