"""The supervisor of one job, as the worker sees it."""

import os
import select
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Final

from taskrunner_cli.worker.strays import Children, import_path
from taskrunner_cli.worker.supervisor.orders import DONE, STOP, Order, Report, read_report

_MODULE: Final = "taskrunner_cli.worker.supervisor"
# After its time and the grace, a supervisor that is alive has reported.
_PATIENCE_S: Final = 60.0


class JobProcess:
    """A supervisor, and below it the processes of one job."""

    def __init__(self, children: Children, order: Order, output: int, errors: int) -> None:
        """Start the supervisor, which takes the file descriptors *output* and *errors*."""
        self._children: Final = children
        self._limit_s = order.timeout_s + order.grace_s + _PATIENCE_S
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
        self._write(STOP)

    def wait(self) -> Report | None:
        """Return the report of the job's end; None if the supervisor died without one."""
        if self._process.stdout is None:
            raise AssertionError("it is a pipe")
        ready, _, _ = select.select([self._process.stdout], [], [], self._limit_s)
        line = self._process.stdout.readline() if ready else b""
        self._process.stdout.close()
        self._write(DONE)
        if not line:
            self._process.kill()
        with self._lock, suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        self._children.forget(self._process)
        return read_report(line) if line.endswith(b"\n") else None

    def _write(self, line: bytes) -> None:
        with self._lock, suppress(OSError, ValueError):  # it has ended
            if self._process.stdin:
                self._process.stdin.write(line)
                self._process.stdin.flush()
