"""Steps that real worker processes run, over HTTP, whatever happens to worker and service."""

from __future__ import annotations

import json
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.packs import pack
from tests.stack.api import PATIENCE_S, statuses, until
from tests.stack.unsteady_proxy import UnsteadyProxy
from tests.stack.workers import Workers, lose_lease
from tests.worker_process import processes_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

_MANY: Final = 60


@pytest.fixture(name="workers")
def _workers(stack: Stack, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(stack, tmp_path)
    yield workers
    workers.kill()


def running_job(operator: Api, run_id: str) -> dict[str, Any]:
    """Return the step `job` of a run once a worker runs it and its script has printed."""
    until(
        lambda: any(line["eventType"] == "step.output" for line in operator.log(run_id)),
        f"the job of {run_id} prints",
    )
    step: dict[str, Any] = operator.state(run_id)["steps"][0]
    return step


def test_a_worker_runs_a_step_with_output_outputs_and_files(
    operator: Api, workers: Workers
) -> None:
    workers.start()
    build = workers.step(
        "echo building; echo careful >&2; printf data > output/app.bin\n"
        """printf '{"size": "4"}' > $TASKRUNNER_OUTPUTS"""
    )
    check = workers.step(
        'test "$SIZE" = 4\ncp artifacts/app.bin output/copy\n',
        env={"SIZE": "{{ steps.build.outputs.size }}"},
        artifacts=["app"],
    )
    run_id = operator.run(
        pack(
            f"- {{id: build, run: {json.dumps(build)}}}\n- {{id: check, run: {json.dumps(check)}}}",
            spec="outputs: [{name: app, type: file, path: /output/app.bin}]",
        )
    )
    state = operator.ended(run_id)

    assert statuses(state) == {"build": "Succeeded", "check": "Succeeded"}, state
    assert [step["worker"] for step in state["steps"]] == ["worker-1", "worker-1"]
    output = [line for line in operator.log(run_id) if line["eventType"] == "step.output"]
    assert {(line["metadata"]["stream"], line["message"]) for line in output} == {
        ("stdout", "building\n"),
        ("stderr", "careful\n"),
    }
    files = operator.artifacts(run_id)
    assert files["app"]["sha256"] == files["copy"]["sha256"]
    url = operator("GET", f"runs/{run_id}/artifacts/app", headers={"Accept": "*/*"})
    assert content_of(url) == b"data"


def content_of(answer: httpx.Response) -> bytes:
    """Return the content of an artifact, to which the API redirects."""
    if answer.is_redirect:
        return httpx.get(answer.headers["Location"], timeout=PATIENCE_S).content
    return answer.content


def test_a_killed_worker_leaves_no_process_and_another_one_repeats_the_attempt(
    operator: Api, workers: Workers, stack: Stack, aws: Callable[[str], Any]
) -> None:
    first = workers.start()
    run_id = operator.run(
        workers.pack(
            'echo "on $TASKRUNNER_STEP"; test -e {0} || {{ touch {0}; sleep 600; }}'.format(
                workers.folder / "lost"
            )
        )
    )
    running_job(operator, run_id)
    family = psutil.Process(first.pid).children(recursive=True)

    first.process.send_signal(signal.SIGKILL)
    _, left = psutil.wait_procs(family, timeout=PATIENCE_S)
    assert left == []
    until(lambda: not processes_with("TASKRUNNER_RUN_ID", run_id), "the script has ended")

    workers.start()
    lose_lease(stack, aws, run_id, first.name)
    state = operator.ended(run_id)

    (step,) = state["steps"]
    assert (step["status"], step["attempts"], step["worker"]) == ("Succeeded", 1, "worker-2")
    events = Counter(line["eventType"] for line in operator.log(run_id))
    assert (events["step.worker-lost"], events["step.completed"]) == (1, 1)


def test_a_stopped_worker_gives_its_job_back_at_once(operator: Api, workers: Workers) -> None:
    first = workers.start()
    script = "echo begun; test -e {0} || {{ touch {0}; sleep 600; }}"
    run_id = operator.run(workers.pack(script.format(workers.folder / "stopped")))
    running_job(operator, run_id)

    first.send(signal.SIGTERM)
    until(lambda: "draining" in first.log, "the worker drains")
    first.send(signal.SIGTERM)

    assert first.wait() == 1
    assert processes_with("TASKRUNNER_RUN_ID", run_id) == []
    assert statuses(operator.state(run_id)) == {"job": "Pending waiting-for-worker"}
    workers.start()
    (step,) = operator.ended(run_id)["steps"]
    assert (step["status"], step["attempts"], step["worker"]) == ("Succeeded", 1, "worker-2")
    (lost,) = [line for line in operator.log(run_id) if line["eventType"] == "step.worker-lost"]
    assert "worker-1 was stopped, and gave the job back" in lost["message"]


def test_one_of_two_workers_runs_a_step(operator: Api, workers: Workers) -> None:
    ran = workers.folder / "ran"
    workers.start()
    workers.start()
    run_ids = [operator.run(workers.pack(f"echo $TASKRUNNER_RUN_ID >> {ran}")) for _ in range(4)]
    for run_id in run_ids:
        assert operator.ended(run_id)["status"] == "succeeded"

    assert sorted(ran.read_text().split()) == sorted(run_ids)


def test_five_workers_run_each_of_many_steps_once(operator: Api, workers: Workers) -> None:
    ran = workers.folder / "ran"
    for _ in range(5):
        workers.start("--concurrency", "4")
    step = {"id": "one", "run": workers.step(f"echo $TASKRUNNER_STEP >> {ran}")}
    block = {"items": {"range": {"start": 1, "end": _MANY}}, "maxParallel": 20, "step": step}
    run_id = operator.run(pack(f"- {{id: all, map: {json.dumps(block)}}}"))

    state = operator.wait(run_id, "succeeded", "failed", deadline_s=400.0)

    assert state["status"] == "succeeded"
    assert Counter(ran.read_text().split()) == Counter(f"all[{n}]::one" for n in range(_MANY))


def test_cancelling_a_run_ends_its_script(operator: Api, workers: Workers) -> None:
    worker = workers.start()
    run_id = operator.run(workers.pack("echo begun; sleep 600"))
    running_job(operator, run_id)
    assert processes_with("TASKRUNNER_RUN_ID", run_id)

    operator("POST", f"runs/{run_id}/cancel")
    until(lambda: not processes_with("TASKRUNNER_RUN_ID", run_id), "the script has ended")

    assert statuses(operator.state(run_id)) == {"job": "Skipped cancelled"}
    assert worker.process.poll() is None


def test_a_step_ends_once_though_the_service_is_away_while_it_ends(
    operator: Api, workers: Workers, stack: Stack
) -> None:
    path = urlsplit(stack.api_url).path
    gone, ran = workers.folder / "gone", workers.folder / "ran"
    with UnsteadyProxy(stack.api_url) as proxy:
        workers.start(api_url=proxy.url + path)
        run_id = operator.run(
            workers.pack(f"echo .; until test -e {gone}; do sleep 0.1; done; echo once >> {ran}")
        )
        running_job(operator, run_id)
        proxy.close()
        gone.touch()
        until(lambda: ran.exists() and proxy.refused > 1, "the end was reported in vain")
        assert operator.state(run_id)["status"] == "running"
        proxy.open()
        state = operator.ended(run_id)

    assert statuses(state) == {"job": "Succeeded"}
    assert ran.read_text() == "once\n"
    events = Counter(line["eventType"] for line in operator.log(run_id))
    assert (events["step.started"], events["step.completed"]) == (1, 1)
