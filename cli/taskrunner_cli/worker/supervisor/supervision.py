"""Watches the processes of a job until its command ends, and then ends all others."""

import os
import resource
import select
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial
from typing import Final

from taskrunner_cli.worker.supervisor import limits, processes
from taskrunner_cli.worker.supervisor.orders import STOP, Ending, Order, Report

_INTERVAL_S: Final = 0.2
_INSPECTION_TIMEOUT_S: Final = 10.0
_CLEANUP_TIMEOUT_S: Final = 30.0
_MAX_INSPECTED: Final = 1000  # characters
_NOT_STARTED: Final = 127


class Supervision:
    """One job, from its start to the end of its last process.

    Args:
        order: the job.
        control: the file descriptor of the worker's pipe.

    """

    def __init__(self, order: Order, control: int) -> None:
        self._order = order
        self._control = control
        self._wake, wake_end = os.pipe()
        os.set_blocking(wake_end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.is_orphaned = False
        self._ending: Ending = "exited"
        self._kill_at_s = float("inf")
        self._started_s = time.monotonic()
        self._memory_bytes = 0
        self._pid = 0

    def run(self, output: int, errors: int) -> Report:
        """Run the job's command with *output* and *errors* as its streams."""
        try:
            self._start(output, errors)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._end_all()
            detail = f"{self._order.command[0]}: {getattr(error, 'strerror', None) or error}"
            return self._report("not-started", _NOT_STARTED, detail)
        finally:
            os.close(output)
            os.close(errors)
        status = self._watch()
        exit_status = os.waitstatus_to_exitcode(self._end_all(status))
        inspected = ""
        if exit_status and self._ending == "exited":
            inspected = self._run_after(self._order.inspection, _INSPECTION_TIMEOUT_S)
        self._run_after(self._order.cleanup, _CLEANUP_TIMEOUT_S)
        return self._report(self._ending, exit_status, inspected=inspected)

    def _start(self, output: int, errors: int) -> None:
        tasks = limits.tasks_of_user()
        self._started_s = time.monotonic()
        # It is kept: without a reference, it would wait for the process itself.
        self._process = subprocess.Popen(  # noqa: S603 -- the job's command
            self._order.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            cwd=self._order.folder,
            env=self._order.environment,
            start_new_session=True,
            preexec_fn=partial(limits.apply, self._order, tasks),  # noqa: PLW1509 -- one thread
        )
        self._pid = self._process.pid

    def _watch(self) -> int | None:
        """Return the wait status of the command once it has ended; None if it must be killed."""
        while True:
            ended = processes.reap() or {}
            if self._pid in ended:
                return ended[self._pid]
            self._check_limits()
            if time.monotonic() >= self._kill_at_s:
                return None
            self._wait()

    def _wait(self) -> None:
        """Wait until a process ends, the worker writes, or it is time to look again."""
        ready, _, _ = select.select([self._control, self._wake], [], [], _INTERVAL_S)
        if self._wake in ready:
            os.read(self._wake, 4096)
        if self._control in ready:
            self._obey(os.read(self._control, 4096))

    def _obey(self, line: bytes) -> None:
        if not line:
            self.is_orphaned = True
            self._end("stopped", at_once=True)
        elif STOP in line:
            self._end("stopped")

    def _check_limits(self) -> None:
        found = processes.glance(os.getpid())
        used_bytes = sum(process.resident_bytes for process in found)
        self._memory_bytes = max(self._memory_bytes, used_bytes)
        if self._order.max_processes and len(found) > self._order.max_processes:
            self._end("processes", at_once=True)
        elif self._order.memory_bytes and used_bytes > self._order.memory_bytes:
            self._end("memory", at_once=True)
        elif time.monotonic() - self._started_s >= self._order.timeout_s:
            self._end("timeout")

    def _end(self, ending: Ending, *, at_once: bool = False) -> None:
        """End the job for a reason; the first reason is the one that is reported."""
        if self._ending == "exited":
            self._ending = ending
            if not at_once:
                processes.send(signal.SIGTERM, self._group())
            self._kill_at_s = time.monotonic() + (0.0 if at_once else self._order.grace_s)
        elif at_once:
            self._kill_at_s = 0.0

    def _group(self) -> list[processes.Process]:
        """Return the command and the processes in its group, which learn that they should end."""
        found = processes.descendants(os.getpid())
        return [process for process in found if process.group == self._pid]

    def _end_all(self, status: int | None = None) -> int:
        """Kill every process of the job, and return the wait status of its command.

        Each process that has lost its parent is a child of this one, so there is none left when
        this process has no child.
        """
        while (ended := processes.reap()) is not None:
            status = ended.get(self._pid, status)
            if not ended:
                processes.send(signal.SIGKILL, processes.descendants(os.getpid()))
                select.select([self._wake], [], [], 0.01)
        return signal.SIGKILL if status is None else status

    def _run_after(self, command: list[str], timeout_s: float) -> str:
        """Run a command of the worker after the job; return its output, empty if it fails."""
        if not command:
            return ""
        with suppress(OSError, subprocess.SubprocessError):
            return subprocess.run(  # noqa: S603 -- the worker's command
                command,
                env=self._order.cleanup_environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=timeout_s,
                check=True,
            ).stdout.decode(errors="replace")
        return ""

    def _report(
        self, ending: Ending, exit_status: int, detail: str = "", inspected: str = ""
    ) -> Report:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Report(
            ending=ending,
            exit_status=exit_status,
            detail=detail,
            inspected=inspected[:_MAX_INSPECTED],
            wall_s=time.monotonic() - self._started_s,
            cpu_s=used.ru_utime + used.ru_stime,
            memory_bytes=max(self._memory_bytes, used.ru_maxrss * 1024),
        )
