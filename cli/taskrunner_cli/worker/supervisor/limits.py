"""The kernel's limits of a job's command, set in its process before the program is loaded.

They are backstops: most count for each process alone, so the supervisor watches all of them
together and reports which limit was exceeded.
"""

import os
import resource
import signal
from contextlib import suppress
from typing import Final

from taskrunner_cli.worker.supervisor import processes
from taskrunner_cli.worker.supervisor.orders import Order

_IGNORED_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_DATA_SLACK_BYTES: Final = 1 << 30
_TASKS_PER_PROCESS: Final = 4
_CPU_SLACK_S: Final = 60
_NICENESS: Final = 5  # the worker's heartbeats come first


def ignore_signals() -> None:
    """Ignore what ends groups of processes: the supervisor ends after its job only."""
    for number in _IGNORED_SIGNALS[:-1]:
        signal.signal(number, signal.SIG_IGN)


def apply(order: Order, tasks: int) -> None:
    """Limit this process for good.

    Args:
        order: the job.
        tasks: the processes and threads that the user has now.

    """
    processes.die_with_parent()
    for number in _IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    os.nice(_NICENESS)
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_FSIZE, order.file_bytes)
    _set(resource.RLIMIT_CPU, int(order.timeout_s * (os.cpu_count() or 1)) + _CPU_SLACK_S)
    if order.memory_bytes:
        _set(resource.RLIMIT_DATA, 2 * order.memory_bytes + _DATA_SLACK_BYTES)
    if order.max_processes:
        # The kernel counts all tasks of the user, and threads as tasks.
        _set(resource.RLIMIT_NPROC, tasks + _TASKS_PER_PROCESS * order.max_processes)


def tasks_of_user() -> int:
    """Return how many processes and threads the user of this process has."""
    user, count = os.getuid(), 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):  # it may have ended
                if entry.stat().st_uid == user:
                    count += sum(1 for _ in os.scandir(f"{entry.path}/task"))
    return count


def _set(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))
