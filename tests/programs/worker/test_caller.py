"""The caller of a worker, and its messages about a service that does not take it."""

import json
from pathlib import Path

import pytest

from tests.worker_fixtures import StartWorker
from tests.worker_service import CLIENT_SECRET, WorkerService

SCOPES = {"operator": "taskrunner/operator", "worker": "taskrunner/worker"}


@pytest.fixture(name="stack")
def _stack(service: WorkerService, tmp_path: Path) -> dict[str, str]:
    """Write the file of a local stack, and return the variables that choose it."""
    ids = {"operator": "operator", "worker": "worker-client"}
    clients = {
        name: {"clientId": ids[name], "clientSecret": CLIENT_SECRET, "scope": scope}
        for name, scope in SCOPES.items()
    }
    file = tmp_path / "stack.json"
    urls = {"apiUrl": service.origin, "tokenUrl": f"{service.origin}/token"}
    file.write_text(json.dumps({**urls, "clients": clients}))
    return {"TASKRUNNER_API_URL": "", "TASKRUNNER_STACK": str(file)}


def test_a_worker_of_the_local_stack_is_its_client_for_workers(
    service: WorkerService, start_worker: StartWorker, stack: dict[str, str]
) -> None:
    job = service.offer("echo x")

    worker = start_worker("--once", **stack)

    assert worker.wait() == 0, worker.log
    assert service.ended(job)["status"] == "succeeded"
    assert f"pool linux, 1 job at a time, as worker at {service.origin}" in worker.log


def test_a_chosen_caller_without_the_scope_learns_what_it_lacks(
    start_worker: StartWorker, stack: dict[str, str]
) -> None:
    worker = start_worker(**stack, TASKRUNNER_AS="operator")

    assert worker.wait() == 1
    assert "the caller 'operator' lacks the scope taskrunner.worker" in worker.log
    assert "omit --as and TASKRUNNER_AS" in worker.log


def test_a_client_of_a_deployment_learns_where_it_gets_the_scope(
    start_worker: StartWorker,
) -> None:
    worker = start_worker(TASKRUNNER_CLIENT_ID="operator")

    assert worker.wait() == 1
    assert "the caller 'operator' lacks the scope taskrunner.worker" in worker.log
    assert "docs/aws.md" in worker.log


def test_a_client_of_the_local_stack_learns_its_pool(
    service: WorkerService, start_worker: StartWorker, stack: dict[str, str]
) -> None:
    service.pools = ("local",)

    worker = start_worker(**stack)

    assert worker.wait() == 1
    assert "the caller 'worker' may not take jobs of the pool 'linux'" in worker.log
    assert "--pool local" in worker.log


def test_names_the_address_of_a_service_that_another_has_replaced(
    service: WorkerService, start_worker: StartWorker
) -> None:
    worker = start_worker("--idle-poll-seconds", "1")
    service.wait_for(lambda: service.polls)

    service.is_replaced = True

    service.wait_for(lambda: "trying again" in worker.log)
    assert f"{service.origin} does not know this worker: HTTP 404" in worker.log
    assert "check TASKRUNNER_API_URL" in worker.log
    service.is_replaced = False
    polls = len(service.polls)
    service.wait_for(lambda: len(service.polls) > polls)


def test_names_the_address_of_a_host_that_does_not_exist(
    start_worker: StartWorker, service: WorkerService
) -> None:
    worker = start_worker(TASKRUNNER_API_URL="http://taskrunner.invalid/live")

    service.wait_for(lambda: "trying again" in worker.log)

    assert "cannot reach http://taskrunner.invalid" in worker.log
    assert "check TASKRUNNER_API_URL" in worker.log


def test_says_once_that_reports_fail_and_once_that_they_are_taken_again(
    service: WorkerService, start_worker: StartWorker, tmp_path: Path
) -> None:
    service.heartbeat_s = 0.2
    flag = str(tmp_path / "flag")
    job = service.offer('until [ -e "$FLAG" ]; do sleep 0.05; done', env={"FLAG": flag})
    worker = start_worker("--once")
    service.wait_for(lambda: job.heartbeats)

    service.is_down = True
    service.wait_for(lambda: service.turned_away >= 3)
    service.is_down = False
    before = job.heartbeats
    service.wait_for(lambda: job.heartbeats > before)
    Path(flag).touch()

    assert worker.wait() == 0, worker.log
    assert worker.log.count("tests attempt 1: cannot report: cannot reach http://127.0.0.1") == 1
    assert worker.log.count("tests attempt 1: can report again") == 1
