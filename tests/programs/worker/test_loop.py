"""The process of a worker: polls, jobs at a time, and its end."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.offered_job import OfferedJob
from tests.worker_fixtures import StartWorker
from tests.worker_process import processes_of
from tests.worker_service import WorkerService

UNTIL_FLAG = 'echo begun; until [ -e "$FLAG" ]; do sleep 0.05; done'


@pytest.fixture(autouse=True)
def _quick(service: WorkerService) -> None:
    service.heartbeat_s = 0.2


def offer_lasting(service: WorkerService, flag: Path) -> OfferedJob:
    return service.offer(UNTIL_FLAG, env={"FLAG": str(flag)})


def test_once_runs_one_job_and_ends(service: WorkerService, start_worker: StartWorker) -> None:
    jobs = [service.offer("echo a"), service.offer("echo b")]
    worker = start_worker("--once", "--label", "gpu=no")

    assert worker.wait() == 0, worker.log
    assert [job.completions for job in jobs] == [1, 0]
    assert service.polls == [
        {"pool": "linux", "worker": "build-7", "labels": {"gpu": "no"}, "waitSeconds": 20}
    ]


def test_runs_two_jobs_at_a_time_and_no_third(
    service: WorkerService, start_worker: StartWorker, tmp_path: Path
) -> None:
    jobs = [offer_lasting(service, tmp_path / "flag") for _ in range(3)]
    worker = start_worker("--concurrency", "2")

    service.wait_for(lambda: [job.text() for job in jobs] == ["begun\n", "begun\n", ""])
    assert jobs[2].workers == []
    (tmp_path / "flag").touch()
    for job in jobs:
        assert service.ended(job)["status"] == "succeeded"
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0, worker.log


def test_sigterm_finishes_what_runs_and_takes_nothing_more(
    service: WorkerService, start_worker: StartWorker, tmp_path: Path
) -> None:
    job = offer_lasting(service, tmp_path / "flag")
    worker = start_worker("--concurrency", "2")
    service.wait_for(lambda: job.text() == "begun\n")

    worker.send(signal.SIGTERM)
    service.wait_for(lambda: "draining: 1 job runs" in worker.log and service.open_polls == 0)
    later = service.offer("echo later")
    (tmp_path / "flag").touch()

    assert worker.wait() == 0, worker.log
    assert service.ended(job)["status"] == "succeeded"
    assert later.workers == []


def test_a_second_sigterm_stops_jobs_and_gives_them_back(
    service: WorkerService, start_worker: StartWorker, tmp_path: Path
) -> None:
    service.lease_s = 600.0
    job = offer_lasting(service, tmp_path / "flag")
    worker = start_worker()
    service.wait_for(lambda: job.text() == "begun\n")

    worker.send(signal.SIGTERM)
    service.wait_for(lambda: "draining" in worker.log)
    worker.send(signal.SIGTERM)

    assert worker.wait() == 1
    assert "tests attempt 1: given back" in worker.log
    assert "1 job was stopped and given back; the service offers it again" in worker.log
    assert processes_of(job) == []
    (tmp_path / "flag").touch()
    job.output.clear()
    assert start_worker("--once").wait() == 0
    assert (job.given_back, service.ended(job)["status"]) == (1, "succeeded")


def test_jobs_that_drain_for_too_long_are_given_back(
    service: WorkerService, start_worker: StartWorker, tmp_path: Path
) -> None:
    job = offer_lasting(service, tmp_path / "flag")
    worker = start_worker("--drain-seconds", "0.5")
    service.wait_for(lambda: job.text() == "begun\n")

    worker.send(signal.SIGTERM)

    assert worker.wait() == 1
    assert (job.given_back, processes_of(job)) == (1, [])
    assert "still runs 0.5 seconds after the signal" in worker.log


def test_a_worker_that_drains_in_time_ends_well(
    service: WorkerService, start_worker: StartWorker, tmp_path: Path
) -> None:
    job = offer_lasting(service, tmp_path / "flag")
    worker = start_worker("--drain-seconds", "300")
    service.wait_for(lambda: job.text() == "begun\n")

    worker.send(signal.SIGTERM)
    service.wait_for(lambda: "draining: 1 job runs, for at most 300 seconds more" in worker.log)
    (tmp_path / "flag").touch()

    assert worker.wait() == 0, worker.log
    assert service.ended(job)["status"] == "succeeded"


def test_one_sigterm_lets_a_worker_of_one_job_finish_it(
    service: WorkerService, start_worker: StartWorker, tmp_path: Path
) -> None:
    job = offer_lasting(service, tmp_path / "flag")
    worker = start_worker("--once")
    service.wait_for(lambda: job.text() == "begun\n")

    worker.send(signal.SIGTERM)
    service.wait_for(lambda: "draining: 1 job runs" in worker.log)
    (tmp_path / "flag").touch()

    assert worker.wait() == 0, worker.log
    assert service.ended(job)["status"] == "succeeded"


def test_a_job_whose_files_cannot_be_uploaded_is_given_back_too(
    service: WorkerService, start_worker: StartWorker
) -> None:
    service.failing_uploads = 1000
    job = service.offer("echo data > output/file")
    worker = start_worker()
    service.wait_for(lambda: service.failing_uploads < 1000)

    worker.send(signal.SIGTERM)
    service.wait_for(lambda: "draining" in worker.log)
    worker.send(signal.SIGTERM)

    assert worker.wait() == 1
    assert (job.given_back, job.completion) == (1, None)


def test_a_large_upload_ends_when_the_job_is_given_back(
    service: WorkerService, start_worker: StartWorker
) -> None:
    job = service.offer("truncate --size 64M output/large")
    service.holds_uploads = True
    worker = start_worker()
    service.wait_for(lambda: service.held_uploads)

    worker.send(signal.SIGTERM)
    service.wait_for(lambda: "draining" in worker.log)
    worker.send(signal.SIGTERM)
    service.wait_for(lambda: "stopping" in worker.log)
    service.holds_uploads = False

    assert worker.wait() == 1
    assert (job.given_back, job.uploads) == (1, {})


def test_a_worker_that_reaches_nobody_ends_without_giving_back(
    service: WorkerService, start_worker: StartWorker, tmp_path: Path
) -> None:
    service.lease_s = 600.0
    job = offer_lasting(service, tmp_path / "flag")
    worker = start_worker()
    service.wait_for(lambda: job.text() == "begun\n")
    service.is_down = True

    worker.send(signal.SIGTERM)
    service.wait_for(lambda: "draining" in worker.log)
    worker.send(signal.SIGTERM)

    assert worker.wait() == 1
    assert "1 job was stopped, but could not be given back" in worker.log
    assert (job.given_back, processes_of(job)) == (0, [])


def test_warns_of_root(service: WorkerService, start_worker: StartWorker) -> None:
    worker = start_worker()
    service.wait_for(lambda: service.polls)

    assert ("warning: this worker runs as root" in worker.log) == (os.geteuid() == 0)


def test_an_idle_worker_ends_at_once(service: WorkerService, start_worker: StartWorker) -> None:
    worker = start_worker("--idle-poll-seconds", "300")
    service.wait_for(lambda: service.polls)

    worker.send(signal.SIGINT)

    assert worker.wait() == 0, worker.log
    assert [poll["waitSeconds"] for poll in service.polls] == [0]


def test_no_process_survives_a_worker_that_is_killed(
    service: WorkerService, start_worker: StartWorker
) -> None:
    script = "setsid sleep 300 & nohup sleep 300 & trap '' TERM; echo begun; sleep 300 & wait"
    job = service.offer(script, files={"key.pem": "PRIVATE"})
    worker = start_worker()
    service.wait_for(lambda: "begun" in job.text() and len(processes_of(job)) == 4)
    below = worker.descendants()

    worker.send(signal.SIGKILL)

    service.wait_for(lambda: not any(process.is_running() for process in below))
    assert processes_of(job) == []
    service.wait_for(lambda: list(worker.folder.iterdir()) == [])


def test_a_worker_removes_the_folders_of_one_that_was_killed(
    service: WorkerService, start_worker: StartWorker
) -> None:
    service.holds_uploads = True
    service.offer("echo data > output/file", files={"key.pem": "PRIVATE"})
    killed = start_worker()
    service.wait_for(lambda: service.held_uploads)
    killed.send(signal.SIGKILL)
    killed.wait()
    assert len(list(killed.folder.rglob("key.pem"))) == 1

    worker = start_worker("--once")

    assert worker.wait() == 0, worker.log
    assert list(worker.folder.iterdir()) == []
    assert "removed the folder of 1 job, which a killed worker has left" in worker.log


def test_a_worker_leaves_the_folders_of_others_that_run(
    service: WorkerService, start_worker: StartWorker, tmp_path: Path
) -> None:
    job = service.offer(
        f"{UNTIL_FLAG}; cat here", files={"here": "1"}, env={"FLAG": str(tmp_path / "flag")}
    )
    start_worker()
    service.wait_for(lambda: job.text() == "begun\n")

    other = start_worker("--once")

    assert other.wait() == 0, other.log
    (tmp_path / "flag").touch()
    assert service.ended(job)["status"] == "succeeded"


def test_polls_again_when_the_service_is_back(
    service: WorkerService, start_worker: StartWorker
) -> None:
    service.is_down = True
    worker = start_worker("--idle-poll-seconds", "1")
    service.wait_for(lambda: service.turned_away >= 2)
    job = service.offer("echo x")

    service.is_down = False

    assert service.ended(job)["status"] == "succeeded"
    assert "trying again in" in worker.log


def test_polls_more_often_after_work_and_never_waits_in_the_service(
    service: WorkerService, start_worker: StartWorker
) -> None:
    job = service.offer("echo x")
    start_worker("--idle-poll-seconds", "300")
    service.ended(job)

    second = service.offer("echo y")

    assert service.ended(second)["status"] == "succeeded"
    assert {poll["waitSeconds"] for poll in service.polls} == {0}


def test_a_worker_without_the_right_to_the_pool_ends(
    service: WorkerService, start_worker: StartWorker
) -> None:
    service.pools = ("other",)
    worker = start_worker()

    assert worker.wait() == 1
    assert "the caller 'worker-client' may not take jobs of the pool 'linux'" in worker.log
    assert "add the pool to the client's entry in the registry" in worker.log


def test_no_secret_is_in_a_command_line_or_in_the_log(
    service: WorkerService, start_worker: StartWorker, tmp_path: Path
) -> None:
    flag = str(tmp_path / "flag")
    job = service.offer(
        UNTIL_FLAG, env={"FLAG": flag, "KEY": "hunter-22"}, secrets={"k": "hunter-22"}
    )
    worker = start_worker()
    service.wait_for(lambda: "begun" in job.text() or processes_of(job))

    words = []
    for process in worker.descendants():
        with suppress(psutil.NoSuchProcess):  # the script's pauses end meanwhile
            words += process.cmdline()

    assert "taskrunner_cli.worker.supervisor" in words
    assert "hunter" not in " ".join(words)
    (tmp_path / "flag").touch()
    service.ended(job)
    assert "hunter" not in worker.log
