"""A worker as a process of its own, and the processes below it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.offered_job import OfferedJob

_MAIN = "from taskrunner_cli.app import main; raise SystemExit(main())"
_PATIENCE_S = 120.0
_POWERLESS = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")


def processes_of(job: OfferedJob) -> list[psutil.Process]:
    """Return the processes that have the variables of *job*, wherever they are."""
    return processes_with("TASKRUNNER_IDEMPOTENCY_KEY", job.key)


def processes_with(variable: str, value: str) -> list[psutil.Process]:
    """Return the processes in whose environment *variable* is *value*."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(variable) == value:
                found.append(process)
    return found


class WorkerProcess:
    """A process of `taskrunner worker run`; of root, it has none of root's capabilities."""

    def __init__(
        self,
        folder: Path,
        log: Path,
        options: Sequence[str],
        variables: Mapping[str, str],
    ) -> None:
        powerless = _POWERLESS if os.getuid() == 0 else ()
        command = [*powerless, sys.executable, "-c", _MAIN, "worker", "run"]
        self._log = log
        self.name = options[options.index("--name") + 1]
        self.folder = folder
        with log.open("wb") as file:
            self.process = subprocess.Popen(  # noqa: S603 -- every word is ours
                [*command, "--work-folder", str(folder), *options],
                env={"PATH": os.environ["PATH"], **variables},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return self._log.read_text()

    @property
    def pid(self) -> int:
        return self.process.pid

    def descendants(self) -> list[psutil.Process]:
        """Return the supervisors and the processes of jobs."""
        return psutil.Process(self.pid).children(recursive=True)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end, and return its exit code."""
        return self.process.wait(_PATIENCE_S)

    def kill(self) -> None:
        """End it and all below it, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
