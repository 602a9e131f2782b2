"""`worker run`: takes jobs of a pool, and runs them on this machine."""

import math
import os
import platform
import re
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.errors import UsageError
from taskrunner_cli.session import Session

app: Final = typer.Typer(
    help="A process that runs the jobs of packs on this machine.", no_args_is_help=True
)

_POOL: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_LIMITS_PANEL: Final = "Limits of a job"


class ContainerTool(StrEnum):
    """The programs that can run a job's image."""

    DOCKER = "docker"
    PODMAN = "podman"


PoolOption = Annotated[str, typer.Option(metavar="POOL", help="The pool to take jobs from.")]
NameOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="The worker's name (default: the machine's).")
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="What this worker offers to jobs; repeatable."),
]
ConcurrencyOption = Annotated[
    int, typer.Option(min=1, max=64, metavar="N", help="Run at most N jobs at a time.")
]
OnceOption = Annotated[bool, typer.Option(help="Poll once, run the job if there is one, and exit.")]
FolderOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The folder for the jobs' folders (default: temporary)."),
]
IdleOption = Annotated[
    float,
    typer.Option(min=1, metavar="SECONDS", help="The time between polls while there is no work."),
]
DrainOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="Give jobs back that run so long after SIGTERM (default: never).",
    ),
]
MemoryOption = Annotated[
    int,
    typer.Option(
        min=16,
        metavar="MIB",
        help="Memory of a job that asks for none, and the most one may ask for.",
        rich_help_panel=_LIMITS_PANEL,
    ),
]
ProcessesOption = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="At most N processes.", rich_help_panel=_LIMITS_PANEL),
]
FileOption = Annotated[
    int,
    typer.Option(min=1, metavar="MIB", help="The most in one file.", rich_help_panel=_LIMITS_PANEL),
]
ContainerOption = Annotated[
    ContainerTool | None,
    typer.Option(help="Run jobs that have an image with this program."),
]
NetworkOption = Annotated[
    str, typer.Option(metavar="NETWORK", help="The network of containers, such as none.")
]


@app.callback()
def _group() -> None:
    """Keep `run` a word of its own: Typer would join a group with its only command."""


@app.command("run")
@in_session
def run(  # noqa: PLR0913 -- one parameter per option
    session: Session,
    *,
    pool: PoolOption,
    concurrency: ConcurrencyOption = 1,
    label: LabelOption = None,
    once: OnceOption = False,
    name: NameOption = None,
    work_folder: FolderOption = None,
    idle_poll_seconds: IdleOption = 15.0,
    drain_seconds: DrainOption = None,
    memory_mib: MemoryOption = 2048,
    max_processes: ProcessesOption = 512,
    max_file_mib: FileOption = 4096,
    container: ContainerOption = None,
    container_network: NetworkOption = "bridge",
) -> None:
    """Take jobs of a pool and run them, until SIGTERM; a second one gives the jobs back."""
    if sys.platform != "linux":
        raise UsageError("a worker needs Linux", cure="run it in a container or a virtual machine")
    # The modules of a worker, and the redactor of the service, are for this command only.
    from taskrunner_cli.worker.containers import TOOL_VARIABLES  # noqa: PLC0415
    from taskrunner_cli.worker.job_folder import make_work_folder  # noqa: PLC0415
    from taskrunner_cli.worker.run import run_worker  # noqa: PLC0415
    from taskrunner_cli.worker.settings import Settings  # noqa: PLC0415

    environ = session.world.environ
    settings = Settings(
        pool=_checked(_POOL, pool, "a pool"),
        name=_checked(_NAME, name or _machine_name(), "a worker"),
        labels=_labels(label or []),
        concurrency=concurrency,
        memory_mib=memory_mib,
        max_processes=max_processes,
        max_file_mib=max_file_mib,
        work_folder=make_work_folder(work_folder or _temporary_folder()),
        container_tool=container.value if container else "",
        container_network=container_network,
        idle_poll_s=idle_poll_seconds,
        drain_s=math.inf if drain_seconds is None else drain_seconds,
        path=environ.get("PATH", _DEFAULT_PATH),
        tool_environment={key: environ[key] for key in TOOL_VARIABLES if key in environ},
    )
    run_worker(session, settings, is_once=once)


def _checked(pattern: "re.Pattern[str]", text: str, kind: str) -> str:
    if not pattern.fullmatch(text):
        raise UsageError(f"{text!r} cannot be the name of {kind}", cure=f"it is {pattern.pattern}")
    return text


def _temporary_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"taskrunner-worker-{os.getuid()}"


def _machine_name() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:64] or "worker"


def _labels(words: list[str]) -> dict[str, str]:
    labels = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise UsageError(f"--label {word!r} is not KEY=VALUE")
        labels[key] = value
    return labels
