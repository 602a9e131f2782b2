"""Scripts that a worker runs, and that do harm: bounded processes, memory, output, time and files.

Each job ends by its limits, nothing of it is left, and what it prints and writes has no secret.
"""

import base64
import signal
from pathlib import Path

import psutil
import pytest

from tests.worker_fixtures import RunOnce, StartWorker, in_background
from tests.worker_process import processes_of
from tests.worker_service import CLIENT_SECRET, WorkerService

SECRET = "correct-horse-battery"
# The scripts rest for 300 seconds, if nothing ends them.
LONGEST_S = 200.0


@pytest.fixture(autouse=True)
def _quick(service: WorkerService) -> None:
    service.heartbeat_s = 0.2


FORK_BOMB = """
import os, time
for _ in range(11):  # 2,048 processes, if nothing stops it
    os.fork()
time.sleep(300)
"""
ESCAPING_FORK_BOMB = """
import os, time
for _ in range(11):
    os.fork()
    os.setsid() if os.getpid() != os.getpgrp() else None
time.sleep(300)
"""


@pytest.mark.parametrize("code", [FORK_BOMB, ESCAPING_FORK_BOMB])
def test_a_fork_bomb_ends_at_the_limit_of_processes(
    service: WorkerService, run_once: RunOnce, code: str
) -> None:
    job = service.offer(command=["python3", "-c", code])

    run_once()

    completion = service.ended(job)
    assert completion["message"] == "it had more than 64 processes"
    assert completion["usage"]["wallSeconds"] < LONGEST_S
    assert processes_of(job) == []


MEMORY = "x = bytearray(300 << 20); import time; time.sleep(300)"


@pytest.mark.parametrize(
    "script",
    [
        f"python3 -c '{MEMORY}'",
        f"python3 -c '{MEMORY.replace('300 <<', '120 <<')}' & " * 3 + "wait",
    ],
)
def test_a_job_that_uses_too_much_memory_ends(
    service: WorkerService, run_once: RunOnce, script: str
) -> None:
    job = service.offer(script, memoryMiB=256)

    run_once()

    completion = service.ended(job)
    assert (completion["reason"], completion["message"]) == (
        "memory-exceeded",
        "it used more than 256 MiB of memory; raise 'with.memoryMiB'",
    )
    assert processes_of(job) == []


def test_endless_output_costs_the_worker_little_memory(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer("head -c 400000000 /dev/zero | tr '\\0' x; echo done >&2")
    before = psutil.Process().memory_info().rss

    run_once()

    completion = service.ended(job)
    assert completion["status"] == "succeeded"
    assert job.recorded_bytes == 64 << 10
    assert job.uploads["output.log"][-60:].endswith(b"[the output was cut after 67108864 bytes]\n")
    # The service's copy of the upload is in this process too, and in the test's answers.
    assert psutil.Process().memory_info().rss - before < 4 * (64 << 20)


SLOWLY = """
import sys, time
for character in sys.argv[1]:
    sys.stdout.write(character)
    sys.stdout.flush()
    time.sleep(0.01)
"""


@pytest.mark.parametrize(
    "script",
    [
        'echo "$KEY"',
        'echo "$KEY" >&2',
        f"python3 -c '{SLOWLY}' \"$KEY\"",
        'printf %s "$KEY" | head -c 9; sleep 0.7; printf %s "$KEY" | tail -c +10',
        'printf %s "$KEY" | base64',
        'printf %s "$KEY" | base64 | fold -w 7',
        'seq 1 9000; echo "$KEY"; seq 1 9000; echo "$KEY"',
        'echo "{\\"$KEY\\": \\"$KEY\\"}" > "$TASKRUNNER_OUTPUTS"',
    ],
)
def test_no_secret_leaves_in_output_or_outputs(
    service: WorkerService, run_once: RunOnce, script: str
) -> None:
    job = service.offer(script, env={"KEY": SECRET}, secrets={"key": SECRET})

    run_once()

    completion = service.ended(job)
    assert completion["status"] == "succeeded"
    sent = f"{job.output}{completion}{job.uploads}"
    assert "***" in sent
    encoded = base64.b64encode(SECRET.encode()).decode()
    assert not any(part in sent for part in (SECRET, SECRET[:12], SECRET[-12:], encoded[:7]))


@pytest.mark.parametrize(
    "script",
    [
        'echo "$KEY" > "$TASKRUNNER_OUTPUTS"',
        'ln -s x "output/$KEY"; exit 1',
        "ln -s x \"output/$(printf 'a\\377\\nb')$KEY\"",
        'printf \'{"a": %s1e999}\' "$NUMBER" > "$TASKRUNNER_OUTPUTS"',
    ],
)
def test_no_secret_leaves_in_a_message(
    service: WorkerService, run_once: RunOnce, script: str
) -> None:
    number = "1234567890" * 5
    secrets = {"key": SECRET, "number": number}
    job = service.offer(script, env={"KEY": SECRET, "NUMBER": number}, secrets=secrets)

    lines = run_once()

    sent = f"{job.output}{service.ended(job)}{lines}"
    assert SECRET[:12] not in sent
    assert number[:12] not in sent


def test_no_secret_leaves_in_the_error_of_a_start(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer(command=[SECRET], secrets={"key": SECRET})

    run_once()

    message = service.ended(job)["message"]
    assert message == "the command cannot be started: ***: No such file or directory"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('echo "$KEY" > output/a', "'output/a' contains the secret 'key'"),
        ('printf %s "$KEY" | base64 > output/a', "'output/a' contains the secret 'key'"),
        ('(head -c 2000000 /dev/zero; echo "$KEY") > output/a', "contains the secret 'key'"),
        ('touch "output/$KEY"', "a name with a secret"),
        ('mkdir "output/$KEY"; touch "output/$KEY/x"', "a name with a secret"),
        ("touch \"output/$(printf 'a\\nb')\"", "a control character"),
        ("seq -f output/%g 1 51 | xargs touch", "more than 50 files"),
    ],
)
def test_files_with_secrets_or_wild_names_are_not_uploaded(
    service: WorkerService, run_once: RunOnce, script: str, message: str
) -> None:
    job = service.offer(script, env={"KEY": SECRET}, secrets={"key": SECRET})

    run_once()

    completion = service.ended(job)
    assert completion["status"] == "failed"
    assert message in completion["message"]
    assert (job.uploads, SECRET in str(completion)) == ({}, False)


@pytest.mark.parametrize(
    "link",
    [
        'ln -s "$OUTSIDE" output/a',
        'ln -s "$(dirname "$OUTSIDE")" output/folder',
        'rmdir output; ln -s "$(dirname "$OUTSIDE")" output',
        "mkfifo output/a",
    ],
)
def test_links_and_pipes_in_output_are_named_and_not_followed(
    service: WorkerService, run_once: RunOnce, tmp_path: Path, link: str
) -> None:
    outside = tmp_path / "outside" / "private"
    outside.parent.mkdir()
    outside.write_text("private")
    job = service.offer(f"{link}\n", env={"OUTSIDE": str(outside)})

    run_once()

    assert service.ended(job)["status"] == "succeeded"
    assert job.uploads == {}
    assert "is not a regular file, so it is not uploaded" in job.text("stderr")
    assert outside.read_text() == "private"  # also after the job's folder was removed


LEAVING = {
    "nohup": "nohup sleep 300 >/dev/null 2>&1 &",
    "setsid": "setsid sleep 300 &",
    "double fork": "(setsid sh -c 'sleep 300 & sleep 300 &' &)",
    "deaf": "(trap '' TERM HUP; setsid sleep 300 &) &",
    "chain": "setsid sh -c 'setsid sh -c \"setsid sleep 300\" &' &",
    "holds the streams": "setsid sleep 300 & exec sleep 0.3",
}


@pytest.mark.parametrize("script", LEAVING.values(), ids=LEAVING)
def test_no_process_is_left_after_the_script(
    service: WorkerService, run_once: RunOnce, script: str
) -> None:
    job = service.offer(script)

    run_once()

    completion = service.ended(job)
    assert completion["status"] == "succeeded"
    assert completion["usage"]["wallSeconds"] < LONGEST_S
    assert processes_of(job) == []


SUICIDAL = {
    "closes its streams": ("exec >&- 2>&-; sleep 0.3; exit 7", "exit status 7"),
    "kills its group": ("kill -9 0", "ended by SIGKILL"),
    "deletes its folder": ('rm -rf "$HOME" 2>/dev/null; exit 8', "exit status 8"),
    "locks its folder": ('mkdir a a/b; chmod 0 a output "$HOME"; exit 9', "exit status 9"),
    "writes a huge file": ("exec head -c 3000000 /dev/zero > big", "ended by SIGXFSZ"),
    "makes a sparse file": ("truncate -s 1T big", "exit status"),
}


@pytest.mark.parametrize(("script", "message"), SUICIDAL.values(), ids=SUICIDAL)
def test_a_script_that_harms_itself_fails(
    service: WorkerService, run_once: RunOnce, script: str, message: str
) -> None:
    job = service.offer(script)

    run_once(max_file_mib=2)

    completion = service.ended(job)
    assert completion["status"] == "failed"
    assert completion["message"].startswith(message)


def test_a_script_without_streams_runs_to_its_time_limit(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer("trap '' TERM; exec >&- 2>&-; sleep 300 & wait; sleep 300", timeout_s=1)

    run_once()

    assert service.ended(job)["reason"] == "timeout"
    assert processes_of(job) == []


def test_a_script_that_kills_its_supervisor_fails_and_leaves_nothing(
    service: WorkerService, start_worker: StartWorker
) -> None:
    job = service.offer("setsid sleep 300 & sleep 300 & kill -9 $PPID; sleep 300")
    later = service.offer("echo ok")
    worker = start_worker("--concurrency", "2")

    assert service.ended(job)["message"] == "the supervisor of the job was killed"
    service.wait_for(lambda: processes_of(job) == [])
    assert service.ended(later)["status"] == "succeeded"
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0, worker.log


def test_a_script_that_stops_its_supervisor_is_ended_by_its_time_limit(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer("kill -STOP $PPID; sleep 300", timeout_s=1)

    run_once()

    completion = service.ended(job)
    assert completion["reason"] == "timeout"
    assert completion["usage"]["wallSeconds"] < LONGEST_S
    assert processes_of(job) == []


def test_a_job_sees_nothing_of_the_worker(
    service: WorkerService, start_worker: StartWorker
) -> None:
    script = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' > output/words; env > output/variables"
    job = service.offer(script, env={"KEY": SECRET})
    worker = start_worker("--once", AWS_SECRET_ACCESS_KEY="aws-s3cret")

    assert worker.wait() == 0, worker.log
    words, variables = job.uploads["words"].decode(), job.uploads["variables"].decode()
    assert "taskrunner_cli.worker.supervisor" in words
    for hidden in (CLIENT_SECRET, "aws-s3cret", job.secret):
        assert hidden not in words + variables + worker.log
    assert SECRET not in words + worker.log


def test_a_job_cannot_read_the_environment_of_its_worker(
    service: WorkerService, start_worker: StartWorker
) -> None:
    script = "cat /proc/[0-9]*/environ 2>&1 | tr '\\0' '\\n' > output/all || true"
    job = service.offer(script, env={"KEY": SECRET})

    assert start_worker("--once").wait() == 0
    read = job.uploads["all"].decode(errors="replace")
    assert f"KEY={SECRET}" in read
    assert "Permission denied" in read
    assert service.environ["TASKRUNNER_CLIENT_SECRET"] not in read


def test_a_deaf_job_is_killed_after_the_grace(service: WorkerService, run_once: RunOnce) -> None:
    script = "trap '' TERM INT HUP; (trap '' TERM; setsid sleep 300) & echo begun; sleep 300"
    job = service.offer(f"{script}; sleep 300")

    with in_background(run_once):
        service.wait_for(lambda: job.text() == "begun\n")
        service.stop(job, "run-failed")
        completion = service.ended(job)

    assert completion["message"] == "stopped, because another step has failed"
    assert processes_of(job) == []
