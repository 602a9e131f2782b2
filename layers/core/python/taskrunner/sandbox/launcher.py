"""The parent's side of the sandbox: starts servers, runs attempts on them, kills what is late."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from taskrunner.errors import TryAgainError
from taskrunner.sandbox import messages, results
from taskrunner.sandbox.attempt import Usage
from taskrunner.sandbox.channel import ChannelClosedError, channel_pair
from taskrunner.sandbox.messages import Exited, Fork, Forked, MalformedMessageError, Prepare
from taskrunner.sandbox.session import Session

if TYPE_CHECKING:
    from taskrunner.executors.work import Services
    from taskrunner.sandbox.attempt import AttemptRequest, AttemptResult, Limits
    from taskrunner.sandbox.channel import Channel

# The import path is passed explicitly: -I and -S keep out whatever the machine would add to it. The
# server's own imports make models already, and leave hardly any garbage to be collected.
_START: Final = """
import gc, json, sys
gc.disable()
sys.path[:] = json.loads(sys.argv[2])
from taskrunner import pydantic_plugins
pydantic_plugins.find_none()
from taskrunner.sandbox import server
server.serve(int(sys.argv[1]), sys.argv[3])
"""
# The one variable that the server gets: Lambda's interpreter finds its own libraries by it.
_LIBRARY_PATH: Final = "LD_LIBRARY_PATH"
_Expected = TypeVar("_Expected", Forked, Exited)


class ForkedSandbox:
    """`ports.Sandbox`: each attempt runs in a fork of a clean process.

    A server runs one attempt at a time, and so does a Lambda function. Where several threads share
    a world, each attempt that runs at the same time has a server of its own.
    """

    def __init__(self, executors_module: str = "taskrunner.executors") -> None:
        """Start nothing yet; *executors_module* is the module that knows the executors."""
        self._executors_module = executors_module
        self._lock = threading.Lock()
        self._idle: list[_Server] = []

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

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        """See the port."""
        server = self._take_server()
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

    def _take_server(self) -> _Server:
        with self._lock:
            while self._idle:
                server = self._idle.pop()
                if server.is_idle():
                    return server
                server.close()
        return _Server(self._executors_module)

    def _put_back(self, server: _Server) -> None:
        if not server.is_idle():
            server.close()
            return
        with self._lock:
            self._idle.append(server)


class _Server:
    """The process that runs `server.py`, and perhaps a child that waits for its attempt.

    Such a child knows nothing and has done nothing. It may wait for as long as the process lives.
    """

    def __init__(self, executors_module: str) -> None:
        """Start the process without waiting for it: it imports while the caller reads from AWS."""
        self._channel, far_end = channel_pair()
        library_path = os.environ.get(_LIBRARY_PATH)
        with far_end:
            arguments = (str(far_end.fileno()), _import_path(), executors_module)
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                [sys.executable, "-I", "-S", "-c", _START, *arguments],
                env={} if library_path is None else {_LIBRARY_PATH: library_path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[far_end.fileno()],
                cwd="/",
            )
        self._to_ready_child: list[Channel] = []  # one at most
        # Ends the process when this object is collected and when the interpreter exits.
        self._end = weakref.finalize(self, _end, self._process, self._channel, self._to_ready_child)
        self._is_busy = False
        self._prepared_for: Prepare | None = None  # what the ready child has prepared

    def is_idle(self) -> bool:
        """Return whether the process is running and every attempt on it was seen to its end.

        After an attempt that was abandoned, the next message would be about that attempt.
        """
        return not self._is_busy and self._process.poll() is None

    def close(self) -> None:
        self._end()

    def prepare(self) -> None:
        """Request the child of the next attempt, without waiting, unless one waits already."""
        if self._to_ready_child:
            return
        channel, far_end = channel_pair()
        try:
            with far_end:
                self._channel.send(messages.encode(Fork()), [far_end.fileno()])
        except ChannelClosedError:
            channel.close()
            self._is_busy = True  # for good: the process has ended
        else:
            self._to_ready_child.append(channel)

    def prepare_for(self, prepare: Prepare) -> None:
        """Let the child of the next attempt import its executor and limit itself meanwhile."""
        self.prepare()
        if self._to_ready_child and self._prepared_for is None:
            self._prepared_for = prepare
            with suppress(ChannelClosedError):  # it was killed, which `_child` finds
                self._to_ready_child[0].send(messages.encode(prepare))

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        """Give the attempt to a child of its own, and see it to its end.

        Raises:
            ChannelClosedError: the server process has ended.
            TryAgainError: a service said "later"; the attempt was stopped and may be repeated.
        """
        limits = request.limits
        self._is_busy = True
        is_prepared = self._prepared_for == Prepare(request.uses, limits)
        if not is_prepared and self._prepared_for is not None:
            self._discard_child()
        channel, pid = self._child()
        is_prepared = is_prepared and self._prepared_for is not None
        self._prepared_for = None
        started = monotonic()
        session = Session(channel, request, services, is_prepared=is_prepared)
        # In a thread, because a service may take longer than the attempt may.
        thread = threading.Thread(target=session.run, name=request.step_path, daemon=True)
        thread.start()
        thread.join(limits.wall_s)
        is_late = thread.is_alive()
        # Either the child has said everything, or its time is over: it must not go on.
        _kill(pid)
        channel.shut_down()
        exited = self._receive(Exited)
        self._is_busy = False
        wall_s = monotonic() - started
        usage = Usage(wall_s=wall_s, cpu_s=exited.cpu_s, memory_mib=exited.memory_mib)
        if is_late:
            return results.out_of_time(limits, usage)
        if session.error is not None:
            raise session.error
        return results.result(session.ending, exited.status, limits, usage)

    def _child(self) -> tuple[Channel, int]:
        """Return a channel to a child that waits for its attempt, and the child's process id."""
        channel, pid = self._ready_child()
        if channel.is_closed():  # it was killed while it waited: no attempt has failed
            self._await_end(channel)
            channel, pid = self._ready_child()
        return channel, pid

    def _discard_child(self) -> None:
        """Let the child end that waits, because its limits are not those of the next attempt."""
        channel, _ = self._ready_child()
        self._await_end(channel)

    def _await_end(self, channel: Channel) -> None:
        """Wait for a child that has no attempt; it ends when its channel is closed."""
        channel.close()
        self._receive(Exited)
        self._prepared_for = None

    def _ready_child(self) -> tuple[Channel, int]:
        self.prepare()
        if not self._to_ready_child:
            raise ChannelClosedError
        pid = self._receive(Forked).pid
        return self._to_ready_child.pop(), pid

    def _receive(self, expected: type[_Expected]) -> _Expected:
        document, _ = self._channel.receive()
        message = messages.decode_from_server(document)
        if not isinstance(message, expected):
            raise MalformedMessageError
        return message


def _end(process: subprocess.Popen[bytes], channel: Channel, to_ready_child: list[Channel]) -> None:
    for each in (channel, *to_ready_child):
        each.close()
    process.kill()
    process.wait()


def _import_path() -> str:
    return json.dumps([str(Path(path).resolve()) for path in sys.path if path])


def _kill(pid: int) -> None:
    # The number still belongs to this child, or did a moment ago: the server is about to report its
    # end, and forks no other before that. A child that does not lead a process group yet is alone.
    for kill in (os.killpg, os.kill):
        try:
            return kill(pid, signal.SIGKILL)
        except OSError:
            continue  # it has ended
    return None
