"""The processes of a sandbox, as the tests see them."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from taskrunner.sandbox.attempt import AttemptRequest
    from taskrunner.sandbox.launcher import ForkedSandbox
    from taskrunner.sandbox.server_process import ServerProcess

PATIENCE_S: Final = 120


def server_of(sandbox: ForkedSandbox) -> Any:  # noqa: ANN401 - a private class
    (server,) = sandbox._idle
    return server


def waiting_child(sandbox: ForkedSandbox) -> int:
    """Return the process id of the child that waits for the next attempt."""
    return _child_of(server_of(sandbox))


def _child_of(server: ServerProcess) -> int:
    pid, deadline = server._process.pid, monotonic() + PATIENCE_S
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not (found := children.read_text().split()):
        assert monotonic() < deadline, "no child was forked"
    return int(found[0])


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended, whether or not its parent has noticed."""
    with suppress(FileNotFoundError, ProcessLookupError):
        wait_for_state(pid, "Z")


def wait_for_state(pid: int, state: str) -> None:
    """Wait until a process has a state of proc(5)."""
    status, deadline = Path(f"/proc/{pid}/stat"), monotonic() + PATIENCE_S
    while status.read_text().rpartition(")")[2].split()[0] != state:
        assert monotonic() < deadline, "the process goes on"


def running_child(sandbox: ForkedSandbox, request: AttemptRequest) -> int:
    """Return the process id of the child that has begun an attempt."""
    return _child_of(sandbox._begun[id(request)])


def wait_for_report(sandbox: ForkedSandbox, request: AttemptRequest) -> None:
    """Wait until the server has reported the end of a child that has begun an attempt."""
    _wait_for_message(sandbox._begun[id(request)], b"Exited")


def wait_for_waiting_child(sandbox: ForkedSandbox) -> int:
    """Wait until the server has reported the child that waits; return its process id."""
    _wait_for_message(server_of(sandbox), b"Forked")
    return waiting_child(sandbox)


def _wait_for_message(server: Any, kind: bytes) -> None:  # noqa: ANN401 - a private class
    deadline = monotonic() + PATIENCE_S
    while kind not in server._channel._socket.recv(1000, socket.MSG_PEEK):
        assert monotonic() < deadline, f"no {kind!r} was reported"


def wait_for_file(file: Path) -> None:
    """Wait until an attempt has made a file."""
    deadline = monotonic() + PATIENCE_S
    while not file.exists():
        assert monotonic() < deadline, f"there is no {file.name}"
