"""The services of an executor, on the child's side: each call is a message to the parent."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, assert_never

from taskrunner.executors.work import Bundle, EgressDenied, ExecutorFailure, Revision, Services
from taskrunner.sandbox import messages
from taskrunner.sandbox.messages import (
    CallDenied,
    CallFailed,
    Connect,
    Execute,
    FetchArtifact,
    FindArtifacts,
    FindBundle,
    FindImageScan,
    FindLastBundle,
    InvokeFunction,
    Prepare,
    PromoteBundle,
    PutBundle,
    Returned,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.sandbox.channel import Channel
    from taskrunner.sandbox.messages import Call


def service_proxies(channel: Channel, folder: Path) -> Services:
    """Return services that send each call over *channel*, with files named as paths in *folder*."""
    caller = _Caller(channel, folder)
    return Services(
        bundles=_Bundles(caller),
        artifacts=_Artifacts(caller),
        environments=_Environments(caller),
        network=_Network(caller),
        functions=_Functions(caller),
        images=_Images(caller),
    )


class _Caller:
    def __init__(self, channel: Channel, folder: Path) -> None:
        self.channel = channel
        self._folder = folder

    def call(self, call: Call) -> Json:
        return self.call_for_files(call)[0]

    def call_for_files(self, call: Call) -> tuple[Json, list[int]]:
        self.channel.send(messages.encode(call))
        document, files = self.channel.receive(takes_files=True)
        match answer := messages.decode_from_session(document):
            case Returned(value):
                return value, files
            case CallDenied(message):
                raise EgressDenied(message)
            case CallFailed(message):
                raise ExecutorFailure(message)
            case Prepare() | Execute():
                raise messages.MalformedMessageError
            case _:
                assert_never(answer)

    def relative(self, file: Path) -> str:
        return file.relative_to(self._folder).as_posix()


class _Bundles:
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    def put(self, file: Path) -> Bundle:
        return Bundle(**self._caller.call(PutBundle(self._caller.relative(file))))

    def find(self, reference: str) -> Bundle | None:
        return _bundle(self._caller.call(FindBundle(reference)))

    def last_of_run(self) -> Bundle | None:
        return _bundle(self._caller.call(FindLastBundle()))


def _bundle(fields: JsonObject | None) -> Bundle | None:
    return None if fields is None else Bundle(**fields)


class _Artifacts:
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    def matching(self, name: str) -> Sequence[str]:
        return list(self._caller.call(FindArtifacts(name)))

    def fetch(self, name: str, into: Path) -> bool:
        return bool(self._caller.call(FetchArtifact(name, self._caller.relative(into))))


class _Environments:
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    def promote(self, environment: str, bundle: Bundle) -> Revision:
        return Revision(**self._caller.call(PromoteBundle(environment, bundle)))


class _Network:
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        _, files = self._caller.call_for_files(Connect(host, port, timeout_s))
        connection = socket.socket(fileno=files[0])
        connection.settimeout(timeout_s)
        return connection


class _Functions:
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    def invoke(self, name: str, payload: JsonObject) -> Json:
        return self._caller.call(InvokeFunction(name, payload))


class _Images:
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    def findings(self, registry: str, repository: str, reference: str) -> JsonObject | None:
        scan: JsonObject | None = self._caller.call(FindImageScan(registry, repository, reference))
        return scan
