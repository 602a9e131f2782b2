"""One job, from its lease to its completion."""

import json

import pytest

from tests.worker_fixtures import RunOnce
from tests.worker_service import WorkerService


def test_runs_a_script_and_reports_its_output_and_outputs(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer(
        'echo hello\necho oops >&2\necho \'{"version": "1.2"}\' > "$TASKRUNNER_OUTPUTS"\n'
    )

    run_once()

    completion = service.ended(job)
    assert completion["status"] == "succeeded"
    assert completion["outputs"] == {"version": "1.2"}
    assert (job.text(), job.text("stderr")) == ("hello\n", "oops\n")
    assert completion["usage"]["wallSeconds"] > 0
    assert job.workers == ["build-7"]


def test_runs_a_command_without_a_shell(service: WorkerService, run_once: RunOnce) -> None:
    job = service.offer(command=["printf", "%s|", "a b", "$HOME"])

    run_once()

    assert service.ended(job)["status"] == "succeeded"
    assert job.text() == "a b|$HOME|"


def test_a_script_ends_at_its_first_error_and_at_an_unset_variable(
    service: WorkerService, run_once: RunOnce
) -> None:
    jobs = [service.offer("false\necho on"), service.offer('echo "$NOTHING"\necho on')]

    for _ in jobs:
        run_once()

    assert [service.ended(job)["status"] for job in jobs] == ["failed", "failed"]
    assert [job.text() for job in jobs] == ["", ""]


def test_a_shebang_of_bash_chooses_bash(service: WorkerService, run_once: RunOnce) -> None:
    job = service.offer('#!/usr/bin/env bash\nwords=(a b)\necho "${words[1]} $BASH_VERSION"')

    run_once()

    assert service.ended(job)["status"] == "succeeded"
    assert job.text().startswith("b ")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"script": "exit 3"}, "exit status 3"),
        ({"script": "kill -9 $$"}, "ended by SIGKILL"),
        ({"command": ["no-such-program"]}, "no-such-program: No such file or directory"),
        ({"script": "#!/usr/bin/python3\nx"}, "not for 'python3'; use 'with.command'"),
        ({"script": "x", "command": ["x"]}, "either 'with.script' or 'with.command'"),
        ({"script": "x", "gpus": 1}, "does not know 'with.gpus'"),
        ({"script": "x", "memoryMiB": 513}, "asks for 513 MiB, but this worker has 512 MiB"),
        ({"script": "x", "image": "alpine"}, "runs no containers"),
        ({"script": "x", "env": {"TASKRUNNER_RUN_ID": "x"}}, "'TASKRUNNER_RUN_ID'"),
        ({"script": "x", "env": {"A=B": "x"}}, "'A=B'"),
        ({"script": "x", "files": {"../x": ""}}, "'../x'"),
        ({"script": "x", "files": {"/x": ""}}, "'/x'"),
        ({"script": "x", "files": {".taskrunner/script": ""}}, "'.taskrunner/script'"),
        ({"script": "x", "files": {"a": "", "a/b": ""}}, "'a/b'"),
        ({"script": "echo 3 > $TASKRUNNER_OUTPUTS"}, "is JSON, but not an object"),
        ({"script": "echo '{' > $TASKRUNNER_OUTPUTS"}, "is not JSON"),
        (
            {"script": "echo '\"\\ud800\"' | sed 's/.*/{\"a\": &}/' > $TASKRUNNER_OUTPUTS"},
            "Unicode",
        ),
        ({"command": ["echo", "\ud800"]}, "cannot be started: echo: "),
        ({"script": "x", "files": {"a": "\ud800"}}, "'a' of 'with.files' cannot be written"),
        ({"script": "echo \ud800"}, "the worker cannot run the job: UnicodeEncodeError"),
        ({"script": "rm $TASKRUNNER_OUTPUTS; mkfifo $TASKRUNNER_OUTPUTS"}, "not a regular file"),
        ({"script": "ln -sf /etc/passwd $TASKRUNNER_OUTPUTS"}, "cannot be read"),
        ({"script": "yes | head -c 300000 > $TASKRUNNER_OUTPUTS"}, "more than 262144 bytes"),
        ({"script": "echo x; exit 3", "secrets": {"key": "short"}}, "the secret 'key'"),
    ],
)
def test_a_job_fails_with_a_message_for_its_author(
    service: WorkerService, run_once: RunOnce, members: dict[str, object], message: str
) -> None:
    job = service.offer(**members)  # type: ignore[arg-type] # a job's members

    run_once()

    completion = service.ended(job)
    assert (completion["status"], completion["reason"]) == ("failed", "executor-error")
    assert message in completion["message"]


def test_a_script_gets_the_variables_of_its_run_and_nothing_else_of_the_worker(
    service: WorkerService, run_once: RunOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-s3cret")
    job = service.offer("pwd; env", env={"COLOR": "red\nblue"})

    run_once()

    folder, _, listing = job.text().partition("\n")
    variables = dict(line.split("=", 1) for line in listing.splitlines() if "=" in line)
    for name in ("_", "PWD", "OLDPWD", "SHLVL"):  # set by shells
        variables.pop(name, None)
    assert variables == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": folder,
        "COLOR": "red",
        "TASKRUNNER_RUN_ID": "run-1",
        "TASKRUNNER_STEP": "outer[1]::tests",
        "TASKRUNNER_ATTEMPT": "1",
        "TASKRUNNER_IDEMPOTENCY_KEY": job.key,
        "TASKRUNNER_OUTPUTS": f"{folder}/.taskrunner/outputs",
        "TASKRUNNER_TENANT": "acme",
    }
    assert "blue\n" in listing


def test_the_folder_is_fresh_and_for_its_user_only(
    service: WorkerService, run_once: RunOnce
) -> None:
    script = "stat -c %a . .. config.json artifacts/bundle.bin; cat config.json sub/x; ls"
    job = service.offer(
        script, files={"config.json": "{}\n", "sub/x": "ä\n"}, artifacts={"bundle": b"\0" * 9}
    )

    run_once()

    assert service.ended(job)["status"] == "succeeded"
    assert job.text().split() == (
        ["700", "700", "600", "600", "{}", "ä", "artifacts", "config.json", "output", "sub"]
    )


def test_an_artifact_that_is_not_the_captured_one_fails_the_job(
    service: WorkerService, run_once: RunOnce
) -> None:
    jobs = [service.offer("true", artifacts={"bundle": b"good"}) for _ in range(2)]
    for path, content in zip(list(service.files), (b"evil", b"good and longer"), strict=True):
        service.files[path] = content

    run_once()
    run_once()

    messages = [service.ended(job)["message"] for job in jobs]
    assert "it is not what the run captured: its SHA-256 is" in messages[0]
    assert "it has more than 4 bytes" in messages[1]


def test_uploads_the_files_of_output_also_of_a_failed_job(
    service: WorkerService, run_once: RunOnce
) -> None:
    script = "mkdir output/reports; echo '<x/>' > output/reports/a.xml; : > output/empty; exit 1"
    job = service.offer(script)
    service.failing_uploads = 1

    run_once()

    completion = service.ended(job)
    assert completion["message"] == "exit status 1"
    files = {file["path"]: file["mediaType"] for file in completion["artifacts"]}
    assert files == {"empty": "application/octet-stream", "reports/a.xml": "text/xml"}
    assert job.uploads == {"reports/a.xml": b"<x/>\n", "empty": b""}


def test_a_completion_that_is_refused_becomes_a_failure(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer('echo \'{"a": 1}\' > "$TASKRUNNER_OUTPUTS"')
    service.refused_completions = 1

    run_once()

    completion = service.ended(job)
    assert completion["status"] == "failed"
    assert completion["message"] == "the service refused the results: the outputs are too large"


def test_a_completion_is_repeated_until_it_is_answered(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer("echo x")
    service.unanswered_completions = 2

    lines = run_once()

    assert job.completions > 1
    assert lines[-1].endswith("attempt 1: succeeded")


def test_measures_time_and_memory_of_all_processes(
    service: WorkerService, run_once: RunOnce
) -> None:
    code = "x = bytearray(60 << 20); sum(range(10**6)); import time; time.sleep(0.5)"
    job = service.offer(command=["sh", "-c", f"python3 -c {json.dumps(code)} & wait"])

    run_once()

    usage = service.ended(job)["usage"]
    assert 60 <= usage["memoryMiB"] < 200
    assert 0.5 <= usage["wallSeconds"] < 30
    assert 0 < usage["cpuSeconds"] < 10
