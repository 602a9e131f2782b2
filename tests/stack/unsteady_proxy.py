"""A proxy to the local stack that a test can close, so that the service answers nobody."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType

_BLOCK_BYTES = 64 * 1024


class UnsteadyProxy:
    """Forwards connections to the host of the address *target* while it is open."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._callers: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._is_open = True
        self.refused = 0
        """The number of connections that came while it was closed."""

    @property
    def url(self) -> str:
        """The address of the proxy."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def open(self) -> None:
        """Forward connections from now on."""
        self._is_open = True

    def close(self) -> None:
        """Break all connections, and new ones at once."""
        self._is_open = False
        for caller in list(self._callers):
            with suppress(OSError):
                caller.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # it wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self.close()
        for thread in self._threads[1:]:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                # First, so that `close` breaks it unless it is refused here.
                self._callers.add(caller)
                if not self._is_open:
                    self.refused += 1
                    self._callers.discard(caller)
                    caller.close()
                    continue
                self._threads.append(threading.Thread(target=self._forward, args=(caller,)))
                self._threads[-1].start()

    def _forward(self, caller: socket.socket) -> None:
        """Copy both ways until one side closes the connection."""
        with suppress(OSError), caller, socket.create_connection(self._target) as service:
            others = {caller: service, service: caller}
            while True:
                for source in select.select(list(others), [], [])[0]:
                    block = source.recv(_BLOCK_BYTES)
                    if not block:
                        return
                    others[source].sendall(block)
        self._callers.discard(caller)
