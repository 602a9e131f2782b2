"""Makes the interpreter refuse connections, programs and other processes.

An audit hook (PEP 578) sees each of these before it happens, whichever library it comes from, and
cannot be removed. It guards against mistakes in executors and in the libraries that they use. It
would not hold code that wants to break out of its interpreter; such code does not run here.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from taskrunner.executors.work import EgressDenied

# Every way to the network except a connection that the parent has handed over.
_NETWORK_EVENTS: Final = frozenset(
    {
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.getnameinfo",
        "socket.sendto",
    }
)
# The event of sendmsg has the address as its second argument: None on a connected socket.
_SEND_MESSAGE_EVENT: Final = "socket.sendmsg"
_PROCESS_EVENTS: Final = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.killpg",
        "os.posix_spawn",
        "os.spawn",
        "os.system",
        "pty.spawn",
        "resource.prlimit",
        "resource.setrlimit",
        "subprocess.Popen",
        "ctypes.dlopen",
    }
)
_ALL_PROCESSES: Final = "/proc/"


def apply() -> None:
    """Guard this process from now on."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _NETWORK_EVENTS or (event == _SEND_MESSAGE_EVENT and arguments[1] is not None):
        raise EgressDenied(
            "the executor tried to use the network by itself; it must ask for a connection"
        )
    if event in _PROCESS_EVENTS:
        raise PermissionError(f"an executor may not do this: {event}")
    if event == "open" and isinstance(arguments[0], str | bytes):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        # The path is resolved, so it contains the number for `self`.
        this_process = f"{_ALL_PROCESSES}{os.getpid()}/"
        if path.startswith(_ALL_PROCESSES) and not path.startswith(this_process):
            raise PermissionError("an executor may read only its own process in /proc")
