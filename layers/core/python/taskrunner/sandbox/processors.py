"""Lets two processes begin to work at the same time on two processors.

Linux may wake a process up on the processor of the one that has sent it something, because a sender
usually waits for the answer. It was seen to do so while another processor had nothing to do, so an
attempt's process and the function, which records the start meanwhile, waited for each other for
some milliseconds. Only the beginning is decided here. Afterwards the scheduler may move both.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

_THIS_THREAD: Final = "/proc/thread-self/stat"
_PROCESSOR: Final = 36  # its place in that file after the command, see proc(5)
_MAX_BYTES: Final = 4096


def keep_away(pid: int, parent: int) -> None:
    """Let the process *pid* wake up on a processor of its *parent* that is not this thread's."""
    with suppress(AttributeError, OSError):  # not Linux, or it has ended
        usable = os.sched_getaffinity(parent)
        if len(usable) > 1:
            os.sched_setaffinity(pid, usable - {_current()})


def use_all_of_parent() -> None:
    """Let this thread use what its parent uses, whom nobody keeps away."""
    with suppress(AttributeError, OSError):  # not Linux
        os.sched_setaffinity(0, os.sched_getaffinity(os.getppid()))


def _current() -> int:
    """Return the processor of this thread."""
    file = os.open(_THIS_THREAD, os.O_RDONLY)
    try:
        _, _, fields = os.read(file, _MAX_BYTES).rpartition(b")")
    finally:
        os.close(file)
    return int(fields.split()[_PROCESSOR])
