"""The documents of the worker's operations, as types; `documents` says how they are checked."""

from typing import Final, Literal, NotRequired, TypeAlias, TypedDict

from taskrunner_cli.api.documents import PackName
from taskrunner_cli.json_types import JsonObject

Stream: TypeAlias = Literal["stdout", "stderr"]
FailureReason: TypeAlias = Literal["executor-error", "timeout", "memory-exceeded", "stopped"]

LEASE_LOST: Final = "lease_lost"
"""The service's error code for a lease that has run out or has been replaced."""


class LeasedRun(TypedDict):
    """The run that a leased job belongs to."""

    id: str
    tenant: str
    pack: NotRequired[PackName]


class InputArtifact(TypedDict):
    """A file that the job reads, with the presigned address to get it from."""

    name: str
    fileName: str
    url: str
    sizeBytes: int
    sha256: str


Lease = TypedDict(
    "Lease",
    {
        "leaseId": str,
        "secret": str,
        "expiresAt": str,
        "heartbeatSeconds": NotRequired[float],
        "run": LeasedRun,
        "stepId": str,
        "attempt": int,
        "idempotencyKey": str,
        "timeoutSeconds": float,
        "with": dict[str, object],
        "artifacts": NotRequired[list[InputArtifact]],
        "secrets": NotRequired[dict[str, str]],
    },
)
Lease.__doc__ = "The right to run a job, and the job."


class HeartbeatAnswer(TypedDict):
    """The answer to a heartbeat: to go on or to stop, and the lease's new end."""

    action: str
    reason: NotRequired[str]
    expiresAt: str
    outputBytesLeft: NotRequired[int]


class UploadAddress(TypedDict):
    """A presigned address for a file, and the headers to send with it."""

    url: str
    headers: NotRequired[dict[str, str]]


class CompletionAnswer(TypedDict):
    """The answer to a completion: the status that the attempt has."""

    status: str
    attempt: NotRequired[int]


class OutputItem(TypedDict):
    """A piece of a job's output; sequences count from 1."""

    sequence: int
    stream: Stream
    text: str


class OutputFile(TypedDict):
    """A file that the job wrote below its folder `output`."""

    path: str
    sizeBytes: int
    sha256: str
    mediaType: str


class Usage(TypedDict):
    """The time and the memory that a job took."""

    wallSeconds: float
    cpuSeconds: float
    memoryMiB: int


class Completion(TypedDict):
    """The end of an attempt, for the service."""

    status: Literal["succeeded", "failed"]
    reason: NotRequired[FailureReason]
    message: NotRequired[str]
    outputs: NotRequired[JsonObject]
    artifacts: NotRequired[list[OutputFile]]
    usage: NotRequired[Usage]
    output: NotRequired[list[OutputItem]]
