"""The services of an executor, asked of the parent process over the child's one socket."""

from __future__ import annotations

import socket
from dataclasses import asdict
from typing import TYPE_CHECKING

from taskrunner.executors.work import Bundle, EgressDenied, ExecutorFailure, Revision, Services

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.sandbox.wire import Channel


def services(channel: Channel, folder: Path) -> Services:
    """Services that ask by *channel*; files are named as they stand in *folder*."""
    asking = _Asking(channel, folder)
    return Services(
        bundles=_Bundles(asking),
        artifacts=_Artifacts(asking),
        environments=_Environments(asking),
        network=_Network(asking),
        functions=_Functions(asking),
        images=_Images(asking),
    )


class _Asking:
    def __init__(self, channel: Channel, folder: Path) -> None:
        self._channel = channel
        self._folder = folder

    def ask(self, what: str, **arguments: Json) -> Json:
        return self.ask_for_file(what, **arguments)[0]

    def ask_for_file(self, what: str, **arguments: Json) -> tuple[Json, list[int]]:
        self._channel.send({"ask": what, "with": arguments})
        answer, files = self._channel.receive()
        if "denied" in answer:
            raise EgressDenied(answer["denied"])
        if "failed" in answer:
            raise ExecutorFailure(answer["failed"])
        return answer["value"], files

    def name(self, file: Path) -> str:
        return file.relative_to(self._folder).as_posix()


class _Bundles:
    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def put(self, file: Path) -> Bundle:
        return Bundle(**self._asking.ask("bundles.put", file=self._asking.name(file)))

    def find(self, reference: str) -> Bundle | None:
        return _bundle(self._asking.ask("bundles.find", reference=reference))

    def last_of_run(self) -> Bundle | None:
        return _bundle(self._asking.ask("bundles.last_of_run"))


def _bundle(answer: JsonObject | None) -> Bundle | None:
    return None if answer is None else Bundle(**answer)


class _Artifacts:
    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def fetch(self, name: str, into: Path) -> bool:
        return bool(self._asking.ask("artifacts.fetch", name=name, into=self._asking.name(into)))


class _Environments:
    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def promote(self, environment: str, bundle: Bundle) -> Revision:
        answer = self._asking.ask(
            "environments.promote", environment=environment, bundle=asdict(bundle)
        )
        return Revision(**answer)


class _Network:
    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        _, files = self._asking.ask_for_file(
            "network.connect", host=host, port=port, timeout_s=timeout_s
        )
        connection = socket.socket(fileno=files[0])
        connection.settimeout(timeout_s)
        return connection


class _Functions:
    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def invoke(self, name: str, payload: JsonObject) -> Json:
        return self._asking.ask("functions.invoke", name=name, payload=payload)


class _Images:
    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def findings(self, registry: str, repository: str, reference: str) -> JsonObject | None:
        answer: JsonObject | None = self._asking.ask(
            "images.findings", registry=registry, repository=repository, reference=reference
        )
        return answer
