"""The parent's side of the sandbox: gives each attempt to a server that has none."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from taskrunner.errors import TryAgainError
from taskrunner.sandbox.channel import ChannelClosedError
from taskrunner.sandbox.messages import Prepare
from taskrunner.sandbox.server_process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.executors.work import Services
    from taskrunner.sandbox.attempt import AttemptRequest, AttemptResult, Limits


class ForkedSandbox:
    """`ports.Sandbox`: each attempt runs in a fork of a clean process.

    A server runs one attempt at a time, and so does a Lambda function. Where several threads share
    a world, each attempt that runs at the same time has a server of its own.
    """

    def __init__(self, executors_module: str = "taskrunner.executors") -> None:
        """Start nothing yet; *executors_module* is the module that knows the executors."""
        self._executors_module = executors_module
        self._lock = threading.Lock()
        self._idle: list[ServerProcess] = []
        self._begun: dict[int, ServerProcess] = {}  # by the request that each has begun

    def prepare(self) -> None:
        """See the port. A child waits for the attempt from now on, or soon."""
        server = self._take_server()
        server.prepare()
        self._put_back(server)

    def prepare_for(self, uses: str, limits: Limits) -> None:
        """See the port."""
        server = self._take_server()
        server.prepare_for(Prepare(uses, limits))
        self._put_back(server)

    @contextmanager
    def begun(self, request: AttemptRequest) -> Iterator[None]:
        """See the port."""
        server = self._begun[id(request)] = self._take_server()
        try:
            server.begin(request)
            yield
        finally:
            if self._begun.pop(id(request), None) is not None:
                server.withdraw()
                self._put_back(server)

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        """See the port."""
        server = self._begun.pop(id(request), None) or self._take_server()
        try:
            return server.execute(request, services)
        except ChannelClosedError:
            raise TryAgainError("the sandbox's server process has ended") from None
        finally:
            self._put_back(server)

    def close(self) -> None:
        """End the servers that are idle."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _take_server(self) -> ServerProcess:
        with self._lock:
            while self._idle:
                server = self._idle.pop()
                if server.is_idle():
                    return server
                server.close()
        return ServerProcess(self._executors_module)

    def _put_back(self, server: ServerProcess) -> None:
        if not server.is_idle():
            server.close()
            return
        with self._lock:
            self._idle.append(server)
