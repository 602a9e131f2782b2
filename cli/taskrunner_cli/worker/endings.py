"""The completion of an attempt, made from the end of its processes."""

import signal
from typing import Final

from taskrunner_cli.api.worker_documents import Completion, FailureReason, Usage
from taskrunner_cli.worker.job import Job
from taskrunner_cli.worker.lease_keeper import Stop
from taskrunner_cli.worker.settings import MIB, Settings
from taskrunner_cli.worker.supervisor.orders import Report

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
            limit = job.memory_mib or settings.memory_mib
            return failed(f"it used more than {limit} MiB of memory", "memory-exceeded")
        case "processes":
            return failed(f"it had more than {settings.max_processes} processes")
        case "stopped":
            return failed("the job was stopped", "stopped")
        case "not-started":
            return failed(f"the command cannot be started: {report.detail}")
        case "exited":
            return failed(_exit(report.exit_status)) if report.exit_status else None


def _exit(status: int) -> str:
    """Return an exit status in words; that of a shell may mean a signal."""
    number = -status if status < 0 else status - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"exit status {status}"
    return f"ended by {name}" if status < 0 else f"exit status {status} ({name})"
