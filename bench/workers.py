"""Measure worker steps: one against its command by hand, and 500 of them over five workers.

    .venv/bin/python -m bench.workers

Both run on the local stack, with workers of their own, beside the stack's. The command sleeps for a
second, because steps of workers take seconds or more; the ratio says what TaskRunner adds to them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/core/python")]

from taskrunner_cli import local  # noqa: E402 - needs the path above
from tests.packs import pack  # noqa: E402 - the same
from tests.stack.api import Api  # noqa: E402 - the same
from tests.stack.workers import Workers  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = "sleep 1"
ROUNDS = 5
MANY = 500
DEADLINE_S = 480.0


@contextmanager
def workers_of(api: Api) -> Iterator[Workers]:
    """Yield what starts workers; they are killed at the end."""
    with tempfile.TemporaryDirectory(prefix="taskrunner-bench-") as folder:
        workers = Workers(api.stack, Path(folder))
        try:
            yield workers
        finally:
            workers.kill()


def by_hand_s() -> float:
    """Return how long the command takes in a shell."""
    start = time.perf_counter()
    subprocess.run(["/bin/sh", "-c", COMMAND], check=True)  # noqa: S603 - a fixed command
    return time.perf_counter() - start


def run_s(api: Api, manifest: str) -> float:
    """Run a pack, and return the time until its end is seen."""
    start = time.perf_counter()
    state = api.wait(api.run(manifest), "succeeded", "failed", deadline_s=DEADLINE_S)
    if state["status"] != "succeeded":
        raise SystemExit(f"{state['runId']} did not succeed")
    return time.perf_counter() - start


def step_to_command(api: Api, rounds: int = ROUNDS) -> float:
    """Return the time of a run of one worker step, as a multiple of its command's by hand."""
    with workers_of(api) as workers:
        workers.start()
        manifest = workers.pack(COMMAND)
        run_s(api, manifest)
        return statistics.median(run_s(api, manifest) / by_hand_s() for _ in range(rounds))


def many_s(api: Api, steps: int = MANY) -> float:
    """Return how long five workers take for *steps* steps, after a check that each ran once."""
    with workers_of(api) as workers:
        ran = workers.folder / "ran"
        for _ in range(5):
            workers.start("--concurrency", "4")
        step = {"id": "one", "run": workers.step(f"echo $TASKRUNNER_STEP >> {ran}")}
        items = {"range": {"start": 1, "end": steps}}
        block = {"items": items, "maxParallel": 20, "step": step}
        took_s = run_s(api, pack(f"- {{id: all, map: {json.dumps(block)}}}"))
        expected = Counter(f"all[{number}]::one" for number in range(steps))
        if Counter(ran.read_text(encoding="utf-8").split()) != expected:
            raise SystemExit("a step did not run exactly once")
    return took_s


def main() -> None:
    """Measure, and print the results."""
    stack = local.up()
    with httpx.Client(timeout=60.0) as http:
        api = Api(stack, http, "operator")
        print(f"a worker step takes {step_to_command(api):.2f} times `{COMMAND}` by hand")
        print(f"{MANY} worker steps over five workers, each run once, take {many_s(api):.0f} s")


if __name__ == "__main__":
    main()
