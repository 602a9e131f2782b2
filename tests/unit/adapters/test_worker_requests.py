"""The bodies of a worker's requests become values, and what they do not know is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters import worker_requests
from taskrunner.adapters.http_body import Body
from taskrunner.adapters.http_request import Request
from taskrunner.errors import ForbiddenError, InvalidRequestError
from taskrunner.model.caller import Caller
from taskrunner.model.worker_reports import (
    AttemptEnd,
    FailureReason,
    OutputBatch,
    Stream,
    UploadedFile,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECRET = "s" * 43
LEASE = {"pool": "linux", "worker": "build-7"}
PART = {"sequence": 1, "stream": "stderr", "text": "a\n"}
FILE = {"path": "reports/junit.xml", "sizeBytes": 123, "sha256": "a" * 64, "mediaType": "text/xml"}
USAGE = {"wallSeconds": 1.5, "cpuSeconds": 0.7, "memoryMiB": 120}


def a_request(members: Mapping[str, Any], **headers: str) -> Request:
    caller = Caller(subject="build", scopes=frozenset({"worker"}), tenants=("acme", "globex"))
    return Request(
        method="POST",
        resource="/v1/task-runner/worker/leases",
        base_url="https://api.test/live",
        caller=caller,
        path={"leaseId": "bGVhc2U"},
        query={},
        headers=headers,
        raw_body=None,
        body=Body(members),
    )


def refusal(read: Callable[[Request], object], members: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidRequestError) as refused:
        read(a_request(members))
    return str(refused.value)


def test_reads_a_request_for_a_job() -> None:
    members = LEASE | {"labels": {"gpu": "no"}, "waitSeconds": 20}

    request = worker_requests.lease_request(a_request(members))

    assert (request.pool, request.worker, request.wait_s) == ("linux", "build-7", 20)
    assert request.labels == {"gpu": "no"}
    assert request.caller.subject == "build"
    assert request.tenants == ("acme", "globex")


def test_a_request_for_a_job_waits_for_nothing_without_a_time() -> None:
    assert worker_requests.lease_request(a_request(LEASE)).wait_s == 0


def test_the_header_chooses_one_of_the_workers_tenants() -> None:
    chosen = a_request(LEASE, **{"x-stellaops-tenant": "globex"})
    foreign = a_request(LEASE, **{"x-stellaops-tenant": "initech"})

    assert worker_requests.lease_request(chosen).tenants == ("globex",)
    with pytest.raises(ForbiddenError):
        worker_requests.lease_request(foreign)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"worker": "build-7"}, "'pool' is missing"),
        ({"pool": "linux"}, "'worker' is missing"),
        (LEASE | {"labels": []}, "'labels' must be an object"),
        (LEASE | {"labels": {"gpu": 1}}, "'gpu' must be a string"),
        (LEASE | {"labels": {"gpu": None}}, "'gpu' must not be null"),
        (LEASE | {"waitSeconds": "20"}, "'waitSeconds' must be a number"),
        (LEASE | {"waitSeconds": 1.5}, "'waitSeconds' must be a whole number"),
        (LEASE | {"waitSeconds": True}, "'waitSeconds' must be a number"),
        (LEASE | {"waitSeconds": None}, "'waitSeconds' must not be null"),
    ],
)
def test_refuses_a_malformed_request_for_a_job(members: dict[str, Any], message: str) -> None:
    assert message in refusal(worker_requests.lease_request, members)


def test_reads_a_heartbeat_with_and_without_output() -> None:
    with_output = a_request({"secret": SECRET, "output": [PART]})

    report = worker_requests.lease_report(with_output)

    assert (report.lease_id, report.secret) == ("bGVhc2U", SECRET)
    assert report.output == (OutputBatch(sequence=1, stream=Stream.STDERR, text="a\n"),)
    assert worker_requests.lease_report(a_request({"secret": SECRET})).output == ()


@pytest.mark.parametrize(
    ("headers", "tenants"),
    [
        ({}, ("acme", "globex")),
        ({"x-stellaops-tenant": "globex"}, ("globex",)),
        ({"x-stellaops-tenant": "initech"}, ()),
    ],
)
def test_a_heartbeat_is_of_a_worker_of_some_tenants(
    headers: dict[str, str], tenants: tuple[str, ...]
) -> None:
    report = worker_requests.lease_report(a_request({"secret": SECRET}, **headers))

    assert report.tenants == tenants


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({}, "'output' must be a list of at most 4 objects"),
        ([PART] * 5, "'output' must be a list of at most 4 objects"),
        (["text"], "'output' must be an object"),
        ([PART | {"txt": ""}], "unknown member of 'output' 'txt'; did you mean 'text'?"),
        ([{"sequence": 1, "stream": "stdout"}], "'text' is missing"),
        ([{"stream": "stdout", "text": ""}], "'sequence' is missing"),
        ([PART | {"stream": "log"}], "'stream' must be one of stdout, stderr"),
    ],
)
def test_refuses_malformed_output(output: object, message: str) -> None:
    assert message in refusal(worker_requests.lease_report, {"secret": SECRET, "output": output})


def test_reads_a_request_to_upload_a_file() -> None:
    request = worker_requests.upload_request(a_request({"secret": SECRET} | FILE))

    assert request.file == UploadedFile(
        path="reports/junit.xml", size_bytes=123, sha256="a" * 64, media_type="text/xml"
    )


def test_a_file_without_a_media_type_has_that_of_its_ending() -> None:
    members = {name: value for name, value in FILE.items() if name != "mediaType"}

    request = worker_requests.upload_request(a_request({"secret": SECRET} | members))

    assert request.file.media_type == "application/xml"


def test_reads_the_end_of_an_attempt() -> None:
    members = {
        "secret": SECRET,
        "status": "failed",
        "reason": "timeout",
        "message": "exit status 2",
        "outputs": {"count": 1},
        "artifacts": [FILE],
        "usage": USAGE,
        "output": [PART],
    }

    end = worker_requests.completion(a_request(members))

    assert (end.status, end.reason) == (AttemptEnd.FAILED, FailureReason.TIMEOUT)
    assert (end.message, end.outputs) == ("exit status 2", {"count": 1})
    assert [file.path for file in end.files] == ["reports/junit.xml"]
    assert end.usage == Usage(wall_s=1.5, cpu_s=0.7, memory_mib=120)
    assert len(end.output) == 1


def test_the_end_of_an_attempt_needs_a_status_alone() -> None:
    end = worker_requests.completion(a_request({"secret": SECRET, "status": "succeeded"}))

    assert (end.reason, end.message, end.outputs) == (None, "", {})
    assert (end.files, end.usage, end.output) == ((), None, ())


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "'secret' is missing"),
        ({"secret": SECRET}, "'status' is missing"),
        ({"secret": SECRET, "status": "Succeeded"}, "'status' must be one of succeeded, failed"),
        (
            {"secret": SECRET, "status": "failed", "reason": "broken"},
            "'reason' must be one of executor-error, timeout, memory-exceeded, stopped",
        ),
        ({"secret": SECRET, "status": "failed"}, "'reason' is missing"),
        (
            {"secret": SECRET, "status": "succeeded", "artifacts": [FILE] * 51},
            "'artifacts' must be a list of at most 50 objects",
        ),
        (
            {"secret": SECRET, "status": "succeeded", "artifacts": [FILE | {"name": "a"}]},
            "unknown member of 'artifacts' 'name'",
        ),
        (
            {"secret": SECRET, "status": "succeeded", "usage": USAGE | {"cpuSecond": 1}},
            "unknown member of 'usage' 'cpuSecond'; did you mean 'cpuSeconds'?",
        ),
        ({"secret": SECRET, "status": "succeeded", "usage": {}}, "'wallSeconds' is missing"),
        ({"secret": SECRET, "status": "succeeded", "usage": None}, "'usage' must not be null"),
    ],
)
def test_refuses_a_malformed_end(members: dict[str, Any], message: str) -> None:
    assert message in refusal(worker_requests.completion, members)
