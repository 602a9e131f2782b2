"""Fixtures of a worker's tests: a service over real sockets, and workers in here or outside.

The `conftest.py` of a folder imports those that it needs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from taskrunner_cli.api.profiles import Choice, resolve_profile
from taskrunner_cli.api.retries import Patience
from taskrunner_cli.api.worker_client import WorkerClient
from taskrunner_cli.ports.clock import SystemClock
from taskrunner_cli.ports.randomness import SystemRandomness
from taskrunner_cli.worker.attempt import Tools
from taskrunner_cli.worker.loop import Loop
from taskrunner_cli.worker.settings import Settings
from taskrunner_cli.worker.strays import Children
from tests.worker_process import WorkerProcess
from tests.worker_service import WorkerService

RunOnce = Callable[..., list[str]]
"""Runs one job, in a worker with changed settings, and returns what the worker logs."""
StartWorker = Callable[..., WorkerProcess]


@contextmanager
def in_background(run: Callable[..., object], **changes: object) -> Iterator[None]:
    """Call *run* in a thread, and wait for its end after the block."""
    thread = Thread(target=run, kwargs=changes)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.fixture
def service() -> Iterator[WorkerService]:
    """Serve a pool, and check at the end that the worker kept to the protocol."""
    with WorkerService() as started:
        yield started
        assert started.faults == []


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return small limits, and an empty folder for the jobs."""
    folder = tmp_path / "jobs"
    folder.mkdir(mode=0o700)
    return Settings(
        pool="linux",
        name="build-7",
        work_folder=folder,
        path="/usr/local/bin:/usr/bin:/bin",
        grace_s=0.5,
        memory_mib=512,
        max_processes=64,
    )


@pytest.fixture
def run_once(service: WorkerService, settings: Settings) -> Iterator[RunOnce]:
    """Run the oldest job in a worker of this process; return the lines that the worker logs."""
    clock, randomness, lines = SystemClock(), SystemRandomness(), list[str]()
    profile = resolve_profile(Choice(), service.environ, clock.now())
    client = WorkerClient(profile, clock, randomness, lines.append, Patience())

    def run(**changes: object) -> list[str]:
        tools = Tools(
            settings=replace(settings, **changes),  # type: ignore[arg-type] # by name
            client=client,
            children=Children(adopts=False),
            clock=clock,
            log=lines.append,
        )
        Loop(tools, randomness, is_once=True).run()
        assert list(settings.work_folder.iterdir()) == []
        return lines

    yield run
    client.close()


@pytest.fixture
def start_worker(service: WorkerService, tmp_path: Path) -> Iterator[StartWorker]:
    """Start a worker's process with options; it is killed at the end of the test."""
    started: list[WorkerProcess] = []

    def start(*options: str, **variables: str) -> WorkerProcess:
        number = len(started) + 1
        log = tmp_path / f"worker-{number}.log"
        chosen = ("--pool", "linux", "--name", "build-7", *options)
        known = {**service.environ, **variables}
        started.append(WorkerProcess(tmp_path / "jobs", log, chosen, known))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()
