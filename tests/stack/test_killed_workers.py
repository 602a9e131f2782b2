"""A worker that is killed at any of its requests: its step ends once, with the outputs of one run.

All of them are killed in one test, because each needs a worker that takes a second to start.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.packs import pack
from tests.stack.api import PATIENCE_S, until
from tests.stack.stage_proxy import StageProxy
from tests.stack.workers import Workers, lose_lease
from tests.worker_process import processes_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api
    from tests.worker_process import WorkerProcess


class Stage(NamedTuple):
    """The moment at which a worker is killed.

    *kind* is the kind of its request; an empty one stands for a script that runs. *ended_by* is the
    number of the script's run that the step ends with, and *is_lost* whether its job was lost.
    """

    kind: str
    is_forwarded: bool
    ended_by: int
    is_lost: bool = True


STAGES: Final = {
    "the lease is made, and its answer is lost": Stage("lease", True, 1),
    "it fetches an artifact": Stage("fetch", False, 1),
    "its script runs": Stage("", False, 2),
    "it sends output": Stage("output", False, 2),
    "its output is recorded, and the answer is lost": Stage("output", True, 2),
    "it asks where to upload": Stage("address", False, 2),
    "it uploads a file": Stage("upload", False, 2),
    "its file is uploaded, and the answer is lost": Stage("upload", True, 2),
    "it reports the end": Stage("completion", False, 2),
    "the end is recorded, and the answer is lost": Stage("completion", True, 1, is_lost=False),
}
# The first run of a script that is killed while it runs does not end by itself.
_SCRIPT: Final = """
echo run >> {ran}
number=$(wc -l < {ran})
echo "run $number"
if [ "$number" = 1 ] && [ -n "{waits}" ]; then sleep 600; fi
echo "$number" > output/number.txt
printf '{{"number": %s}}' "$number" > "$TASKRUNNER_OUTPUTS"
"""


class Killed(NamedTuple):
    """A run whose first worker is killed at a stage."""

    stage: Stage
    label: str
    run_id: str
    proxy: StageProxy
    ran: Path
    worker: str


@pytest.fixture(name="workers")
def _workers(stack: Stack, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(stack, tmp_path)
    yield workers
    workers.kill()


def begin(stage: Stage, number: int, operator: Api, workers: Workers, proxy: StageProxy) -> Killed:
    """Start a run, and a worker behind *proxy* that takes its job alone."""
    label, ran = f"stage-{number}", workers.folder / f"ran-{number}"
    script = _SCRIPT.format(ran=ran, waits="yes" if stage.kind in {"", "output"} else "")
    step = workers.step(script, artifacts=["bundle"] if stage.kind == "fetch" else [])
    step["with"]["labels"][label] = "yes"
    job = json.dumps({"id": "job", "run": step})
    bundle = '{id: bundle, run: {uses: "builtin:build", with: {files: {a.txt: a}}}}'
    steps = f"- {bundle}\n- {job}" if stage.kind == "fetch" else f"- {job}"
    run_id = operator.run(pack(steps, name=f"killed-{number}"))
    api_url = proxy.url + urlsplit(workers.stack.api_url).path
    proxy.victim = workers.start("--label", f"{label}=yes", api_url=api_url)
    return Killed(stage, label, run_id, proxy, ran, proxy.victim.name)


def await_kill(killed: Killed) -> None:
    """Wait until the worker is dead, and with it everything that it has started."""
    if not killed.stage.kind:
        until(killed.ran.exists, "the script runs")
        killed.proxy.kill()
    until(killed.proxy.killed.is_set, f"the worker makes its request: {killed.stage}")
    _, left = psutil.wait_procs(killed.proxy.left, timeout=PATIENCE_S)
    assert left == []
    # A script may have started another process between the look at them and the kill.
    until(lambda: not processes_with("TASKRUNNER_RUN_ID", killed.run_id), "the script has ended")


def test_a_step_ends_once_whenever_its_worker_is_killed(
    operator: Api, workers: Workers, stack: Stack, aws: Callable[[str], Any]
) -> None:
    with ExitStack() as proxies:
        every = [
            begin(
                stage,
                number,
                operator,
                workers,
                proxies.enter_context(StageProxy(stack.api_url, stage.kind, stage.is_forwarded)),
            )
            for number, stage in enumerate(STAGES.values(), 1)
        ]
        for killed in every:
            await_kill(killed)
    finisher = finish(every, workers)
    for killed in every:
        if killed.stage.is_lost:
            lose_lease(stack, aws, killed.run_id, killed.worker)

    found = {name: ends(operator, killed) for name, killed in zip(STAGES, every, strict=True)}

    assert found == {
        name: {
            "status": "Succeeded",
            "attempts": 1,
            "outputs": {"number": stage.ended_by},
            "file": f"{stage.ended_by}\n",
            "runs": stage.ended_by,
            "lost": int(stage.is_lost),
            "ended": 1,
        }
        for name, stage in STAGES.items()
    }
    assert finisher.process.poll() is None


def finish(every: list[Killed], workers: Workers) -> WorkerProcess:
    """Start the worker that takes every job which is lost."""
    labels = [word for killed in every for word in ("--label", f"{killed.label}=yes")]
    return workers.start("--concurrency", "4", *labels)


def ends(operator: Api, killed: Killed) -> dict[str, Any]:
    """Return how the step of a run has ended, and how often."""
    state = operator.ended(killed.run_id)
    step = next(step for step in state["steps"] if step["stepId"] == "job")
    events = Counter(
        line["eventType"] for line in operator.log(killed.run_id) if line.get("stepId") == "job"
    )
    path = f"runs/{killed.run_id}/artifacts/number"
    file = operator("GET", path, headers={"Accept": "*/*"})
    return {
        "status": step["status"],
        "attempts": step["attempts"],
        "outputs": operator("GET", f"runs/{killed.run_id}/steps/job").json()["outputs"],
        "file": httpx.get(file.headers["Location"], timeout=PATIENCE_S).text,
        "runs": len(killed.ran.read_text().split()),
        "lost": events["step.worker-lost"],
        "ended": events["step.completed"] + events["step.failed"],
    }
