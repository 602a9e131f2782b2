"""Starts, finds and stops the emulator, one MiniStack process."""

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

from taskrunner_cli.local import processes
from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.workspace import Workspace

HOST = "127.0.0.1"
DEFAULT_PORT = 4566
REGION = "us-east-1"
# MiniStack's root credentials: public, and valid for this process on this machine only.
ACCESS_KEY_ID = "test"
SECRET_ACCESS_KEY = "test"  # noqa: S105 -- public, see above

# How many calls of one function run at a time. One Python process answers the AWS calls of all
# functions, so more would not be faster. Callers retry a throttled call, as on AWS.
FUNCTION_CONCURRENCY = 4
OTHER_CONCURRENCY = {
    "ConsoleFunction": 2,  # a browser fetches two files at a time, and keeps them
    "DescribeApiFunction": 2,  # it calls nothing, so it answers at once
    "SimulatePackFunction": 2,
    "CancelRunFunction": 2,
    "DecideApprovalFunction": 3,
    "OfferJobFunction": 2,
    "ReconcileFunction": 2,  # the schedule's call, and one by hand
    "PublishEventsFunction": 1,  # the stream's records come one batch after the other
    "DigestSettingsFunction": 1,  # called by deployments only
    "RemoveMachinesFunction": 1,  # called every day, and when the stack is deleted
}
ACCOUNT_CONCURRENCY = 60  # more than the template's functions reserve together
_IDLE_FUNCTION_S = 60  # after which a function keeps one process

_MAIN = Path(__file__).with_name("emulator_process.py")
_START_TIMEOUT_S = 60.0
_POLL_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True)
class Emulator:
    """A MiniStack process that this module started.

    Args:
        born: the process's start time, in seconds since the epoch.

    """

    pid: int
    born: float
    port: int

    @property
    def endpoint_url(self) -> str:
        """The address that answers every AWS call."""
        return f"http://{HOST}:{self.port}"


def running(workspace: Workspace) -> Emulator | None:
    """Return the emulator that *workspace* records, or None if its process has ended."""
    try:
        emulator = Emulator(**json.loads(workspace.emulator_file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return emulator if processes.find(emulator.pid, emulator.born) else None


def start(workspace: Workspace, port: int) -> Emulator:
    """Start the emulator on *port* in its own session, and wait until it answers.

    Raises:
        LocalStackError: the port is in use, or the process ended or did not answer.

    """
    python = workspace.tool("emulator", "python")
    _refuse_busy(port)
    workspace.logs.mkdir(parents=True, exist_ok=True)
    workspace.scratch.mkdir(exist_ok=True)
    log = workspace.logs / "emulator.log"
    with log.open("w") as sink:
        process = subprocess.Popen(  # noqa: S603 -- a fixed command
            [python, "-P", _MAIN],  # -P: _MAIN must not import the modules beside it
            cwd=workspace.scratch,
            env=environment(workspace, port, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    emulator = Emulator(process.pid, processes.start_time(process.pid), port)
    workspace.emulator_file.write_text(json.dumps(asdict(emulator)), encoding="utf-8")
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not healthy(emulator):
        if process.poll() is not None or time.monotonic() > deadline:
            stop(workspace)
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise LocalStackError(
                f"the emulator did not start on port {port}:\n{tail}", cure=f"read {log}"
            )
        time.sleep(_POLL_INTERVAL_S)
    # The emulator outlives this process. Python warns about a child without a return code when it
    # collects the object, so give it one.
    process.returncode = 0
    return emulator


def environment(workspace: Workspace, port: int, ambient: Mapping[str, str]) -> dict[str, str]:
    """Return the emulator's environment variables; *ambient* are those of this process.

    The functions inherit them, so they hold nothing of the developer's, except for
    LAMBDA_ACCOUNT_CONCURRENCY: setting it shows how an account with less concurrency behaves.
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
        "IOT_MTLS_ENABLED": "0",  # otherwise it also listens on port 8883
        "LAMBDA_ACCOUNT_CONCURRENCY": ambient.get(
            "LAMBDA_ACCOUNT_CONCURRENCY", str(ACCOUNT_CONCURRENCY)
        ),
        "LAMBDA_WARM_TTL_SECONDS": str(_IDLE_FUNCTION_S),
    }


def healthy(emulator: Emulator) -> bool:
    """Return whether *emulator* answers."""
    try:
        url = f"{emulator.endpoint_url}/_ministack/health"
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 -- always http
            return bool(answer.status == 200)  # noqa: PLR2004 -- an HTTP status
    except (urllib.error.URLError, OSError):
        return False


def stop(workspace: Workspace) -> bool:
    """Stop the recorded emulator and its functions; return whether one was running."""
    emulator = running(workspace)
    process = processes.find(emulator.pid, emulator.born) if emulator else None
    if process is not None:
        processes.terminate(process)
    workspace.emulator_file.unlink(missing_ok=True)
    shutil.rmtree(workspace.scratch, ignore_errors=True)  # it holds the functions' code
    return process is not None


def _refuse_busy(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LocalStackError(
                f"port {port} of {HOST} cannot be used: {error.strerror or error}",
                cure="choose another port: taskrunner local up --port 4599, "
                "or TASKRUNNER_PORT=4599 make up",
            ) from error
