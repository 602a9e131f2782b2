"""What the interpreter refuses an executor: connections, programs, other processes.

An audit hook (PEP 578) sees these before they happen, wherever in a library they come from, and
can never be removed. It guards against mistakes in executors and the libraries they use; code that
wants out of its interpreter is not what runs here.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from taskrunner.executors.work import EgressDenied

# Everything that reaches for the network other than by a connection that the parent handed over.
_NETWORK: Final = frozenset(
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
_SEND_MESSAGE: Final = "socket.sendmsg"
_PROCESSES: Final = frozenset(
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
_OF_PROCESSES: Final = "/proc/"
_OWN: Final = "/proc/self/"


def apply() -> None:
    """Guard this process from here on."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _NETWORK or (event == _SEND_MESSAGE and arguments[1] is not None):
        raise EgressDenied("an executor has no network of its own; it asks for connections")
    if event in _PROCESSES:
        raise PermissionError(f"an executor may not do this: {event}")
    if event == "open" and isinstance(arguments[0], str | bytes):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if path.startswith(_OF_PROCESSES) and not path.startswith(_OWN):
            raise PermissionError("an executor may not look into other processes")
