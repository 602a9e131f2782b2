"""Lets two processes begin to work at the same time on two processors.

Linux wakes a process up on the processor of the one that has sent it something, because a sender
usually waits for the answer. In a virtual machine it does not see that another processor is idle: a
processor without work has been given back to the host. So an attempt's process and the function,
which records the start meanwhile, waited for each other for some milliseconds. Only the beginning
is decided here. Afterwards the scheduler may move both as it likes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

_THIS_THREAD: Final = "/proc/thread-self/stat"
_PROCESSOR: Final = 36  # its place in that file after the command, see proc(5)
_MAX_BYTES: Final = 4096


def usable() -> frozenset[int]:
    """Return the processors that this process may use, or nothing where that cannot be said."""
    with suppress(AttributeError, OSError):  # not Linux
        return frozenset(os.sched_getaffinity(0))
    return frozenset()


def use(processors: frozenset[int]) -> None:
    """Let this thread use *processors*."""
    _allow(0, processors)


def keep_away(pid: int, processors: frozenset[int]) -> None:
    """Let the process *pid* wake up on one of *processors* that is not this thread's."""
    if len(processors) > 1:
        with suppress(OSError):
            _allow(pid, processors - {_current()})


def _current() -> int:
    """Return the processor of this thread."""
    file = os.open(_THIS_THREAD, os.O_RDONLY)
    try:
        _, _, fields = os.read(file, _MAX_BYTES).rpartition(b")")
    finally:
        os.close(file)
    return int(fields.split()[_PROCESSOR])


def _allow(pid: int, processors: frozenset[int]) -> None:
    if processors:
        with suppress(OSError):  # it has ended, or they were taken away
            os.sched_setaffinity(pid, processors)
