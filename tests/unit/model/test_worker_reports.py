"""The requests of workers refuse what is malformed, and name it as the API does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import InvalidRequestError
from taskrunner.model.caller import Caller
from taskrunner.model.worker_reports import (
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
    from collections.abc import Callable

CALLER = Caller(subject="build-7", scopes=frozenset({"worker"}), tenants=("acme",))
SECRET = "s" * 43


def lease_request(**changes: Any) -> LeaseRequest:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {"pool": "linux", "worker": "build-7", "labels": {"gpu": "no"}}
    return LeaseRequest(caller=CALLER, tenants=("acme",), **(fields | changes))


def batch(sequence: int = 1, text: str = "compiling\n") -> OutputBatch:
    return OutputBatch(sequence=sequence, stream=Stream.STDOUT, text=text)


def report(**changes: Any) -> LeaseReport:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {"caller": CALLER, "lease_id": "bGVhc2U", "secret": SECRET}
    return LeaseReport(**(fields | changes))


def file(**changes: Any) -> UploadedFile:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "path": "reports/junit.xml",
        "size_bytes": 123,
        "sha256": "a" * 64,
        "media_type": "text/xml",
    }
    return UploadedFile(**(fields | changes))


def completion(**changes: Any) -> Completion:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "caller": CALLER,
        "lease_id": "bGVhc2U",
        "secret": SECRET,
        "status": AttemptEnd.SUCCEEDED,
        "usage": Usage(wall_s=1.5, cpu_s=0.7, memory_mib=120),
    }
    return Completion(**(fields | changes))


def refusal(make: Callable[..., object], **changes: Any) -> str:  # noqa: ANN401 - any field
    with pytest.raises(InvalidRequestError) as refused:
        make(**changes)
    assert refused.value.code == "invalid_request"
    return str(refused.value)


def test_accepts_requests_at_their_limits() -> None:
    lease_request(worker="w" * 64, pool="p" * 63, wait_s=20)
    lease_request(labels={f"name-{number}": "x" * 63 for number in range(20)})
    report(output=tuple(batch(number, "x" * 4000) for number in range(1, 5)))
    UploadRequest(caller=CALLER, lease_id="bGVhc2U", secret=SECRET, file=file(path="x" * 1000))
    completion(files=tuple(file(path=f"{number}.txt") for number in range(50)))
    completion(status=AttemptEnd.FAILED, reason=FailureReason.STOPPED, message="x" * 1000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pool": "Linux"}, "'pool' has"),
        ({"pool": "-linux"}, "'pool' has"),
        ({"pool": "linux\n"}, "'pool' has"),
        ({"worker": ""}, "'worker' has"),
        ({"worker": "build 7"}, "'worker' has"),
        ({"labels": {f"name-{number}": "x" for number in range(21)}}, "at most 20"),
        ({"labels": {"": "no"}}, "a label and its value"),
        ({"labels": {"gpu": "x" * 64}}, "a label and its value"),
        ({"labels": {"gpu": "a\nb"}}, "a label and its value"),
        ({"wait_s": 21}, "'waitSeconds' is from 0 to 20"),
        ({"wait_s": -1}, "'waitSeconds' is from 0 to 20"),
    ],
)
def test_refuses_a_malformed_request_for_a_job(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(lease_request, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lease_id": ""}, "lease's id"),
        ({"lease_id": "a/b"}, "lease's id"),
        ({"secret": "s" * 42}, "'secret' has 43 characters"),
        ({"output": tuple(batch(number) for number in range(1, 6))}, "at most 4 parts"),
        ({"output": (batch(2), batch(1))}, "in the order of 'sequence'"),
        ({"output": (batch(1), batch(1))}, "in the order of 'sequence'"),
    ],
)
def test_refuses_a_malformed_report(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(report, **changes)


def test_refuses_output_with_a_wrong_number_or_too_long() -> None:
    assert "from 1" in refusal(batch, sequence=0)
    assert "has 4001 characters; at most 4000" in refusal(batch, text="x" * 4001)


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../secret", "a//b", "a/./b", "a/", "a\x00b", "a\nb", "\ud800", "x" * 1001],
)
def test_refuses_a_path_that_leaves_the_output_folder(path: str) -> None:
    assert "'path' has" in refusal(file, path=path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size_bytes": -1}, "'sizeBytes' is from 0"),
        ({"size_bytes": 5 * 1024**3 + 1}, "'sizeBytes' is from 0"),
        ({"sha256": "A" * 64}, "'sha256' has"),
        ({"media_type": "text"}, "'mediaType' is like"),
        ({"media_type": "text/xml\r\nX-Other: 1"}, "'mediaType' is like"),
    ],
)
def test_refuses_a_malformed_file(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(file, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": AttemptEnd.FAILED}, "'reason' is missing"),
        ({"reason": FailureReason.TIMEOUT}, "only sent for a failed attempt"),
        ({"message": "x" * 1001}, "'message' has 1001 characters"),
        ({"files": (file(), file())}, "names a path twice"),
        ({"files": tuple(file(path=f"{number}.txt") for number in range(51))}, "at most 50"),
        ({"output": (batch(2), batch(1))}, "in the order of 'sequence'"),
        ({"secret": ""}, "'secret' has"),
    ],
)
def test_refuses_a_malformed_completion(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(completion, **changes)


@pytest.mark.parametrize("amount", [-0.1, float("inf"), float("nan")])
def test_refuses_a_usage_that_is_not_an_amount(amount: float) -> None:
    for name in ("wall_s", "cpu_s", "memory_mib"):
        amounts = {"wall_s": 1.0, "cpu_s": 1.0, "memory_mib": 1.0, name: amount}
        assert "is from 0" in refusal(Usage, **amounts)
