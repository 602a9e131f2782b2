"""The order that the worker gives a supervisor, and the report that comes back, each as JSON.

The order is a line on the supervisor's standard input, because every user of the machine can read
command lines. The input stays open: a further line asks to stop the job, and its end means that
the worker is gone.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final, Literal, TypeAlias

STOP: Final = b"stop\n"
DONE: Final = b"done\n"

Ending: TypeAlias = Literal["exited", "timeout", "memory", "processes", "stopped", "not-started"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """A job's command and its limits.

    Args:
        command: the program and its arguments.
        environment: all variables of the job.
        folder: the working folder.
        timeout_s: how long the command may run.
        grace_s: the time between SIGTERM and SIGKILL.
        memory_bytes: the resident memory of all processes together; 0 for no limit.
        max_processes: the number of processes; 0 for no limit.
        file_bytes: the size of one file.
        inspection: a command to run after the job's command has failed, before the cleanup; empty
            for none.
        cleanup: a command to run after all processes have ended; empty for none.
        cleanup_environment: the variables of these two commands.
        remove: the folder to remove if the worker is gone.

    """

    command: list[str]
    environment: dict[str, str]
    folder: str
    timeout_s: float
    grace_s: float
    memory_bytes: int
    max_processes: int
    file_bytes: int
    inspection: list[str]
    cleanup: list[str]
    cleanup_environment: dict[str, str]
    remove: str

    def line(self) -> bytes:
        """Return the order as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True, kw_only=True)
class Report:
    """The end of a job.

    Args:
        ending: the cause of the end; `exited` if the command ended by itself.
        exit_status: the command's exit status; negative for the number of the signal that ended it.
        detail: the error, if the command could not be started.
        inspected: the output of the inspection, if there was one; empty if it failed.
        wall_s: how long it ran.
        cpu_s: the CPU time of all its processes that ended under the supervisor.
        memory_bytes: the most resident memory that was seen.

    """

    ending: Ending
    exit_status: int
    detail: str
    inspected: str
    wall_s: float
    cpu_s: float
    memory_bytes: int

    def line(self) -> bytes:
        """Return the report as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"


def read_order(line: bytes) -> Order:
    """Return the order in a line."""
    return Order(**json.loads(line))


def read_report(line: bytes) -> Report:
    """Return the report in a line."""
    return Report(**json.loads(line))
