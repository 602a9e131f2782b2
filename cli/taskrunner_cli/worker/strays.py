"""The worker's children: a supervisor for each job, and what a job left when its supervisor died.

A job runs as the worker's user, so it can kill its supervisor. Its processes then become children
of the worker, which ends them.
"""

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from taskrunner_cli.worker.supervisor import processes

_PAUSE_S: Final = 0.01
_PATIENCE_S: Final = 10.0  # a process in the kernel ends later


class Children:
    """The processes that the worker started.

    Args:
        adopts: whether orphans become children of the worker, so that all others are strays.

    """

    def __init__(self, *, adopts: bool) -> None:
        self._adopts = adopts
        self._lock = threading.Lock()
        self._pids: set[int] = set()

    def start(self, words: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":  # noqa: ANN401
        """Start a process in a session of its own, with the options of `subprocess`."""
        with self._lock:
            process = subprocess.Popen(  # noqa: S603 -- a supervisor
                words, start_new_session=True, **options
            )
            self._pids.add(process.pid)
            return process

    def forget(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait for a process that ends, and end everything that it left behind."""
        process.wait()
        with self._lock:
            self._pids.discard(process.pid)
            if self._adopts:
                self._end_strays()

    def _end_strays(self) -> None:
        give_up_s = time.monotonic() + _PATIENCE_S
        while (strays := self._strays()) and time.monotonic() < give_up_s:
            processes.send(signal.SIGKILL, strays)
            for stray in strays:
                with suppress(ChildProcessError):
                    os.waitpid(stray.pid, os.WNOHANG)
            select.select([], [], [], _PAUSE_S)

    def _strays(self) -> list[processes.Process]:
        """Return the processes below the worker that are not below a supervisor."""
        return processes.family(os.getpid(), *self._pids)


def protect_process() -> Children:
    """Hide this process from its jobs, and adopt their orphans; return its children."""
    processes.hide_from_others()
    processes.adopt_orphans()
    return Children(adopts=True)


def import_path() -> str:
    """Return the folder from which a supervisor imports its module."""
    return str(Path(__file__).parents[2])
