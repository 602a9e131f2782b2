"""The supervisor of one job, as the worker sees it."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Final

from taskrunner_cli.worker.strays import Children, import_path
from taskrunner_cli.worker.supervisor.orders import DONE, STOP, Order, Report, read_report

_MODULE: Final = "taskrunner_cli.worker.supervisor"
# A supervisor that has not reported so long after its job should have ended is woken, and killed.
_PATIENCE_S: Final = 5.0
_LAST_PATIENCE_S: Final = 60.0  # it may have to kill many processes, and to remove a container
_INTERVAL_S: Final = 1.0


class JobProcess:
    """A supervisor, and below it the processes of one job."""

    def __init__(self, children: Children, order: Order, output: int, errors: int) -> None:
        """Start the supervisor, which takes the file descriptors *output* and *errors*."""
        self._children: Final = children
        self._grace_s = order.grace_s
        self._due_s = time.monotonic() + order.timeout_s + order.grace_s
        self._lock = threading.Lock()
        try:
            self._process = children.start(
                [sys.executable, "-S", "-P", "-m", _MODULE, str(output), str(errors)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(output, errors),
                cwd="/",
                env={"PYTHONPATH": import_path()},
            )
        finally:
            os.close(output)
            os.close(errors)
        self._write(order.line())

    def stop(self) -> None:
        """Stop the job: SIGTERM now, SIGKILL after the grace."""
        self._due_s = min(self._due_s, time.monotonic() + self._grace_s)
        self._write(STOP)

    def wait(self) -> Report | None:
        """Return the report of the job's end; None if the supervisor died without one."""
        line = self._report_line()
        self._write(DONE)
        if not line:
            self._process.kill()
        with self._lock:
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):  # a line for a supervisor that was killed is still in it
                    if pipe:
                        pipe.close()
        self._children.forget(self._process)
        return read_report(line) if line.endswith(b"\n") else None

    def _report_line(self) -> bytes:
        """Return the line of the report; empty if there is none in time."""
        if self._process.stdout is None:
            raise AssertionError("it is a pipe")
        while (late_s := time.monotonic() - self._due_s) < _LAST_PATIENCE_S:
            if late_s >= _PATIENCE_S:
                self._process.send_signal(signal.SIGCONT)  # the job may have stopped it
            ready, _, _ = select.select([self._process.stdout], [], [], _INTERVAL_S)
            if ready:
                return self._process.stdout.readline()
        return b""

    def _write(self, line: bytes) -> None:
        with self._lock, suppress(OSError, ValueError):  # it has ended
            if self._process.stdin:
                self._process.stdin.write(line)
                self._process.stdin.flush()
