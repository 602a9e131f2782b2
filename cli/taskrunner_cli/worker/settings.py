"""The options of a worker, and the limits that have no option."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from taskrunner_cli.api.worker_client import LeaseRequest

MIB: Final = 1 << 20
LOG_BYTES: Final = 64 << 10
"""The output of an attempt that the service records; the beginning counts."""
KEPT_OUTPUT_BYTES: Final = 64 * MIB
"""The output of an attempt that is uploaded as `output.log`."""
MAX_OUTPUTS_BYTES: Final = 256 << 10
"""The size of the file in TASKRUNNER_OUTPUTS."""
MAX_OUTPUT_FILES: Final = 50
"""The number of files below `output`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of `taskrunner worker run`.

    Args:
        pool: the pool from which the worker takes jobs.
        name: the worker's name.
        labels: what the worker offers, for jobs that ask for it.
        concurrency: the most jobs at a time.
        memory_mib: the memory of a job that asks for none, and the most that it may ask for.
        max_processes: the most processes of a job.
        max_file_mib: the most that a job may write into one file.
        work_folder: the folder of the jobs' folders.
        container_tool: `docker` or `podman`; empty if the worker runs no containers.
        container_network: the network of containers.
        idle_poll_s: the time between polls of an idle worker.
        drain_s: how long jobs may go on after the first signal to end.
        grace_s: the time between SIGTERM and SIGKILL for a job that must stop.
        path: the search path of jobs.
        tool_environment: the variables that the container tool needs.

    """

    pool: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 1
    memory_mib: int = 2048
    max_processes: int = 512
    max_file_mib: int = 4096
    work_folder: Path
    container_tool: str = ""
    container_network: str = "bridge"
    idle_poll_s: float = 15.0
    drain_s: float = math.inf
    grace_s: float = 5.0
    path: str = ""
    tool_environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def request(self) -> LeaseRequest:
        """The worker, as it presents itself to the service."""
        return LeaseRequest(pool=self.pool, worker=self.name, labels=self.labels)
