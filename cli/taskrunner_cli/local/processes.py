"""Finds and ends processes of the local stack by their ids and start times.

After a reboot, another process may have the same id. So a record holds both, and only a process
that matches both is used or ended.
"""

import psutil

_START_TIME_TOLERANCE_S = 2.0  # setting the clock shifts every process's start time a little
_END_TIMEOUT_S = 15.0


def find(pid: int, born: float) -> psutil.Process | None:
    """Return the process *pid*, or None if it has ended or another process has its id.

    Args:
        pid: the process's id.
        born: the process's start time, in seconds since the epoch.

    """
    try:
        process = psutil.Process(pid)
        same_start = abs(process.create_time() - born) < _START_TIME_TOLERANCE_S
        dead = process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if same_start and not dead else None


def start_time(pid: int) -> float:
    """Return the start time of a process of this module's caller."""
    return psutil.Process(pid).create_time()


def terminate(process: psutil.Process) -> None:
    """Terminate *process* and its children, and kill those that do not exit in time."""
    try:
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.NoSuchProcess:
        return
    _kill_later(family)


def kill(process: psutil.Process) -> None:
    """Kill *process*, and its children if they do not exit by themselves."""
    try:
        family = [process, *process.children(recursive=True)]
        process.kill()
    except psutil.NoSuchProcess:
        return
    _kill_later(family)


def _kill_later(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=_END_TIMEOUT_S)
    for survivor in alive:
        survivor.kill()
    psutil.wait_procs(alive, timeout=_END_TIMEOUT_S)
