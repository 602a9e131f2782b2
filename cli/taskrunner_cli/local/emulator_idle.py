"""Let a function that waits for its next event cost the emulator nothing.

MiniStack has two threads for each process of a function. One looks ten times a second whether there
is an event for it, and the other one whether the process's server should end. With 60 processes the
emulator woke up 1,200 times a second, and each time, what it did besides had to wait. Here both
wait until they are woken.

`emulator_process.py` loads this file. It runs in the emulator's environment, so it imports nothing
of the project. tests/programs/emulator/test_idle.py tests it.
"""

import contextlib
import queue
import socket
import socketserver
from typing import Any

from ministack.core.lambda_runtime import ProvidedWorker

_PATIENCE_S = 3600.0  # of what is always woken before
_CONNECT_S = 1.0

_build_handler = ProvidedWorker._build_handler_class
_end_server = ProvidedWorker._shutdown_server
_FunctionServer: Any = socketserver.ThreadingTCPServer
_serve_forever = _FunctionServer.serve_forever
_shutdown = _FunctionServer.shutdown


class Events:
    """The next event of a function's process, or None when the process is ended."""

    def __init__(self, waiting: queue.Queue[Any]) -> None:
        self._waiting = waiting

    def get(self, timeout: float) -> Any:  # noqa: ARG002 - MiniStack gives one
        """Wait for an event, however short *timeout* is.

        Raises:
            queue.Empty: the process is ended; the caller looks for that.
        """
        event = self._waiting.get(timeout=_PATIENCE_S)
        if event is None:
            raise queue.Empty
        return event


def build_handler(worker: ProvidedWorker, generation: int, waiting: queue.Queue[Any]) -> type[Any]:
    """Return the class that gives a function its events, without looks in between."""
    handler: type[Any] = _build_handler(worker, generation, Events(waiting))
    return handler


def end_server(worker: ProvidedWorker) -> None:
    """End the server of a function's process, and the thread in it that waits for an event."""
    with contextlib.suppress(queue.Full):  # then an event wakes it
        worker._pending.put_nowait(None)
    _end_server(worker)


def serve_forever(server: Any, poll_interval: float = 0.5) -> None:
    """Serve until `shutdown`, without looks in between, whatever *poll_interval* is."""
    del poll_interval
    _serve_forever(server, _PATIENCE_S)


def shutdown(server: Any) -> None:
    """End `serve_forever` at once, by a connection that wakes it."""
    server._BaseServer__shutdown_request = True
    with contextlib.suppress(OSError):
        socket.create_connection(server.server_address[:2], _CONNECT_S).close()
    _shutdown(server)


def install() -> None:
    """Replace MiniStack's functions by those above."""
    ProvidedWorker._build_handler_class = build_handler
    ProvidedWorker._shutdown_server = end_server
    _FunctionServer.serve_forever = serve_forever
    _FunctionServer.shutdown = shutdown
