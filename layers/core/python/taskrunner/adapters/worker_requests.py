"""The requests of workers as values: the bodies of four operations, and their members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from taskrunner.adapters.http_body import Body, refuse_unknown
from taskrunner.errors import InvalidRequestError
from taskrunner.model.media_types import media_type
from taskrunner.model.worker_reports import (
    MAX_BATCHES,
    MAX_FILES,
    AttemptEnd,
    Completion,
    FailureReason,
    LeaseReport,
    LeaseRequest,
    OutputBatch,
    Stream,
    UploadedFile,
    UploadRequest,
    Usage,
)

if TYPE_CHECKING:
    from enum import StrEnum

    from taskrunner.adapters.http_request import Request

    _Word = TypeVar("_Word", bound=StrEnum)

LEASE_MEMBERS: Final = ("pool", "worker", "labels", "waitSeconds")
HEARTBEAT_MEMBERS: Final = ("secret", "output")
_FILE_MEMBERS: Final = ("path", "sizeBytes", "sha256", "mediaType")
UPLOAD_MEMBERS: Final = ("secret", *_FILE_MEMBERS)
COMPLETION_MEMBERS: Final = (
    "secret",
    "status",
    "reason",
    "message",
    "outputs",
    "artifacts",
    "usage",
    "output",
)
_OUTPUT_MEMBERS: Final = ("sequence", "stream", "text")
_USAGE_MEMBERS: Final = ("wallSeconds", "cpuSeconds", "memoryMiB")


def lease_request(request: Request) -> LeaseRequest:
    """Return a worker's request for a job, for all tenants that the worker serves or for one.

    Raises:
        InvalidRequestError: the request is malformed.
        ForbiddenError: the worker does not belong to the tenant.
    """
    body = request.body
    labels = body.object("labels")
    return LeaseRequest(
        caller=request.caller,
        tenants=request.caller.served_tenants(request.tenant_header()),
        pool=body.required_text("pool"),
        worker=body.required_text("worker"),
        labels={name: Body(labels).text(name) or "" for name in labels},
        wait_s=body.integer("waitSeconds", 0),
    )


def lease_report(request: Request) -> LeaseReport:
    """Return a worker's report that it still runs its job; raises like `lease_request`.

    A header with another tenant than those of the worker is no reason to lose the job.
    """
    header = request.tenant_header()
    tenants = request.caller.tenants
    return LeaseReport(
        caller=request.caller,
        lease_id=request.path["leaseId"],
        secret=request.body.required_text("secret"),
        tenants=tuple(tenant for tenant in tenants if header in {None, tenant}),
        output=_output(request.body),
    )


def upload_request(request: Request) -> UploadRequest:
    """Return a worker's request to upload a file; raises like `lease_request`."""
    return UploadRequest(
        caller=request.caller,
        lease_id=request.path["leaseId"],
        secret=request.body.required_text("secret"),
        file=_file(request.body),
    )


def completion(request: Request) -> Completion:
    """Return a worker's report of the end of an attempt; raises like `lease_request`."""
    body = request.body
    reason = body.text("reason")
    return Completion(
        caller=request.caller,
        lease_id=request.path["leaseId"],
        secret=body.required_text("secret"),
        status=_word("status", body.required_text("status"), AttemptEnd),
        reason=None if reason is None else _word("reason", reason, FailureReason),
        message=body.text("message") or "",
        outputs=body.object("outputs"),
        files=tuple(map(_file, body.objects("artifacts", _FILE_MEMBERS, MAX_FILES))),
        usage=_usage(body),
        output=_output(body),
    )


def _output(body: Body) -> tuple[OutputBatch, ...]:
    return tuple(
        OutputBatch(
            sequence=part.integer("sequence"),
            stream=_word("stream", part.required_text("stream"), Stream),
            text=part.required_text("text"),
        )
        for part in body.objects("output", _OUTPUT_MEMBERS, MAX_BATCHES)
    )


def _file(body: Body) -> UploadedFile:
    path = body.required_text("path")
    return UploadedFile(
        path=path,
        size_bytes=body.integer("sizeBytes"),
        sha256=body.required_text("sha256"),
        media_type=body.text("mediaType") or media_type(path),
    )


def _usage(body: Body) -> Usage | None:
    if "usage" not in body.members:
        return None
    usage = Body(body.object("usage"))
    refuse_unknown("member of 'usage'", usage.members, _USAGE_MEMBERS)
    return Usage(
        wall_s=usage.number("wallSeconds"),
        cpu_s=usage.number("cpuSeconds"),
        memory_mib=usage.number("memoryMiB"),
    )


def _word(name: str, text: str, words: type[_Word]) -> _Word:
    if text not in set(words):
        raise InvalidRequestError("invalid_request", f"'{name}' must be one of {', '.join(words)}")
    return words(text)
