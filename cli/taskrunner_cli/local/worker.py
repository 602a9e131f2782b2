"""Starts, finds and ends the local stack's worker, a process of `taskrunner worker run`.

It takes the jobs of one pool as the stack's client `worker`. A stack that was deployed again gets a
new worker, because its addresses and the worker's code may have changed. The worker before is asked
to end: it finishes what it runs, and takes the job that its last poll may bring. If it was killed
instead, the service could give that job to nobody, and would notice it when the lease has ended.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from taskrunner_cli.local import processes
from taskrunner_cli.local.workspace import Progress, Workspace

POOL = "local"
CALLER = "worker"
_CONCURRENCY = 2
_IDLE_POLL_S = 2  # a call of the emulator costs nothing

_MAIN = "from taskrunner_cli.app import main; raise SystemExit(main())"
_KEPT = ("PATH", "LANG", "HOME", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker's process that this module started.

    Args:
        born: the process's start time, in seconds since the epoch.
        target: the deployment that it was started for.
        earlier: the ids and start times of workers before, which may still be ending.

    """

    pid: int
    born: float
    target: Any
    earlier: list[tuple[int, float]] = field(default_factory=list)

    def processes(self) -> list[psutil.Process]:
        """Return the processes of this worker and of those before that have not ended."""
        known = [(self.pid, self.born), *self.earlier]
        return [found for pid, born in known if (found := processes.find(pid, born))]


def running(workspace: Workspace) -> Worker | None:
    """Return the worker that *workspace* records, or None if its process has ended."""
    worker = _recorded(workspace)
    return worker if worker and processes.find(worker.pid, worker.born) else None


def ensure(workspace: Workspace, target: object, progress: Progress) -> None:
    """Start a worker, unless one runs that was started for the deployment *target*.

    A worker needs Linux; elsewhere the stack has none.
    """
    worker = running(workspace)
    is_current = worker is not None and worker.target == target
    if sys.platform == "linux" and not is_current:
        progress(f"starting a worker of the pool {POOL}")
        start(workspace, target)


def start(workspace: Workspace, target: object) -> Worker:
    """Start a worker in its own session, and ask the one before to end."""
    before = _recorded(workspace)
    ending = before.processes() if before else []
    for process in ending:
        if before and process.pid == before.pid:  # a second SIGTERM would stop the jobs
            with suppress(psutil.NoSuchProcess):
                process.terminate()
    workspace.logs.mkdir(parents=True, exist_ok=True)
    with log_of(workspace).open("a") as sink:
        started = subprocess.Popen(  # noqa: S603 -- a fixed command
            command(workspace),
            cwd=workspace.local,
            env=environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    worker = Worker(
        started.pid,
        processes.start_time(started.pid),
        target,
        [(process.pid, process.create_time()) for process in ending],
    )
    workspace.worker_file.write_text(json.dumps(asdict(worker)), encoding="utf-8")
    # The worker outlives this process, as the emulator does.
    started.returncode = 0
    return worker


def command(workspace: Workspace) -> list[str]:
    """Return the command of the worker."""
    chosen = ["--pool", POOL, "--as", CALLER, "--stack", str(workspace.stack_file)]
    others = ["--name", "local-stack", "--concurrency", str(_CONCURRENCY)]
    others += ["--idle-poll-seconds", str(_IDLE_POLL_S)]
    return [sys.executable, "-c", _MAIN, "worker", "run", *chosen, *others]


def environment(ambient: Mapping[str, str]) -> dict[str, str]:
    """Return the worker's environment variables; *ambient* are those of this process.

    Nothing of the developer's reaches the worker, so no variable chooses another caller or stack.
    """
    return {name: ambient[name] for name in _KEPT if name in ambient}


def log_of(workspace: Workspace) -> Path:
    """Return the path of the worker's log."""
    return workspace.logs / "worker.log"


def stop(workspace: Workspace) -> None:
    """Kill the recorded workers, whose supervisors then end their jobs."""
    worker = _recorded(workspace)
    for process in worker.processes() if worker else []:
        processes.kill(process)
    workspace.worker_file.unlink(missing_ok=True)


def _recorded(workspace: Workspace) -> Worker | None:
    try:
        return Worker(**json.loads(workspace.worker_file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
