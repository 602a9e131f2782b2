"""Composes the command line and the environment of a job."""

import re
from dataclasses import dataclass, field
from typing import Final

from taskrunner_cli.api.worker_documents import Lease
from taskrunner_cli.worker.job import Job, JobError
from taskrunner_cli.worker.job_folder import JobFolder
from taskrunner_cli.worker.settings import Settings

_SHEBANG: Final = re.compile(r"#!\s*(\S+)(?:[ \t]+(\S+))?")
_SHELLS: Final = {"sh": "/bin/sh", "dash": "/bin/sh", "bash": "bash"}
_STOPS_AT_ERRORS: Final = "-eu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to start, with all of its variables.

    Args:
        words: the program and its arguments.
        environment: its variables.
        inspection: a command that says why it failed, before the cleanup; empty for none.
        cleanup: a command that removes what it leaves behind; empty for none.

    """

    words: list[str]
    environment: dict[str, str] = field(repr=False)
    inspection: list[str] = field(default_factory=list)
    cleanup: list[str] = field(default_factory=list)


def plain_command(job: Job, lease: Lease, folder: JobFolder, settings: Settings) -> Command:
    """Return the command of a job without an image."""
    return Command(
        words=program(job, folder),
        environment={
            "PATH": settings.path,
            "HOME": str(folder.work),
            **job.env,
            **run_variables(lease, folder),
        },
    )


def program(job: Job, folder: JobFolder) -> list[str]:
    """Return the program of *job* and its arguments.

    Raises:
        JobError: its script is for another program than a shell.

    """
    if job.command:
        return list(job.command)
    return [_shell(job.script), _STOPS_AT_ERRORS, str(folder.script)]


def run_variables(lease: Lease, folder: JobFolder) -> dict[str, str]:
    """Return the variables that describe the job's place in its run."""
    return {
        "TASKRUNNER_RUN_ID": lease["run"]["id"],
        "TASKRUNNER_STEP": lease["stepId"],
        "TASKRUNNER_ATTEMPT": str(lease["attempt"]),
        "TASKRUNNER_IDEMPOTENCY_KEY": lease["idempotencyKey"],
        "TASKRUNNER_OUTPUTS": str(folder.outputs),
        "TASKRUNNER_TENANT": lease["run"]["tenant"],
    }


def _shell(script: str) -> str:
    """Return the shell of *script*: that of its first line, or else `/bin/sh`."""
    shebang = _SHEBANG.match(script)
    if shebang is None:
        return "/bin/sh"
    words = [word.rpartition("/")[2] for word in shebang.groups() if word]
    name = words[1] if words[0] == "env" and len(words) > 1 else words[0]
    if name not in _SHELLS:
        raise JobError(f"'with.script' is for sh or bash, not for {name!r}; use 'with.command'")
    return _SHELLS[name]
