"""The parent's side of the sandbox: starts its server, answers its children, kills the slow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from taskrunner.errors import TryAgainError
from taskrunner.executors.work import Bundle, EgressDenied, ExecutorFailure
from taskrunner.model.run import Reason
from taskrunner.sandbox.job import Ended, Usage
from taskrunner.sandbox.wire import Channel, ClosedError, channels

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from taskrunner.executors.work import Services
    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.sandbox.job import Job, Limits

# The paths are given by hand: -I and -S keep out whatever the machine would add of its own.
_START: Final = """
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from taskrunner.sandbox import server
server.serve(int(sys.argv[1]), sys.argv[3])
"""
# Where Lambda's interpreter finds its own libraries. It is all that the server is told of its
# surroundings.
_LIBRARIES: Final = "LD_LIBRARY_PATH"
# How near to its limit a process was that died of a signal for want of memory.
_NEARLY: Final = 0.9


class ForkedSandbox:
    """`usecases.ports.Sandbox`: each attempt in a fork of a clean process.

    A server sees one attempt through at a time, and Lambda gives a function no more than one. Where
    several threads share a world, each attempt at once has a server of its own.
    """

    def __init__(self, executors: str = "taskrunner.executors") -> None:
        """Start nothing yet; *executors* is the module that knows them."""
        self._executors = executors
        self._lock = threading.Lock()
        self._idle: list[_Server] = []

    def prepare(self) -> None:
        """See the port."""
        self._put_back(self._server())

    def execute(self, job: Job, services: Services) -> Ended:
        """See the port."""
        server = self._server()
        try:
            return server.execute(job, services)
        except ClosedError:
            raise TryAgainError("the sandbox's server is gone") from None
        finally:
            self._put_back(server)

    def close(self) -> None:
        """End the servers that have nothing to do."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _server(self) -> _Server:
        with self._lock:
            while self._idle:
                server = self._idle.pop()
                if server.is_idle():
                    return server
                server.close()
        return _Server(self._executors)

    def _put_back(self, server: _Server) -> None:
        if not server.is_idle():
            server.close()
            return
        with self._lock:
            self._idle.append(server)


class _Server:
    """The process of sandbox/server.py."""

    def __init__(self, executors: str) -> None:
        """Start it, and do not wait until it is ready: that is while others are read from AWS."""
        self._channel, other = channels()
        libraries = os.environ.get(_LIBRARIES)
        with other:
            told = (str(other.fileno()), _paths(), executors)
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and words
                [sys.executable, "-I", "-S", "-c", _START, *told],
                env={} if libraries is None else {_LIBRARIES: libraries},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
                cwd="/",
            )
        # Whoever forgets it here, or ends, leaves no process behind.
        self._end = weakref.finalize(self, _end, self._process, self._channel)
        self._is_busy = False

    def is_idle(self) -> bool:
        """Whether it is there and has seen all of its attempts to their end.

        Of another one, what it says next would be of an attempt that was broken off.
        """
        return not self._is_busy and self._process.poll() is None

    def close(self) -> None:
        self._end()

    def execute(self, job: Job, services: Services) -> Ended:
        """Fork, and see the attempt through.

        Raises:
            ClosedError: the server is gone.
            TryAgainError: a service was told "later"; the attempt was stopped, and may be repeated.
        """
        own, other = channels()
        self._is_busy = True
        try:
            with other:
                self._channel.send({}, [other.fileno()])
            pid = self._channel.receive()[0]["pid"]
        except ClosedError:
            own.close()
            raise
        began = monotonic()
        conversation = _Conversation(own, job, services)
        # In a thread, because an answer may take longer than the attempt has.
        thread = threading.Thread(target=conversation.hold, name=job.step_id, daemon=True)
        thread.start()
        thread.join(job.limits.wall_s)
        is_late = thread.is_alive()
        # Done or late: the child has nothing more to say, and may not go on.
        _kill(pid)
        own.shut()
        exited = self._channel.receive()[0]
        self._is_busy = False
        usage = Usage(
            wall_s=monotonic() - began, cpu_s=exited["cpu_s"], memory_mib=exited["memory_mib"]
        )
        if is_late:
            return _late(job.limits, usage)
        if conversation.surprise is not None:
            raise conversation.surprise
        return _ended(conversation.told, exited["status"], job.limits, usage)


def _end(process: subprocess.Popen[bytes], channel: Channel) -> None:
    channel.close()
    process.kill()
    process.wait()


def _paths() -> str:
    return json.dumps([str(Path(path).resolve()) for path in sys.path if path])


def _kill(pid: int) -> None:
    # The server reaps a child only to tell of it here, so that the number is still this child's, or
    # was only just. Who is not a group of its own yet is alone.
    for kill in (os.killpg, os.kill):
        try:
            return kill(pid, signal.SIGKILL)
        except OSError:
            continue  # it is gone
    return None


def _late(limits: Limits, usage: Usage) -> Ended:
    message = f"not done after {limits.wall_s:g} seconds"
    return Ended(reason=Reason.TIMEOUT, message=message, usage=usage)


def _ended(told: JsonObject | None, status: int, limits: Limits, usage: Usage) -> Ended:
    """What the child told; else what its death tells."""
    if told is None:
        return replace(_died(status, limits, usage), usage=usage)
    if "outputs" in told:
        return Ended(outputs=told["outputs"], usage=usage)
    if "memory" in told:
        return replace(_out_of_memory(limits), usage=usage)
    if "denied" in told:
        return Ended(reason=Reason.EGRESS_DENIED, message=str(told["denied"]), usage=usage)
    if "failed" in told:
        return Ended(reason=Reason.EXECUTOR_ERROR, message=str(told["failed"]), usage=usage)
    message = f"the executor broke off with {told.get('surprise')}"
    return Ended(reason=Reason.EXECUTOR_ERROR, message=message, usage=usage)


def _out_of_memory(limits: Limits) -> Ended:
    message = f"more than the {limits.memory_mib} MiB of memory that the pack's sandbox allows"
    return Ended(reason=Reason.MEMORY_EXCEEDED, message=message)


def _died(status: int, limits: Limits, usage: Usage) -> Ended:
    code = os.waitstatus_to_exitcode(status)
    number = -code if code < 0 else 0
    if number in {signal.SIGPROF, signal.SIGXCPU}:
        message = (
            f"used up its {limits.cpu_s:g} seconds of CPU time, which are cpuLimitMillicores of "
            f"the {limits.wall_s:g} seconds it had"
        )
        return Ended(reason=Reason.TIMEOUT, message=message)
    # Who is out of memory cannot always say so; and the kernel kills for want of memory by itself.
    if number == signal.SIGKILL or usage.memory_mib >= limits.memory_mib * _NEARLY:
        return _out_of_memory(limits)
    how = signal.Signals(number).name if number else f"exit code {code}"
    return Ended(reason=Reason.EXECUTOR_ERROR, message=f"the executor's process ended with {how}")


@dataclass
class _Conversation:
    """What the child asks and is answered, until it has told how it ended, or is gone."""

    channel: Channel
    job: Job
    services: Services
    told: JsonObject | None = None
    surprise: BaseException | None = None

    def hold(self) -> None:
        """Hold the conversation to its end, and hang up."""
        try:
            job = self.job
            self.channel.send({"uses": job.uses, "limits": asdict(job.limits)})
            self.channel.send(_document(job))
            while self.told is None:
                message, _ = self.channel.receive()
                if "ended" in message:
                    self.told = message["ended"]
                else:
                    self._answer(message)
        except ClosedError:
            return
        except BaseException as surprise:  # noqa: BLE001 - carried over, and raised in the caller
            self.surprise = surprise
        finally:
            self.channel.close()

    def _answer(self, message: JsonObject) -> None:
        opened: list[socket.socket] = []
        served = _SERVED.get(message["ask"])
        if served is None:
            self.channel.send({"failed": f"there is no service {message['ask']}"})
            return
        try:
            answer: JsonObject = {"value": served(self, opened, **message["with"])}
        except EgressDenied as denial:
            answer = {"denied": str(denial)}
        except ExecutorFailure as failure:
            answer = {"failed": str(failure)}
        try:
            self.channel.send(answer, [one.fileno() for one in opened])
        finally:
            for one in opened:
                one.close()

    def _file(self, name: str) -> Path:
        """A file in the job's folders, however the child names it: nothing else may be touched."""
        file = (self.job.folder / name).resolve()
        if not file.is_relative_to(self.job.folder.resolve()):
            raise ExecutorFailure(f"'{name}' is no file of this step")
        return file

    def put_bundle(self, _: list[socket.socket], file: str) -> Json:
        return asdict(self.services.bundles.put(self._file(file)))

    def find_bundle(self, _: list[socket.socket], reference: str) -> Json:
        return _optional(self.services.bundles.find(reference))

    def last_bundle(self, _: list[socket.socket]) -> Json:
        return _optional(self.services.bundles.last_of_run())

    def fetch_artifact(self, _: list[socket.socket], name: str, into: str) -> Json:
        return self.services.artifacts.fetch(name, self._file(into))

    def promote(self, _: list[socket.socket], environment: str, bundle: JsonObject) -> Json:
        return asdict(self.services.environments.promote(environment, Bundle(**bundle)))

    def connect(self, opened: list[socket.socket], host: str, port: int, timeout_s: float) -> Json:
        opened.append(self.services.network.connect(host, port, timeout_s))
        return None

    def invoke(self, _: list[socket.socket], name: str, payload: JsonObject) -> Json:
        return self.services.functions.invoke(name, payload)

    def find_image(
        self, _: list[socket.socket], registry: str, repository: str, reference: str
    ) -> Json:
        return self.services.images.findings(registry, repository, reference)


def _optional(bundle: Bundle | None) -> Json:
    return None if bundle is None else asdict(bundle)


# What a child may ask for, by the names that sandbox/remote.py gives it; nothing else is answered.
_SERVED: Final[Mapping[str, Callable[..., Json]]] = {
    "bundles.put": _Conversation.put_bundle,
    "bundles.find": _Conversation.find_bundle,
    "bundles.last_of_run": _Conversation.last_bundle,
    "artifacts.fetch": _Conversation.fetch_artifact,
    "environments.promote": _Conversation.promote,
    "network.connect": _Conversation.connect,
    "functions.invoke": _Conversation.invoke,
    "images.findings": _Conversation.find_image,
}


def _document(job: Job) -> dict[str, Any]:
    return {
        "uses": job.uses,
        "parameters": job.parameters,
        "run_id": job.run_id,
        "run_created_at": job.run_created_at,
        "tenant": job.tenant,
        "step_id": job.step_id,
        "attempt": job.attempt,
        "plan_document": job.plan_document,
        "folder": str(job.folder),
        "limits": asdict(job.limits),
    }
