"""The parent's side of one attempt: sends it to the child and answers the child's calls."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, TypeAlias, assert_never

from taskrunner.executors.work import EgressDenied, ExecutorFailure
from taskrunner.sandbox import messages
from taskrunner.sandbox.channel import ChannelClosedError, NoMessageError
from taskrunner.sandbox.messages import (
    CallDenied,
    CallFailed,
    Connect,
    Crashed,
    Denied,
    Execute,
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
    Prepare,
    PromoteBundle,
    PutBundle,
    Returned,
)

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.executors.work import Bundle, Services
    from taskrunner.model.json_types import Json
    from taskrunner.sandbox.attempt import AttemptRequest
    from taskrunner.sandbox.channel import Channel
    from taskrunner.sandbox.messages import Answer, Ending

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


class Session:
    """One attempt's conversation with its child over *channel*.

    Afterwards *ending* is how the child said that it ended, or None when it died without a word,
    and *error* is what a service raised that is not an answer, such as TryAgainError.
    """

    def __init__(
        self,
        channel: Channel,
        request: AttemptRequest,
        services: Services,
        *,
        is_prepared: bool = False,
    ) -> None:
        """Send nothing yet. *is_prepared* is whether the child has the attempt's Prepare."""
        self.ending: Ending | None = None
        self.error: BaseException | None = None
        self._channel = channel
        self._request = request
        self._services = services
        self._is_prepared = is_prepared

    def run(self) -> None:
        """Send the attempt, answer calls until the child ends, and close the channel."""
        try:
            if not self._is_prepared:
                prepare = Prepare(self._request.uses, self._request.limits)
                self._channel.send(messages.encode(prepare))
            self._channel.send(messages.encode(Execute(self._request)))
            while self.ending is None:
                self._receive()
        except NoMessageError:
            self.ending = Failed("the executor's process sent something that is not a message")
        except ChannelClosedError:
            return
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            self.error = error
        finally:
            self._channel.close()

    def _receive(self) -> None:
        document, _ = self._channel.receive()
        try:
            message = messages.decode_from_child(document)
        except MalformedMessageError:
            refusal = CallFailed("the executor made a call that the sandbox does not offer")
            self._channel.send(messages.encode(refusal))
            return
        match message:
            case Finished() | Failed() | Denied() | OutOfMemory() | Crashed():
                self.ending = message
            case Connect(host, port, timeout_s):
                self._connect(host, port, timeout_s)
            case _:
                self._channel.send(messages.encode(self._answer(message)))

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
        folder = self._request.folder
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
