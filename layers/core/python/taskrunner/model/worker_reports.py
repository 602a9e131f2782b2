"""The requests of workers: for a job, about the job's attempt while it runs, and about its end.

Each value checks itself, so that none with a wrong part exists. A part that is wrong is named as
the API names it.
"""

from __future__ import annotations

import math
import re
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from taskrunner.errors import InvalidRequestError
from taskrunner.model.entries.job_entries import MAX_OUTPUT_CHARACTERS
from taskrunner.model.job import POOL_NAME, WORKER_NAME
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonMapping

MAX_WAIT_S: Final = 20
MAX_LABELS: Final = 20
MAX_BATCHES: Final = 4
# As many as a step of the sandbox may have. With its outcome they fit one transaction.
MAX_FILES: Final = 50
MAX_MESSAGE: Final = 1000  # characters
MAX_PATH: Final = 1000  # characters
MAX_FILE_BYTES: Final = 5 * 1024**3  # S3 takes no more in one request
_MAX_NUMBER: Final = 2**31 - 1
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
_LEASE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,2048}")
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_TYPE_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,99}"
_MEDIA_TYPE: Final = re.compile(f"{_TYPE_NAME}/{_TYPE_NAME}")


class Stream(StrEnum):
    """The stream that a script wrote to."""

    STDOUT = "stdout"
    STDERR = "stderr"


class AttemptEnd(StrEnum):
    """The end of an attempt."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


class FailureReason(StrEnum):
    """The reason that a worker gives for a failed attempt."""

    EXECUTOR_ERROR = "executor-error"
    TIMEOUT = "timeout"
    MEMORY_EXCEEDED = "memory-exceeded"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """A worker's request for a job of *pool*, for any of *tenants*.

    *worker* is the name that the worker gives itself, *labels* what it offers, and *wait_s* how
    long it waits for a job.
    """

    caller: Caller
    tenants: tuple[str, ...]
    pool: str
    worker: str
    labels: Mapping[str, str] = field(default_factory=dict)
    wait_s: int = 0

    def __post_init__(self) -> None:
        """Refuse a malformed request."""
        _check(
            POOL_NAME.fullmatch(self.pool),
            "'pool' has 1 to 63 lower-case letters, digits and hyphens, and does not begin "
            "with a hyphen",
        )
        _check(
            WORKER_NAME.fullmatch(self.worker),
            "'worker' has 1 to 64 of the characters a-z, A-Z, 0-9, '.', '_' and '-'",
        )
        _check(len(self.labels) <= MAX_LABELS, f"'labels' has at most {MAX_LABELS} members")
        for name, value in self.labels.items():
            _check(
                _LABEL.fullmatch(name) and _LABEL.fullmatch(value),
                "a label and its value have 1 to 63 of the characters a-z, A-Z, 0-9, '.', '_', '/' "
                "and '-', and begin with a letter or digit",
            )
        _check(0 <= self.wait_s <= MAX_WAIT_S, f"'waitSeconds' is from 0 to {MAX_WAIT_S}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputBatch:
    """A part of the output of an attempt; *sequence* counts the parts from 1."""

    sequence: int
    stream: Stream
    text: str

    def __post_init__(self) -> None:
        """Refuse a malformed batch."""
        _check(1 <= self.sequence <= _MAX_NUMBER, f"'sequence' is from 1 to {_MAX_NUMBER}")
        _check(
            len(self.text) <= MAX_OUTPUT_CHARACTERS,
            f"the 'text' of output has {len(self.text)} characters; at most "
            f"{MAX_OUTPUT_CHARACTERS} are allowed, so send it in several parts",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseReport:
    """A worker's report that it still runs the job of its lease, with its newest *output*.

    *tenants* are those that it takes jobs of.
    """

    caller: Caller
    lease_id: str
    secret: str
    tenants: tuple[str, ...] = ()
    output: tuple[OutputBatch, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a malformed report."""
        _check_lease(self.lease_id, self.secret)
        _check_output(self.output)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
    """A file that an attempt wrote; *path* is relative to its output folder."""

    path: str
    size_bytes: int
    sha256: str
    media_type: str

    def __post_init__(self) -> None:
        """Refuse a file that cannot be an artifact."""
        _check(
            _is_path(self.path),
            f"'path' has 1 to {MAX_PATH} printable characters, is relative to the output folder, "
            "and has no empty part, '.' or '..'",
        )
        _check(0 <= self.size_bytes <= MAX_FILE_BYTES, f"'sizeBytes' is from 0 to {MAX_FILE_BYTES}")
        _check(_SHA256.fullmatch(self.sha256), "'sha256' has 64 lower-case hex digits")
        _check(_MEDIA_TYPE.fullmatch(self.media_type), "'mediaType' is like text/xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """A worker's request for an address to upload a file of its attempt to."""

    caller: Caller
    lease_id: str
    secret: str
    file: UploadedFile

    def __post_init__(self) -> None:
        """Refuse a malformed request."""
        _check_lease(self.lease_id, self.secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The time and the memory that an attempt used."""

    wall_s: float
    cpu_s: float
    memory_mib: float

    def __post_init__(self) -> None:
        """Refuse what is not an amount."""
        for name, amount in (
            ("wallSeconds", self.wall_s),
            ("cpuSeconds", self.cpu_s),
            ("memoryMiB", self.memory_mib),
        ):
            is_amount = math.isfinite(amount) and 0 <= amount <= _MAX_NUMBER
            _check(is_amount, f"'{name}' is from 0 to {_MAX_NUMBER}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A worker's report that an attempt has ended, with its outputs, files and last output.

    *reason* is None exactly if it succeeded.
    """

    caller: Caller
    lease_id: str
    secret: str
    status: AttemptEnd
    reason: FailureReason | None = None
    message: str = ""
    outputs: JsonMapping = field(default_factory=dict)
    files: tuple[UploadedFile, ...] = ()
    usage: Usage | None = None
    output: tuple[OutputBatch, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a malformed report."""
        _check_lease(self.lease_id, self.secret)
        has_failed = self.status is AttemptEnd.FAILED
        _check(
            has_failed == (self.reason is not None),
            "'reason' is missing; a failed attempt has one"
            if has_failed
            else "'reason' is only sent for a failed attempt",
        )
        _check(
            len(self.message) <= MAX_MESSAGE,
            f"'message' has {len(self.message)} characters; at most {MAX_MESSAGE} are allowed",
        )
        _check(
            len(self.files) <= MAX_FILES,
            f"'artifacts' has {len(self.files)} files; at most {MAX_FILES} are allowed, "
            "so pack several into an archive",
        )
        paths = {file.path for file in self.files}
        _check(len(paths) == len(self.files), "'artifacts' names a path twice")
        _check_output(self.output)


def _check_lease(lease_id: str, secret: str) -> None:
    _check(_LEASE_ID.fullmatch(lease_id), "the lease's id in the path is not one of this service")
    _check(_SECRET.fullmatch(secret), "'secret' has 43 characters; send that of the lease")


def _check_output(output: tuple[OutputBatch, ...]) -> None:
    _check(len(output) <= MAX_BATCHES, f"'output' has at most {MAX_BATCHES} parts")
    numbers = [batch.sequence for batch in output]
    _check(numbers == sorted(set(numbers)), "'output' is in the order of 'sequence', each once")


def _is_path(path: str) -> bool:
    parts = path.split("/")
    return (
        len(path) <= MAX_PATH
        and path.isprintable()
        and all(part not in {"", ".", ".."} for part in parts)
    )


def _check(condition: object, message: str) -> None:
    """Refuse the request with *message* unless *condition* is true."""
    if not condition:
        raise InvalidRequestError("invalid_request", message)
