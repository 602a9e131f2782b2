"""Jobs with an image: the command line of the tool, which a script in its place records."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner_cli.worker.containers import remove_left_container
from taskrunner_cli.worker.settings import Settings
from tests.worker_fixtures import RunOnce, in_background
from tests.worker_service import WorkerService

TOOL = """#!{python}
import json, os, pathlib, signal, subprocess, sys
words = sys.argv[1:]
with open({record!r}, "a") as file:
    variables = ""
    if "--env-file" in words:
        variables = pathlib.Path(words[words.index("--env-file") + 1]).read_text()
    print(json.dumps([words, variables, dict(os.environ)]), file=file)
if words[0] == "inspect":
    sys.exit({inspected})
if words[0] == "run":
    place = words.index("--entrypoint")
    entry, image, *rest = words[place + 1 :]
    listed = dict(line.split("=", 1) for line in variables.splitlines())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(subprocess.call([entry, *rest], env={{"PATH": os.environ["PATH"], **listed}}))
"""


class Tool:
    """A script in the place of docker, which runs the command on this machine."""

    def __init__(self, folder: Path, python: str) -> None:
        self._record = folder / "record"
        self._python = python
        self.path = folder / "docker"
        self.says_nothing()

    def says(self, inspected: str) -> None:
        """Answer inspections with *inspected*."""
        self._write(f"print({inspected!r})")

    def says_nothing(self) -> None:
        """Fail inspections, as if there were no such container."""
        self._write("1")

    def _write(self, inspected: str) -> None:
        record = str(self._record)
        text = TOOL.format(python=self._python, record=record, inspected=inspected)
        self.path.write_text(text)
        self.path.chmod(0o700)

    def calls(self) -> list[tuple[list[str], str, dict[str, str]]]:
        return [tuple(json.loads(line)) for line in self._record.read_text().splitlines()]


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return Tool(tmp_path, "/usr/bin/env python3")


def test_runs_a_script_in_a_container_with_the_folder_at_the_same_path(
    service: WorkerService, run_once: RunOnce, tool: Tool
) -> None:
    script = 'echo "$PASSWORD"; echo \'{"a": 1}\' > "$TASKRUNNER_OUTPUTS"; echo x > output/x'
    job = service.offer(
        script,
        image="registry.example/tools:1.2",
        env={"PASSWORD": "correct horse"},
        secrets={"password": "correct horse"},
        cpus=1.5,
        memoryMiB=64,
    )

    run_once(container_tool=str(tool.path), container_network="none", tool_environment=PATHS)

    completion = service.ended(job)
    assert completion["outputs"] == {"a": 1}
    assert (job.text(), job.uploads) == ("***\n", {"x": b"x\n"})
    (words, variables, environ), (cleanup, _, _) = tool.calls()
    folder = words[words.index("--workdir") + 1]
    assert words == [
        *("run", "--name", cleanup[-1]),
        *("--memory", "64m", "--memory-swap", "64m"),
        *("--pids-limit", "64"),
        *("--cpus", "1.5"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--user", f"{os.getuid()}:{os.getgid()}"),
        *("--network", "none"),
        *("--volume", f"{folder}:{folder}", "--workdir", folder),
        *("--env-file", f"{Path(folder).parent}/env"),
        *("--entrypoint", "/bin/sh", "registry.example/tools:1.2"),
        *("-eu", f"{folder}/.taskrunner/script"),
    ]
    assert cleanup == ["rm", "--force", "--volumes", cleanup[-1]]
    assert "PASSWORD=correct horse\n" in variables
    assert f"HOME={folder}\n" in variables
    assert "PASSWORD" not in environ
    assert "correct horse" not in json.dumps(words)


def test_runs_a_command_in_place_of_the_images_entrypoint(
    service: WorkerService, run_once: RunOnce, tool: Tool
) -> None:
    job = service.offer(command=["echo", "-n", "a b"], image="alpine")

    run_once(container_tool=str(tool.path), tool_environment=PATHS)

    assert service.ended(job)["status"] == "succeeded"
    assert job.text() == "a b"
    assert tool.calls()[0][0][-5:] == ["--entrypoint", "echo", "alpine", "-n", "a b"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"image": "--privileged"}, "not the name of an image"),
        ({"image": "alpine", "env": {"KEY": "a\nb"}}, "'KEY' has several lines"),
    ],
)
def test_rejects_what_the_tool_would_misread(
    service: WorkerService,
    run_once: RunOnce,
    tool: Tool,
    members: dict[str, object],
    message: str,
) -> None:
    job = service.offer("true", **members)  # type: ignore[arg-type] # a job's members

    run_once(container_tool=str(tool.path))

    assert message in service.ended(job)["message"]


def test_the_container_of_a_stopped_job_is_removed(
    service: WorkerService, run_once: RunOnce, tool: Tool
) -> None:
    service.heartbeat_s = 0.1
    job = service.offer("echo begun; sleep 300", image="alpine")

    with in_background(run_once, container_tool=str(tool.path), tool_environment=PATHS):
        service.wait_for(lambda: job.text() == "begun\n")
        service.stop(job, "cancelled")
        service.ended(job)

    (words, _, _), (cleanup, _, _) = tool.calls()
    assert cleanup == ["rm", "--force", "--volumes", words[words.index("--name") + 1]]


@pytest.mark.parametrize(
    ("memory", "more"),
    [
        ({}, "256 MiB of memory; raise the worker's --memory-mib"),
        ({"memoryMiB": 64}, "64 MiB of memory; raise 'with.memoryMiB'"),
        (
            {"memoryMiB": 256},
            "256 MiB of memory; raise 'with.memoryMiB' and the worker's --memory-mib",
        ),
    ],
)
def test_a_container_that_was_killed_for_its_memory_has_exceeded_it(
    service: WorkerService,
    run_once: RunOnce,
    tool: Tool,
    memory: dict[str, object],
    more: str,
) -> None:
    tool.says("true")
    job = service.offer("kill -KILL $$", image="alpine", **memory)  # type: ignore[arg-type]

    run_once(container_tool=str(tool.path), tool_environment=PATHS, memory_mib=256)

    completion = service.ended(job)
    assert completion["reason"] == "memory-exceeded"
    assert completion["message"] == f"it used more than {more}"
    (words, _, _), (inspection, _, _), (cleanup, _, _) = tool.calls()
    name = words[words.index("--name") + 1]
    assert inspection == ["inspect", "--format", "{{.State.OOMKilled}}", name]
    assert cleanup[0] == "rm"


def test_a_command_of_the_container_may_be_killed_for_its_memory_alone(
    service: WorkerService, run_once: RunOnce, tool: Tool
) -> None:
    tool.says("true")
    job = service.offer("echo Killed >&2; exit 2", image="alpine")

    run_once(container_tool=str(tool.path), tool_environment=PATHS)

    assert service.ended(job)["reason"] == "memory-exceeded"


def test_the_container_of_a_job_whose_supervisor_was_killed_is_removed(
    tool: Tool, settings: Settings
) -> None:
    remove_left_container(
        "job-7", replace(settings, container_tool=str(tool.path), tool_environment=PATHS)
    )
    remove_left_container("job-8", settings)

    assert [words for words, _, _ in tool.calls()] == [
        ["rm", "--force", "--volumes", "taskrunner-job-7"]
    ]


@pytest.mark.parametrize(
    ("inspected", "why"),
    [
        ("", "most likely the container used more than its 64 MiB of memory; raise 'with."),
        ("false", "not for the container's limit of 64 MiB of memory; the machine may have"),
    ],
)
def test_a_killed_container_says_what_most_likely_has_killed_it(
    service: WorkerService, run_once: RunOnce, tool: Tool, inspected: str, why: str
) -> None:
    if inspected:
        tool.says(inspected)
    job = service.offer("exit 137", image="alpine", memoryMiB=64)

    run_once(container_tool=str(tool.path), tool_environment=PATHS)

    completion = service.ended(job)
    assert completion["reason"] == "executor-error"
    assert completion["message"].startswith(f"exit status 137 (SIGKILL): {why}")


def test_a_container_that_succeeded_is_not_inspected(
    service: WorkerService, run_once: RunOnce, tool: Tool
) -> None:
    tool.says("true")
    job = service.offer("true", image="alpine")

    run_once(container_tool=str(tool.path), tool_environment=PATHS)

    assert service.ended(job)["status"] == "succeeded"
    assert [words[0] for words, _, _ in tool.calls()] == ["run", "rm"]


def test_a_job_without_an_image_that_was_killed_has_no_limit_of_a_container(
    service: WorkerService, run_once: RunOnce
) -> None:
    job = service.offer("exit 137")

    run_once()

    assert service.ended(job)["message"] == "exit status 137 (SIGKILL)"


PATHS = {"PATH": os.environ["PATH"]}
