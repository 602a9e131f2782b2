"""Finds and ends the processes below this one, as Linux lists them in /proc."""

import ctypes
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36
_C_LIBRARY: Final = ctypes.CDLL(None)
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
# Positions in /proc/PID/stat after the name, which is in parentheses (proc_pid_stat(5)).
_STATE, _PARENT, _GROUP, _THREADS, _RESIDENT_PAGES = 0, 1, 2, 17, 21
# CONFIG_PROC_CHILDREN, which all common kernels have
_LISTS_CHILDREN: Final = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110
_ENDED: Final = frozenset({"Z", "X"})


@dataclass(frozen=True, slots=True)
class Process:
    """A process; one that has ended and waits for its parent has no threads."""

    pid: int
    parent: int
    group: int
    threads: int
    resident_bytes: int


def adopt_orphans() -> None:
    """Become the parent of each descendant whose parent ends, so that none is lost."""
    _C_LIBRARY.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def hide_from_others() -> None:
    """Close this process's memory, environment and open files to other processes of its user."""
    _C_LIBRARY.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    _C_LIBRARY.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def descendants(pid: int) -> list[Process]:
    """Return the processes below *pid* that have not ended, from the list of all processes."""
    return [process for process in family(pid) if process.threads]


def family(pid: int, *without: int) -> list[Process]:
    """Return the processes below *pid*, also those that have ended.

    Args:
        pid: a process.
        without: processes that are left out, with all that are below them.

    """
    children = defaultdict(list)
    for process in _all_processes():
        children[process.parent].append(process)
    found: list[Process] = []
    pending = [pid]
    while pending:
        below = [child for child in children.pop(pending.pop(), []) if child.pid not in without]
        found += below
        pending += [process.pid for process in below]
    return found


def glance(pid: int) -> list[Process]:
    """Return the processes below *pid* that have not ended, for somebody who looks often.

    This takes no longer when the machine has many other processes, because the kernel lists the
    children of each process. The list may lack some of them while others end (proc_pid_task(5)),
    so it is not for ending processes. A kernel without these lists has a look at all processes.
    """
    if not _LISTS_CHILDREN:
        return descendants(pid)
    found: list[Process] = []
    pending = _children(pid)
    while pending:
        child = pending.pop()
        with suppress(OSError, ValueError, IndexError):  # it may have ended
            process = _read(child)
            if process.threads:
                found.append(process)
                pending += _children(child)
    return found


def send(number: signal.Signals, processes: list[Process]) -> None:
    """Send a signal to the process groups of *processes*, and to those in the group of this one.

    A group gets it at once: none of its members can start another process in between. A job has
    sessions of its own, so no other process is in its groups. No process gets it twice, because a
    program may end at once when it is asked for the second time.
    """
    reached: set[int] = set()
    for group in {process.group for process in processes} - {os.getpgrp()}:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
            reached.add(group)
    for process in processes:
        if process.group not in reached:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, number)


def reap() -> dict[int, int] | None:
    """Return the wait statuses of children that have ended, by pid; None if there is no child."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended or None
        if not pid:
            return ended
        ended[pid] = status


def _children(pid: int) -> list[int]:
    """Return the children that the threads of a process have started, or adopted."""
    found: list[int] = []
    with suppress(OSError):  # it may have ended
        for thread in os.scandir(f"/proc/{pid}/task"):
            with open(f"{thread.path}/children", "rb") as file:  # noqa: PTH123 -- many times a second
                found += map(int, file.read().split())
    return found


def _all_processes() -> Iterator[Process]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            # A process may end while it is read.
            with suppress(OSError, ValueError, IndexError):
                yield _read(int(entry.name))


def _read(pid: int) -> Process:
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 -- many times a second
        fields = file.read().decode("latin-1").rpartition(")")[2].split()
    return Process(
        pid=pid,
        parent=int(fields[_PARENT]),
        group=int(fields[_GROUP]),
        threads=0 if fields[_STATE] in _ENDED else int(fields[_THREADS]),
        resident_bytes=int(fields[_RESIDENT_PAGES]) * _PAGE_BYTES,
    )
