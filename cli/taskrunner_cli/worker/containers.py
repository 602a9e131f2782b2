"""Composes the command line of a job that runs in a container.

The variables go into a file, not into arguments, which every user of the machine can read, and not
into the environment of the tool, which a pack must not configure.

The tool does not remove the container by itself (`--rm`), because only an ended container that is
still there can say whether it was killed for its memory. The cleanup removes it.
"""

import os
import subprocess
from contextlib import suppress
from typing import Final

from taskrunner_cli.api.worker_documents import Lease
from taskrunner_cli.worker.command import Command, program, run_variables
from taskrunner_cli.worker.job import Job, JobError
from taskrunner_cli.worker.job_folder import JobFolder, write_new
from taskrunner_cli.worker.settings import Settings

_REMOVAL_TIMEOUT_S: Final = 30.0
_KILLED_FOR_MEMORY: Final = "{{.State.OOMKilled}}"
TOOL_VARIABLES: Final = (
    "PATH",
    "HOME",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "CONTAINER_HOST",
    "XDG_RUNTIME_DIR",
)
"""The worker's variables that the tool gets; the container gets none of them."""


def container_command(job: Job, lease: Lease, folder: JobFolder, settings: Settings) -> Command:
    """Return the command of a job with an image, and write the file of its variables.

    Raises:
        JobError: the worker runs no containers, or a variable cannot be handed over.

    """
    if not settings.container_tool:
        raise JobError("this worker runs no containers; its option --container allows them")
    home = {"HOME": str(folder.work)}
    variables = {**home, **job.env, **run_variables(lease, folder)}
    write_new(folder.variables, _variable_lines(variables))
    name = _name(folder.root.name)
    entry, *arguments = program(job, folder)
    words = [settings.container_tool, "run", "--name", name]
    words += _limits(job, settings) + _place(folder, settings)
    words += ["--env-file", str(folder.variables), "--entrypoint", entry, job.image, *arguments]
    return Command(
        words=words,
        environment=dict(settings.tool_environment),
        inspection=[settings.container_tool, "inspect", "--format", _KILLED_FOR_MEMORY, name],
        cleanup=_removal(name, settings),
    )


def is_killed_for_memory(inspected: str) -> bool | None:
    """Return whether the output of a container's inspection says so; None if it says nothing."""
    return {"true": True, "false": False}.get(inspected.strip())


def remove_left_container(folder_name: str, settings: Settings) -> None:
    """Remove the container of the job whose folder has that name, if its supervisor was killed."""
    if settings.container_tool:
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(  # noqa: S603 -- the worker's tool
                _removal(_name(folder_name), settings),
                env=dict(settings.tool_environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_REMOVAL_TIMEOUT_S,
                check=False,
            )


def _name(folder_name: str) -> str:
    return f"taskrunner-{folder_name}"


def _removal(name: str, settings: Settings) -> list[str]:
    """Return the command that removes a container, also one that runs, with its own volumes."""
    return [settings.container_tool, "rm", "--force", "--volumes", name]


def _limits(job: Job, settings: Settings) -> list[str]:
    memory = f"{job.memory_mib or settings.memory_mib}m"
    cpus = ["--cpus", f"{job.cpus:g}"] if job.cpus else []
    return [
        *("--memory", memory),
        *("--memory-swap", memory),  # the same, so that no swap is added
        *("--pids-limit", str(settings.max_processes)),
        *cpus,
        *("--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges"),
    ]


def _place(folder: JobFolder, settings: Settings) -> list[str]:
    """Return the user, the network and the working folder, which has the same path inside."""
    user = f"{os.getuid()}:{os.getgid()}"
    keeps_id = settings.container_tool == "podman" and os.getuid() != 0
    return [
        *("--user", user),
        *(("--userns", "keep-id") if keeps_id else ()),
        *("--network", settings.container_network),
        *("--volume", f"{folder.work}:{folder.work}"),
        *("--workdir", str(folder.work)),
    ]


def _variable_lines(variables: dict[str, str]) -> str:
    for name, value in variables.items():
        if "\n" in value or "\r" in value:
            raise JobError(
                f"the variable {name!r} has several lines, which a container cannot get;"
                " hand the value over in 'with.files'"
            )
    return "".join(f"{name}={value}\n" for name, value in variables.items())
