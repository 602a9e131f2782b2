"""Starts, finds and ends the emulator: one MiniStack process, known by its id and time of birth.

A process id alone may belong to somebody else after a reboot, so a record holds both, and only a
process that matches both is ever asked anything or ended.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.workspace import Workspace

HOST = "127.0.0.1"
DEFAULT_PORT = 4566
REGION = "us-east-1"
# MiniStack's root caller: known to everyone, worth nothing beyond this process on this machine.
ACCESS_KEY_ID = "test"
SECRET_ACCESS_KEY = "test"  # noqa: S105 -- see above

# The emulator answers every AWS call of every function in one Python process, so more functions at
# once would only wait for it. What is refused for that is tried again, as on AWS.
FUNCTION_CONCURRENCY = 4
ACCOUNT_CONCURRENCY = 60  # more than all functions of the template reserve together
_IDLE_FUNCTION_S = 60  # then all processes of a function end but one

_MAIN = Path(__file__).with_name("emulator_process.py")
_START_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 15.0
_POLL_INTERVAL_S = 0.05
_BIRTH_TOLERANCE_S = 2.0  # a clock that is set moves every process's time of birth a little


@dataclass(frozen=True, slots=True)
class Emulator:
    """A MiniStack process that was started here."""

    pid: int
    born: float
    port: int

    @property
    def endpoint_url(self) -> str:
        """Where it answers every AWS call."""
        return f"http://{HOST}:{self.port}"


def running(workspace: Workspace) -> Emulator | None:
    """Return the emulator recorded in *workspace* when it is alive, else nothing."""
    try:
        emulator = Emulator(**json.loads(workspace.emulator_file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return emulator if _process(emulator) else None


def start(workspace: Workspace, port: int) -> Emulator:
    """Start the emulator on *port* as a process of its own, and wait until it answers.

    Raises:
        LocalStackError: the port is taken, or the process ended or stayed silent.

    """
    python = workspace.tool("emulator", "python")
    _refuse_busy(port)
    workspace.logs.mkdir(parents=True, exist_ok=True)
    workspace.scratch.mkdir(exist_ok=True)
    log = workspace.logs / "emulator.log"
    with log.open("w") as sink:
        process = subprocess.Popen(  # noqa: S603 -- both words are ours
            [python, "-P", _MAIN],  # -P: the modules beside it are not the emulator's
            cwd=workspace.scratch,
            env=environment(workspace, port, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    emulator = Emulator(process.pid, psutil.Process(process.pid).create_time(), port)
    workspace.emulator_file.write_text(json.dumps(asdict(emulator)), encoding="utf-8")
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not healthy(emulator):
        if process.poll() is not None or time.monotonic() > deadline:
            end(workspace)
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise LocalStackError(
                f"the emulator did not come up on port {port}:\n{tail}", cure=f"read {log}"
            )
        time.sleep(_POLL_INTERVAL_S)
    # It outlives this process on purpose. Python warns of a child that nobody has waited for, and
    # takes one that has a return code as waited for.
    process.returncode = 0
    return emulator


def environment(workspace: Workspace, port: int, ambient: Mapping[str, str]) -> dict[str, str]:
    """Return the emulator's environment variables; *ambient* are those of this process.

    Its functions inherit them, so nothing of the developer's own goes in. A developer who sets
    LAMBDA_ACCOUNT_CONCURRENCY tries out an account with less.
    """
    return {
        "PATH": ambient.get("PATH", os.defpath),
        "LANG": ambient.get("LANG", "C.UTF-8"),
        "HOME": str(workspace.scratch),
        "TMPDIR": str(workspace.scratch),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "MINISTACK_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",  # else it takes port 8883 too
        "LAMBDA_ACCOUNT_CONCURRENCY": ambient.get(
            "LAMBDA_ACCOUNT_CONCURRENCY", str(ACCOUNT_CONCURRENCY)
        ),
        "LAMBDA_WARM_TTL_SECONDS": str(_IDLE_FUNCTION_S),
    }


def healthy(emulator: Emulator) -> bool:
    """Whether *emulator* answers."""
    try:
        url = f"{emulator.endpoint_url}/_ministack/health"
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 -- http, ours
            return bool(answer.status == 200)  # noqa: PLR2004 -- HTTP's own number
    except (urllib.error.URLError, OSError):
        return False


def end(workspace: Workspace) -> bool:
    """End the recorded emulator with the functions below it; say whether there was one."""
    emulator = running(workspace)
    process = _process(emulator) if emulator else None
    if process is not None:
        _terminate(process)
    workspace.emulator_file.unlink(missing_ok=True)
    shutil.rmtree(workspace.scratch, ignore_errors=True)  # the functions' code lies there
    return process is not None


def _terminate(process: psutil.Process) -> None:
    """End *process* and its children: politely first, and then without asking."""
    try:
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.NoSuchProcess:
        return
    _, alive = psutil.wait_procs(family, timeout=_END_TIMEOUT_S)
    for left in alive:
        left.kill()
    psutil.wait_procs(alive, timeout=_END_TIMEOUT_S)


def _process(emulator: Emulator) -> psutil.Process | None:
    """The living process that *emulator* names, unless its id has become somebody else's."""
    try:
        process = psutil.Process(emulator.pid)
        same = abs(process.create_time() - emulator.born) < _BIRTH_TOLERANCE_S
        dead = process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if same and not dead else None


def _refuse_busy(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LocalStackError(
                f"port {port} of {HOST} cannot be used: {error.strerror or error}",
                cure="choose another one: taskrunner local up --port 4599, "
                "or TASKRUNNER_PORT=4599 make up",
            ) from error
