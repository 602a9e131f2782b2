"""The lease of a running job: heartbeats, the order to stop, its loss, a service that is away."""

import re
import time
from pathlib import Path

import pytest

from tests.worker_fixtures import RunOnce, in_background
from tests.worker_process import processes_of
from tests.worker_service import WorkerService

LASTING = 'trap "echo asked; exit 0" TERM; echo begun; while :; do sleep 0.05; done'
UNTIL_FLAG = 'echo begun; until [ -e "$FLAG" ]; do sleep 0.05; done'
DEAF = 'trap "" TERM; echo begun; while :; do sleep 0.05; done'


@pytest.fixture(autouse=True)
def _quick(service: WorkerService) -> None:
    service.heartbeat_s = 0.1


def test_heartbeats_renew_a_lease(
    service: WorkerService, run_once: RunOnce, tmp_path: Path
) -> None:
    service.lease_s = 5.0
    flag = tmp_path / "flag"
    job = service.offer(UNTIL_FLAG, env={"FLAG": str(flag)})

    with in_background(run_once):
        service.wait_for(lambda: job.lease_id)
        first_end_s = job.expires_s
        service.wait_for(lambda: time.monotonic() > first_end_s)
        flag.touch()

    assert service.ended(job)["status"] == "succeeded"
    assert (job.losses, len(job.workers)) == (0, 1)


@pytest.mark.parametrize("script", [LASTING, DEAF])
def test_the_service_stops_a_job(service: WorkerService, run_once: RunOnce, script: str) -> None:
    job = service.offer(script)

    with in_background(run_once, grace_s=60.0 if script == LASTING else 0.5):
        service.wait_for(lambda: job.text() == "begun\n")
        service.stop(job, "cancelled")
        completion = service.ended(job)

    assert (completion["status"], completion["reason"]) == ("failed", "stopped")
    assert completion["message"] == "cancelled with its run"
    assert job.text() == ("begun\nasked\n" if script == LASTING else "begun\n")
    assert processes_of(job) == []


def test_the_worker_and_the_log_call_a_cancelled_job_the_same(
    service: WorkerService, run_once: RunOnce
) -> None:
    lines: list[str] = []
    job = service.offer(LASTING)

    with in_background(lambda: lines.extend(run_once())):
        service.wait_for(lambda: job.text() == "begun\n")
        service.stop(job, "cancelled")

    assert lines[-1] == "run-1 outer[1]::tests attempt 1: cancelled with its run"


def test_a_stop_for_the_time_is_a_timeout(service: WorkerService, run_once: RunOnce) -> None:
    job = service.offer(LASTING)
    service.stop(job, "timeout")

    run_once()

    assert service.ended(job)["reason"] == "timeout"


def test_a_job_that_takes_too_long_is_stopped(service: WorkerService, run_once: RunOnce) -> None:
    job = service.offer(DEAF, timeout_s=0.5)

    run_once()

    completion = service.ended(job)
    assert (completion["reason"], completion["message"]) == (
        "timeout",
        "it ran longer than 0.5 seconds",
    )
    assert completion["usage"]["wallSeconds"] >= 1.0  # the time, and the grace


def test_a_lost_lease_ends_the_job_without_a_completion(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer(LASTING)

    with in_background(run_once):
        service.wait_for(lambda: job.text() == "begun\n")
        with service.changed:
            job.secret = "of another lease"
        service.wait_for(lambda: processes_of(job) == [])

    assert job.completions == 0


def test_a_service_that_is_away_for_less_than_the_lease_does_not_disturb_the_job(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer(LASTING)

    with in_background(run_once):
        service.wait_for(lambda: job.text() == "begun\n")
        service.is_down = True
        turned_away = service.turned_away
        service.wait_for(lambda: service.turned_away >= turned_away + 3)
        service.is_down = False
        before = job.heartbeats
        service.wait_for(lambda: job.heartbeats > before)
        service.stop(job, "cancelled")
        service.ended(job)

    assert job.losses == 0


def test_the_worker_ends_the_job_when_the_lease_has_run_out_by_its_own_clock(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer(LASTING)

    with in_background(run_once):
        service.wait_for(lambda: job.text() == "begun\n")
        service.lease_s = 3.0
        before = job.heartbeats
        # The second one is sent when the answer to the first one has come.
        service.wait_for(lambda: job.heartbeats > before + 1)
        service.is_down = True
        service.wait_for(lambda: processes_of(job) == [])

    assert job.completions == 0


def test_no_output_is_lost_or_repeated_while_the_service_is_away(
    service: WorkerService, run_once: RunOnce, tmp_path: Path
) -> None:
    while_up, while_down = tmp_path / "up", tmp_path / "down"
    parts = (
        "echo 1",
        "seq 2 20",
        f"until [ -e {while_up} ]; do sleep 0.05; done",
        f"for i in $(seq 21 40); do echo $i; sleep 0.01; done; touch {while_down}",
    )
    job = service.offer("\n".join(parts))

    with in_background(run_once):
        service.wait_for(lambda: job.text() != "")
        service.is_down = True
        while_up.touch()
        service.wait_for(while_down.exists)
        turned_away = service.turned_away
        service.wait_for(lambda: service.turned_away > turned_away)
        service.is_down = False
        service.ended(job)

    assert job.text() == "".join(f"{number}\n" for number in range(1, 41))


def test_the_end_of_a_job_is_reported_when_the_service_is_back(
    service: WorkerService, run_once: RunOnce, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    job = service.offer(UNTIL_FLAG, env={"FLAG": str(flag)})

    with in_background(run_once):
        service.wait_for(lambda: job.text() == "begun\n")
        service.is_down = True
        flag.touch()
        service.wait_for(lambda: processes_of(job) == [])
        turned_away = service.turned_away
        service.wait_for(lambda: service.turned_away > turned_away)
        service.is_down = False
        assert service.ended(job)["status"] == "succeeded"


def test_the_log_of_the_worker_names_jobs_and_no_secret(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer('echo "$KEY"; exit 4', env={"KEY": "hunter-22"}, secrets={"k": "hunter-22"})

    lines = run_once()

    assert lines == [
        "run-1 outer[1]::tests attempt 1: leased",
        "run-1 outer[1]::tests attempt 1: failed: exit status 4",
    ]
    assert not re.search(f"hunter|{job.secret}", "".join(lines))
    assert job.text() == "***\n"
