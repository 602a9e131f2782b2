"""Calls of state machines: an attempt of a `states:<name>` step is an execution of the machine.

Such an attempt is a job that no worker can take. Its pool is the step's reference, and its lease,
which begins with the job, has the name of the execution.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.model.job import POOL_PREFIX, pool_of
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from taskrunner.model.job import Job
    from taskrunner.model.run import Run

CALL_PREFIX: Final = "states:"
# The member of an execution's input that says which step has called the machine.
CALLER: Final = "taskrunner"
MAX_INPUT_BYTES: Final = 256 * 1024  # by Step Functions

_MACHINE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_MAX_READABLE: Final = 47  # of an execution's name, which has at most 80 characters
_DIGITS: Final = 32


class Execution(NamedTuple):
    """An execution of the machine that packs call *machine*."""

    machine: str
    name: str


class ExecutionStatus(StrEnum):
    """Step Functions' statuses of executions."""

    RUNNING = "RUNNING"
    PENDING_REDRIVE = "PENDING_REDRIVE"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReport:
    """The state of an execution, as Step Functions reports it.

    *input_text* and *output_text* are JSON, or None where the report leaves them out. *duration_s*
    is how long an ended execution has taken.
    """

    status: ExecutionStatus
    input_text: str | None = None
    output_text: str | None = None
    error: str | None = None
    cause: str | None = None
    duration_s: float | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the execution does not go on."""
        return self.status not in {ExecutionStatus.RUNNING, ExecutionStatus.PENDING_REDRIVE}


def machine_of(reference: str) -> str | None:
    """Return the machine in `states:<name>`, or None when *reference* has another form."""
    name = reference.removeprefix(CALL_PREFIX)
    is_machine = name != reference and _MACHINE_NAME.fullmatch(name) is not None
    return name if is_machine else None


def has_job(reference: str) -> bool:
    """Return whether the attempts of steps with the executor *reference* are jobs.

    Their machine waits with a task token, and no function executes them.
    """
    # Most references are of neither kind, and a plan asks for each of a thousand steps.
    is_either = reference.startswith((POOL_PREFIX, CALL_PREFIX))
    return is_either and (pool_of(reference) or machine_of(reference)) is not None


def execution_of(job: Job) -> Execution | None:
    """Return the execution that *job* is, or None if it is a worker's job."""
    machine = machine_of(job.pool)
    return None if machine is None or job.lease is None else Execution(machine, job.lease.worker)


def execution_name(run: Run, step_path: str, attempt: int) -> str:
    """Return the name of the execution of an attempt: the run's id, cut if long, and a hash.

    A repeated call finds the execution by it, and starts no other. Ids of runs are free again
    after retention, so the hash has the run's time of creation.
    """
    text = f"{run.tenant}\n{run.run_id}\n{run.created_at}\n{step_path}\n{attempt}"
    digits = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return f"{run.run_id[:_MAX_READABLE]}-{digits}"
