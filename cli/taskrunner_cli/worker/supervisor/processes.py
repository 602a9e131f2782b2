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


def descendants(pid: int, *, with_ended: bool = False) -> list[Process]:
    """Return the processes below *pid*, by default without those that have ended."""
    children = defaultdict(list)
    for process in _all_processes():
        children[process.parent].append(process)
    found: list[Process] = []
    pending = [pid]
    while pending:
        below = children.pop(pending.pop(), [])
        found += below
        pending += [process.pid for process in below]
    return [process for process in found if with_ended or process.threads]


def send(number: signal.Signals, processes: list[Process]) -> None:
    """Send a signal to *processes* and to their process groups.

    A group gets it at once: none of its members can start another process in between. A job has
    sessions of its own, so no other process is in its groups.
    """
    for group in {process.group for process in processes} - {os.getpgrp()}:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    for process in processes:
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
