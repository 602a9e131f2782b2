from __future__ import annotations

import base64
import errno
import hashlib
import resource
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.adapters.artifacts import StoredArtifacts
from taskrunner.adapters.bucket import Bucket
from taskrunner.adapters.retention import Retention
from taskrunner.adapters.table import Table
from taskrunner.errors import TryAgainError
from taskrunner.executors.work import ExecutorFailure
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from tests.unit.adapters.s3_stand_in import client, s3_stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.adapters.s3_stand_in import S3StandIn

MIB = 1024 * 1024
LARGE = 500 * MIB


@pytest.fixture(name="s3")
def _s3() -> Iterator[S3StandIn]:
    with s3_stand_in() as stand_in:
        yield stand_in


def test_sends_the_recorded_digest_to_s3(s3: S3StandIn, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")

    stored = Bucket(client(s3.url), "runs").put_file(
        lambda sha256: f"acme/{sha256}", tmp_path / "a", "text/plain", ""
    )

    digest = hashlib.sha256(b"abc")
    assert stored == (3, digest.hexdigest())
    checksum = s3.checksums[f"/runs/acme/{digest.hexdigest()}"]
    assert checksum == base64.b64encode(digest.digest()).decode()


def test_removes_a_file_that_was_fetched_in_part(s3: S3StandIn, tmp_path: Path) -> None:
    s3.sizes["/runs/a"], s3.cut_at = 3 * MIB, 2 * MIB

    with pytest.raises(TryAgainError):
        Bucket(client(s3.url), "runs").fetch("a", tmp_path / "a")

    assert not (tmp_path / "a").exists()


def test_does_not_follow_a_link_in_place_of_the_file(s3: S3StandIn, tmp_path: Path) -> None:
    s3.sizes["/runs/a"] = 10
    (tmp_path / "ours").write_text("ours")
    (tmp_path / "a").symlink_to(tmp_path / "ours")

    with pytest.raises(OSError, match="symbolic links") as caught:
        Bucket(client(s3.url), "runs").fetch("a", tmp_path / "a")

    assert caught.value.errno == errno.ELOOP
    assert (tmp_path / "ours").read_text() == "ours"


def test_reports_a_full_disk_as_the_executors_failure(s3: S3StandIn, tmp_path: Path) -> None:
    s3.sizes["/runs/acme/runs/r/report"] = 3 * MIB
    bucket = Bucket(client(s3.url), "runs")
    artifacts = StoredArtifacts(Table(None, "runs"), bucket, Retention(30))
    report = Artifact(
        name="report",
        type=ArtifactType.FILE,
        status=ArtifactStatus.CAPTURED,
        stored_path="runs/r/report",
    )
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))
    try:
        with pytest.raises(ExecutorFailure, match="'report' does not fit on the step's disk"):
            artifacts.fetch("acme", report, tmp_path / "into")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert not (tmp_path / "into").exists()


def test_reads_a_size_without_the_content() -> None:
    s3 = client()
    with Stubber(s3) as stub:
        stub.add_response("head_object", {"ContentLength": 7}, {"Bucket": "runs", "Key": "a"})
        stub.add_client_error("head_object", "404", http_status_code=404)

        bucket = Bucket(s3, "runs")

        assert bucket.size_bytes("a") == 7
        assert bucket.size_bytes("b") is None


@cache
def downloads() -> Bucket:
    """A bucket whose client only signs addresses, so one does for all of them."""
    return Bucket(client(), "runs")


def disposition(file_name: str) -> str:
    url = downloads().url("acme/a", file_name, "text/html", 300)
    query = parse_qs(urlsplit(url).query, strict_parsing=True)
    assert query["response-content-type"] == ["text/html"]
    assert query["X-Amz-Expires"] == ["300"]
    return query["response-content-disposition"][0]


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("report.html", 'attachment; filename="report.html"'),
        ("a b.txt", 'attachment; filename="a b.txt"'),
        (
            "résumé ☃.pdf",
            (
                'attachment; filename="resume _.pdf"; '
                "filename*=UTF-8''r%C3%A9sum%C3%A9%20%E2%98%83.pdf"
            ),
        ),
        (
            'a"b\\c\r\nX: y',
            "attachment; filename=\"a_b_c__X: y\"; filename*=UTF-8''a%22b%5Cc%0D%0AX%3A%20y",
        ),
        ("50%41", "attachment; filename=\"50_41\"; filename*=UTF-8''50%2541"),
    ],
)
def test_a_download_has_the_name_of_the_file(file_name: str, expected: str) -> None:
    assert disposition(file_name) == expected


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_download_is_an_attachment_in_one_ascii_line(file_name: str) -> None:
    header = disposition(file_name)

    assert header.startswith('attachment; filename="')
    assert header.isascii()
    assert header.isprintable()
