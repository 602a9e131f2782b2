"""The parent's side of one attempt: sends it to the child and answers the child's calls."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import asdict
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias, assert_never

from taskrunner.executors.work import EgressDenied, ExecutorFailure
from taskrunner.sandbox import attempt_folder, messages
from taskrunner.sandbox.channel import ChannelClosedError, DeadlineError, NoMessageError
from taskrunner.sandbox.messages import (
    CallDenied,
    CallFailed,
    Connect,
    Crashed,
    Denied,
    Failed,
    FetchArtifact,
    FindArtifacts,
    FindBundle,
    FindImageScan,
    FindLastBundle,
    Finished,
    InvokeFunction,
    MalformedMessageError,
    OutOfMemory,
    PromoteBundle,
    PutBundle,
    Returned,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from taskrunner.executors.work import Bundle, Services
    from taskrunner.model.json_types import Json
    from taskrunner.sandbox.channel import Channel
    from taskrunner.sandbox.messages import Answer, Ending, Message

    _PlainCall: TypeAlias = (
        PutBundle
        | FindBundle
        | FindLastBundle
        | FindArtifacts
        | FetchArtifact
        | PromoteBundle
        | InvokeFunction
        | FindImageScan
    )
    _Call: TypeAlias = _PlainCall | Connect | MalformedMessageError


class Session:
    """One attempt's conversation with its child over *channel*.

    Afterwards *ending* is how the child said that it ended, or None when it died without a word,
    and *error* is what a service raised that is not an answer, such as TryAgainError.
    """

    def __init__(self, channel: Channel, folder: Path, services: Services) -> None:
        """Send nothing yet. *folder* is the attempt's, and *services* serve the child's calls."""
        self.ending: Ending | None = None
        self.error: BaseException | None = None
        self._channel = channel
        self._folder = folder
        self._services = services

    def run(self, opening: Sequence[Message], wall_s: float) -> bool:
        """Send the *opening*, answer calls until the child ends, and close the channel.

        Return whether it has ended within *wall_s* seconds. One that has not may go on.
        """
        until = monotonic() + wall_s
        try:
            call = self._first_call(opening, until)
        except DeadlineError:
            self._channel.close()
            return False
        if call is None:
            self._channel.close()
            return True
        # In a thread, because a service may take longer than the attempt may.
        thread = threading.Thread(target=self._serve, args=[call], daemon=True)
        thread.start()
        thread.join(until - monotonic())
        if not thread.is_alive():
            return True
        attempt_folder.abandon(self._folder)  # a service may write to it later
        return False

    def _first_call(self, opening: Sequence[Message], until: float) -> _Call | None:
        """Return the first call of a child; None if it has ended, as most do without a call.

        Raises:
            DeadlineError: the child does neither before *until*.
        """
        self._channel.set_deadline(until)
        with self._noting_the_end():
            for message in opening:
                self._channel.send(messages.encode(message))
            call = self._receive()
            self._channel.set_deadline(None)
            return call
        return None

    def _serve(self, call: _Call | None) -> None:
        with self._noting_the_end():
            while call is not None:
                match call:
                    case MalformedMessageError():
                        message = "the executor made a call that the sandbox does not offer"
                        self._channel.send(messages.encode(CallFailed(message)))
                    case Connect(host, port, timeout_s):
                        self._connect(host, port, timeout_s)
                    case _:
                        self._channel.send(messages.encode(self._answer(call)))
                call = self._receive()
        self._channel.close()

    @contextmanager
    def _noting_the_end(self) -> Iterator[None]:
        try:
            yield
        except NoMessageError:
            self.ending = Failed("the executor's process sent something that is not a message")
        except ChannelClosedError:
            return
        except DeadlineError:
            raise
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            self.error = error

    def _receive(self) -> _Call | None:
        """Return the child's next call, or what is wrong with it; None if the child has ended."""
        document, _ = self._channel.receive()
        try:
            message = messages.decode_from_child(document)
        except MalformedMessageError as error:
            return error
        match message:
            case Finished() | Failed() | Denied() | OutOfMemory() | Crashed():
                self.ending = message
                return None
            case _:
                return message

    def _connect(self, host: str, port: int, timeout_s: float) -> None:
        try:
            connection = self._services.network.connect(host, port, timeout_s)
        except ExecutorFailure as failure:
            self._channel.send(messages.encode(_refusal(failure)))
            return
        with connection:
            self._channel.send(messages.encode(Returned(None)), [connection.fileno()])

    def _answer(self, call: _PlainCall) -> Answer:
        try:
            return Returned(self._served(call))
        except ExecutorFailure as failure:
            return _refusal(failure)

    def _served(self, call: _PlainCall) -> Json:
        services = self._services
        match call:
            case PutBundle(file):
                return asdict(services.bundles.put(self._file(file)))
            case FindBundle(reference):
                return _fields(services.bundles.find(reference))
            case FindLastBundle():
                return _fields(services.bundles.last_of_run())
            case FindArtifacts(name):
                return list(services.artifacts.matching(name))
            case FetchArtifact(name, into):
                return services.artifacts.fetch(name, self._file(into))
            case PromoteBundle(environment, bundle):
                return asdict(services.environments.promote(environment, bundle))
            case InvokeFunction(name, payload):
                return services.functions.invoke(name, payload)
            case FindImageScan(registry, repository, reference):
                return services.images.findings(registry, repository, reference)
            case _:
                assert_never(call)

    def _file(self, path: str) -> Path:
        """Return the file at *path* in the attempt's folder; no other file may be touched."""
        folder = self._folder
        file = (folder / path).resolve()
        if not file.is_relative_to(folder.resolve()):
            raise ExecutorFailure(f"'{path}' is not a file of this step")
        return file


def _refusal(failure: ExecutorFailure) -> CallFailed | CallDenied:
    if isinstance(failure, EgressDenied):
        return CallDenied(str(failure))
    return CallFailed(str(failure))


def _fields(bundle: Bundle | None) -> Json:
    return None if bundle is None else asdict(bundle)
