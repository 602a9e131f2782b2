"""The messages between the processes of the sandbox, and their form as JSON.

    from        to        messages
    launcher    server    Fork, with the child's end of a socket
    server      launcher  Forked, and Exited when the child has ended
    session     child     Prepare, then Execute, then one Answer to each Call
    child       session   any number of Calls, then one Ending, unless the process dies first

A message is an object with the name of its class under `type` and its fields beside it. A child may
send anything, so the decoders check the type of every field.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from taskrunner.executors.work import Bundle
from taskrunner.sandbox.attempt import AttemptRequest, Limits

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json, JsonObject

_MOST: Final = 2**31  # of seconds and MiB that a process can have used

# Named tuples and not dataclasses: a cold start defines all of these, in 1 ms instead of 13.


class MalformedMessageError(Exception):
    """The object is not a message that its receiver expects."""


class Fork(NamedTuple):
    """Fork a child for the socket that comes with this message."""


class Forked(NamedTuple):
    """The child is running."""

    pid: int


class Exited(NamedTuple):
    """The child has ended; *status* is that of wait(2)."""

    status: int
    cpu_s: float
    memory_mib: int


class Prepare(NamedTuple):
    """Import the executor *uses*, then apply *limits*: the import is not the executor's usage."""

    uses: str
    limits: Limits


class Execute(NamedTuple):
    """Execute the attempt."""

    request: AttemptRequest


class PutBundle(NamedTuple):
    """Call `Bundles.put`; *file* is a path below the attempt's folder, as in every call."""

    file: str


class FindBundle(NamedTuple):
    """Call `Bundles.find`."""

    reference: str


class FindLastBundle(NamedTuple):
    """Call `Bundles.last_of_run`."""


class FindArtifacts(NamedTuple):
    """Call `Artifacts.matching`."""

    name: str


class FetchArtifact(NamedTuple):
    """Call `Artifacts.fetch`."""

    name: str
    into: str


class PromoteBundle(NamedTuple):
    """Call `Environments.promote`."""

    environment: str
    bundle: Bundle


class Connect(NamedTuple):
    """Call `Network.connect`; the connected socket comes with the answer."""

    host: str
    port: int
    timeout_s: float


class InvokeFunction(NamedTuple):
    """Call `Functions.invoke`."""

    name: str
    payload: JsonObject


class FindImageScan(NamedTuple):
    """Call `Images.findings`."""

    registry: str
    repository: str
    reference: str


class Returned(NamedTuple):
    """The call returned *value*; a Bundle or a Revision is an object of its fields."""

    value: Json


class CallFailed(NamedTuple):
    """The call raised ExecutorFailure."""

    message: str


class CallDenied(NamedTuple):
    """The call raised EgressDenied."""

    message: str


class Finished(NamedTuple):
    """The executor returned *outputs*, and the attempt had taken so much until then."""

    outputs: Json
    wall_s: float
    cpu_s: float
    memory_mib: int


class Failed(NamedTuple):
    """The executor raised ExecutorFailure, or its outputs are not JSON."""

    message: str


class Denied(NamedTuple):
    """The executor raised EgressDenied."""

    message: str


class OutOfMemory(NamedTuple):
    """The executor needed more memory than its limit."""


class Crashed(NamedTuple):
    """The executor raised an unexpected error; its text may hold a secret, so only its kind."""

    error: str


Call: TypeAlias = (
    PutBundle
    | FindBundle
    | FindLastBundle
    | FindArtifacts
    | FetchArtifact
    | PromoteBundle
    | Connect
    | InvokeFunction
    | FindImageScan
)
Answer: TypeAlias = Returned | CallFailed | CallDenied
Ending: TypeAlias = Finished | Failed | Denied | OutOfMemory | Crashed
Message: TypeAlias = Fork | Forked | Exited | Prepare | Execute | Call | Answer | Ending


def encode(message: Message) -> JsonObject:
    """Return *message* as a JSON object."""
    fields = {name: _plain(value) for name, value in message._asdict().items()}
    return {"type": type(message).__name__, **fields}


def _plain(value: Json) -> Json:
    match value:
        case AttemptRequest():
            # Not asdict, which would copy the whole plan.
            fields = {name: getattr(value, name) for name in value.__slots__}
            return fields | {"folder": str(value.folder), "limits": asdict(value.limits)}
        case Bundle() | Limits():
            return asdict(value)
        case _:
            return value


def decode_from_server(document: JsonObject) -> Forked | Exited:
    """Read what the server sends to the launcher.

    Raises:
        MalformedMessageError: it is not one of these messages.
    """
    match document:
        case {"type": "Forked", "pid": int(pid)}:
            return Forked(pid)
        case {
            "type": "Exited",
            "status": int(status),
            "cpu_s": float(cpu_s),
            "memory_mib": int(memory_mib),
        }:
            return Exited(status, cpu_s, memory_mib)
        case _:
            raise MalformedMessageError


def decode_from_session(document: JsonObject) -> Prepare | Execute | Answer:
    """Read what the session sends to the child.

    Raises:
        MalformedMessageError: it is not one of these messages.
    """
    match document:
        case {"type": "Prepare", "uses": str(uses), "limits": dict(limits)}:
            return Prepare(uses, Limits(**limits))
        case {"type": "Execute", "request": dict(request)}:
            request["folder"] = Path(request["folder"])
            request["limits"] = Limits(**request["limits"])
            return Execute(AttemptRequest(**request))
        case {"type": "Returned", "value": value}:
            return Returned(value)
        case {"type": "CallFailed", "message": str(message)}:
            return CallFailed(message)
        case {"type": "CallDenied", "message": str(message)}:
            return CallDenied(message)
        case _:
            raise MalformedMessageError


def decode_from_child(document: JsonObject) -> Call | Ending:
    """Read what a child sends to the session.

    Raises:
        MalformedMessageError: it is not one of these messages.
    """
    match document:
        case {
            "type": "Finished",
            "outputs": outputs,
            "wall_s": float(wall_s),
            "cpu_s": float(cpu_s),
            "memory_mib": int(memory_mib),
        } if all(0 <= used < _MOST for used in (wall_s, cpu_s, memory_mib)):
            return Finished(outputs, wall_s, cpu_s, memory_mib)
        case {"type": "Failed", "message": str(message)}:
            return Failed(message)
        case {"type": "Denied", "message": str(message)}:
            return Denied(message)
        case {"type": "OutOfMemory"}:
            return OutOfMemory()
        case {"type": "Crashed", "error": str(error)}:
            return Crashed(error)
        case _:
            return _decode_call(document)


def _decode_call(document: JsonObject) -> Call:
    match document:
        case {"type": "PutBundle", "file": str(file)}:
            return PutBundle(file)
        case {"type": "FindBundle", "reference": str(reference)}:
            return FindBundle(reference)
        case {"type": "FindLastBundle"}:
            return FindLastBundle()
        case {"type": "FindArtifacts", "name": str(name)}:
            return FindArtifacts(name)
        case {"type": "FetchArtifact", "name": str(name), "into": str(into)}:
            return FetchArtifact(name, into)
        case {"type": "PromoteBundle", "environment": str(environment), "bundle": dict(bundle)}:
            return PromoteBundle(environment, _decode_bundle(bundle))
        case {
            "type": "Connect",
            "host": str(host),
            "port": int(port),
            "timeout_s": int() | float() as timeout_s,
        }:
            return Connect(host, port, timeout_s)
        case {"type": "InvokeFunction", "name": str(name), "payload": dict(payload)}:
            return InvokeFunction(name, payload)
        case {
            "type": "FindImageScan",
            "registry": str(registry),
            "repository": str(repository),
            "reference": str(reference),
        }:
            return FindImageScan(registry, repository, reference)
        case _:
            raise MalformedMessageError


def _decode_bundle(document: JsonObject) -> Bundle:
    match document:
        case {"reference": str(reference), "digest": str(digest), "size_bytes": int(size_bytes)}:
            return Bundle(reference, digest, size_bytes)
        case _:
            raise MalformedMessageError
