"""Run 20 empty steps in DBOS or in Prefect, and print the seconds of each run. Called by table.py.

    .local/venvs/bench/bin/python bench/others.py dbos|prefect ROUNDS

What differs from TaskRunner: both run steps as functions in this one process, on one machine, with
SQLite beside it. There is no function to call, no sandbox, no plan, no approval and no evidence.
DBOS records each step's output once. Prefect reports each state of each step to a server, which it
starts on this machine for the duration. The first run is not counted.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 20


def timed(run: Callable[[], object], rounds: int) -> None:
    """Run once, and then *rounds* times more; print how long each of those took."""
    run()
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        print(f"seconds {time.perf_counter() - start:.6f}", flush=True)


def dbos(rounds: int, folder: str) -> None:
    """Run a workflow of DBOS."""
    from dbos import DBOS  # noqa: PLC0415

    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{folder}/dbos.sqlite"})

    @DBOS.step()
    def step(number: int) -> int:
        return number

    @DBOS.workflow()
    def flow() -> None:
        for number in range(STEPS):
            step(number)

    DBOS.launch()
    timed(flow, rounds)
    DBOS.destroy()


def prefect(rounds: int, folder: str) -> None:
    """Run a flow of Prefect."""
    os.environ |= {
        "PREFECT_HOME": folder,
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    from prefect import flow, task  # noqa: PLC0415

    @task
    def step(number: int) -> int:
        return number

    @flow
    def steps() -> None:
        for number in range(STEPS):
            step(number)

    timed(steps, rounds)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        {"dbos": dbos, "prefect": prefect}[sys.argv[1]](int(sys.argv[2]), scratch)
