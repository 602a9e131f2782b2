"""One server process, and its child that waits for an attempt: the parent's side of both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import weakref
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from taskrunner.sandbox import attempt_folder, messages, processors, results
from taskrunner.sandbox.attempt import Usage
from taskrunner.sandbox.channel import ChannelClosedError, channel_pair
from taskrunner.sandbox.messages import (
    Execute,
    Exited,
    Finished,
    Fork,
    Forked,
    MalformedMessageError,
    Prepare,
)
from taskrunner.sandbox.session import Session

if TYPE_CHECKING:
    from taskrunner.executors.work import Services
    from taskrunner.sandbox.attempt import AttemptRequest, AttemptResult
    from taskrunner.sandbox.channel import Channel
    from taskrunner.sandbox.messages import Message

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


class _Child:
    """A child that waits for its attempt, or has begun it, and what it was sent for that.

    One that was sent nothing knows nothing. It may wait for as long as its server lives. Its *pid*
    is known once its server's answer was received.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.pid: int | None = None
        self.prepare: Prepare | None = None
        self.request: AttemptRequest | None = None

    def opening(self, prepare: Prepare, request: AttemptRequest) -> list[Message]:
        """Return what it must be sent to execute *request*."""
        if self.request is not None:
            return []
        if self.prepare is not None:
            return [Execute(request)]
        return [prepare, Execute(request)]


class ServerProcess:
    """The process that runs `server.py`. It executes one attempt at a time."""

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
        self._waiting: list[_Child] = []  # one at most
        # Ends the process when this object is collected and when the interpreter exits.
        self._end = weakref.finalize(self, _end, self._process, self._channel, self._waiting)
        self._is_busy = False
        self._is_child_ending = False

    def is_idle(self) -> bool:
        """Return whether the process is running, and no attempt on it was abandoned.

        After such an attempt, the next message would be about that attempt.
        """
        return not self._is_busy and self._process.poll() is None

    def close(self) -> None:
        """End the process."""
        self._end()

    def prepare(self) -> None:
        """Request the child of the next attempt, without waiting, unless one waits already."""
        if self._waiting:
            return
        channel, far_end = channel_pair()
        try:
            with far_end:
                self._see_last_child_end()
                self._channel.send(messages.encode(Fork()), [far_end.fileno()])
        except ChannelClosedError:
            channel.close()
            self._is_busy = True  # for good: the process has ended
        else:
            self._waiting.append(_Child(channel))

    def prepare_for(self, prepare: Prepare) -> None:
        """Let the child of the next attempt import its executor and limit itself meanwhile."""
        self.prepare()
        for child in self._waiting:
            if child.prepare is None:
                child.prepare = prepare
                with suppress(ChannelClosedError):  # it was killed, which `_child_for` finds
                    child.channel.send(messages.encode(prepare))

    def begin(self, request: AttemptRequest) -> None:
        """Let a child begin the attempt, unless that had to be awaited."""
        prepare = _prepare(request)
        self._keep_child_away()
        self.prepare_for(prepare)
        for child in self._waiting:
            if child.prepare == prepare:
                # An attempt that has no form as JSON fails when it is executed.
                with suppress(ChannelClosedError, TypeError, ValueError, RecursionError):
                    if child.channel.send_at_once(messages.encode(Execute(request))):
                        child.request = request

    def _keep_child_away(self) -> None:
        """Let a child that waits wake up on another processor, because both will work."""
        for child in self._waiting:
            with suppress(ChannelClosedError):  # the server has ended, which `execute` finds
                if child.pid is None and self._channel.has_message():
                    child.pid = self._receive(Forked).pid
            # Another message says that it has ended, and the number may be another process's.
            if child.pid is not None and not self._channel.has_message():
                processors.keep_away(child.pid, self._process.pid)

    def withdraw(self) -> None:
        """Kill the child that has begun an attempt, if one has, and see it to its end."""
        if self._waiting and (request := self._waiting[0].request) is not None:
            try:
                self._discard_child()
            except ChannelClosedError:
                self._is_busy = True
                # The child ends with the server, and nobody sees when.
                attempt_folder.abandon(request.folder)

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        """Give the attempt to a child of its own, and see it to its end.

        Raises:
            ChannelClosedError: the server process has ended.
            TryAgainError: a service said "later"; the attempt was stopped and may be repeated.
        """
        self._is_busy = True
        child, pid = self._child_for(request)
        started = monotonic()
        session = Session(child.channel, request.folder, services)
        opening = child.opening(_prepare(request), request)
        is_in_time = session.run(opening, request.limits.wall_s)
        # Either the child has said everything, or its time is over: it must not go on.
        self._kill(pid)
        child.channel.shut_down()
        wall_s = monotonic() - started
        if isinstance(session.ending, Finished):
            wall_s = max(wall_s, session.ending.wall_s)  # it may have begun earlier
        if isinstance(session.ending, Finished) and not request.has_files():
            # The kernel takes longer to end a process than most attempts take. Nobody waits for it.
            self._is_child_ending = True
            exited = Exited(0, session.ending.cpu_s, session.ending.memory_mib)
        else:
            exited = self._receive(Exited)
        self._is_busy = False
        usage = Usage(wall_s=wall_s, cpu_s=exited.cpu_s, memory_mib=exited.memory_mib)
        if not is_in_time:
            result = results.out_of_time(request.limits, usage)
        elif session.error is not None:
            raise session.error
        else:
            result = results.result(session.ending, exited.status, request.limits, usage)
        return replace(result, may_have_files=not self._is_child_ending)

    def _see_last_child_end(self) -> None:
        if self._is_child_ending:
            self._receive(Exited)
            self._is_child_ending = False

    def _child_for(self, request: AttemptRequest) -> tuple[_Child, int]:
        """Return the child that has begun the attempt, or one for it, and its process id."""
        if self._waiting and self._waiting[0].prepare not in (None, _prepare(request)):
            self._discard_child()
        child, pid = self._take_child()
        if child.request is None and child.channel.is_closed():
            self._see_end(child)  # it was killed while it waited: no attempt has failed
            child, pid = self._take_child()
        return child, pid

    def _discard_child(self) -> None:
        child, pid = self._take_child()
        self._kill(pid)
        self._see_end(child)

    def _see_end(self, child: _Child) -> None:
        child.channel.close()
        self._receive(Exited)

    def _take_child(self) -> tuple[_Child, int]:
        self.prepare()
        if not self._waiting:
            raise ChannelClosedError
        child = self._waiting[0]
        if child.pid is None:
            child.pid = self._receive(Forked).pid
        return self._waiting.pop(), child.pid

    def _kill(self, pid: int) -> None:
        """Kill the child *pid*, unless its end was reported, perhaps long ago."""
        # Else the number still belongs to it, or did a moment ago, and the server forks no other
        # before its report. A child that does not lead a process group yet is alone.
        if self._channel.has_message():
            return
        for kill in (os.killpg, os.kill):
            with suppress(OSError):  # it has ended
                kill(pid, signal.SIGKILL)
                return

    def _receive(self, expected: type[_Expected]) -> _Expected:
        document, _ = self._channel.receive()
        message = messages.decode_from_server(document)
        if not isinstance(message, expected):
            raise MalformedMessageError
        return message


def _prepare(request: AttemptRequest) -> Prepare:
    return Prepare(request.uses, request.limits)


def _end(process: subprocess.Popen[bytes], channel: Channel, waiting: list[_Child]) -> None:
    for each in (channel, *(child.channel for child in waiting)):
        each.close()
    process.kill()
    process.wait()


def _import_path() -> str:
    return json.dumps([str(Path(path).resolve()) for path in sys.path if path])
