"""The port Artifacts: the list of a run's artifacts, and their files."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.run import RunStatus, StepOutcome, StepStatus
from taskrunner.runtime.regular_file import NotRegularError
from tests.contract.ports import BUCKET, client
from tests.contract.samples import CANCELLED, ENDED, a_file, new_run

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.run import Run
    from taskrunner.ports import RunSnapshot
    from tests.contract.ports import Ports


def test_storing_a_file_returns_its_path_size_and_digest(world: Ports, tmp_path: Path) -> None:
    snapshot = new_run(world)
    (tmp_path / "report.json").write_bytes(b'{"a": 1}')

    stored = world.artifacts.store(snapshot.run, a_file(), tmp_path / "report.json")

    digest = sha256(b'{"a": 1}').hexdigest()
    assert stored.stored_path == f"runs/{snapshot.run.run_id}/artifacts/{digest}/report"
    assert stored.size_bytes == 8
    assert stored.sha256 == digest
    assert (stored.name, stored.media_type) == ("report", "application/json")


def capture(
    world: Ports, snapshot: RunSnapshot, folder: Path, attempt: int = 1, **files: bytes
) -> None:
    """Record an attempt of the step `scan` that stored *files*, which are given by name."""
    stored = []
    for name, content in files.items():
        (folder / name).write_bytes(content)
        stored.append(world.artifacts.store(snapshot.run, a_file(name), folder / name))
    outcome = StepOutcome(path="scan", attempt=attempt, status=StepStatus.FAILED)
    world.runs.record_step(snapshot, outcome, [], stored)


def fetch(world: Ports, run: Run, name: str, into: Path) -> bytes | None:
    """The content of the only artifact with that name, or None if there is none."""
    listed = [a for a in world.artifacts.list(run.tenant, run.run_id) if a.name == name]
    if not listed:
        return None
    (artifact,) = listed
    assert world.artifacts.fetch(run.tenant, artifact, into)
    return into.read_bytes()


def names(world: Ports, snapshot: RunSnapshot) -> list[str]:
    return [
        artifact.name for artifact in world.artifacts.list(snapshot.run.tenant, snapshot.run.run_id)
    ]


def test_fetches_a_recorded_file(world: Ports, tmp_path: Path) -> None:
    snapshot = new_run(world)

    capture(world, snapshot, tmp_path, report=b"\x00\xff")

    other_run = new_run(world).run
    assert fetch(world, snapshot.run, "report", tmp_path / "a") == b"\x00\xff"
    assert fetch(world, snapshot.run, "other", tmp_path / "b") is None
    assert fetch(world, replace(snapshot.run, tenant="globex"), "report", tmp_path / "c") is None
    assert fetch(world, other_run, "report", tmp_path / "d") is None


def test_fetching_replaces_an_existing_file(world: Ports, tmp_path: Path) -> None:
    snapshot = new_run(world)
    capture(world, snapshot, tmp_path, report=b"short")
    (tmp_path / "into").write_bytes(b"something longer")

    assert fetch(world, snapshot.run, "report", tmp_path / "into") == b"short"


def test_a_file_that_is_stored_but_not_recorded_cannot_be_fetched(
    world: Ports, tmp_path: Path
) -> None:
    snapshot = new_run(world)
    (tmp_path / "report.json").write_bytes(b"{}")

    world.artifacts.store(snapshot.run, a_file(), tmp_path / "report.json")

    assert fetch(world, snapshot.run, "report", tmp_path / "into") is None


def test_a_file_that_is_stored_later_does_not_replace_the_recorded_one(
    world: Ports, tmp_path: Path
) -> None:
    """Such a file comes from the slower of two calls, or from a step that ends after its run."""
    snapshot = new_run(world)
    capture(world, snapshot, tmp_path, report=b"recorded")
    (tmp_path / "late").write_bytes(b"refused!")

    world.artifacts.store(snapshot.run, a_file(), tmp_path / "late")

    assert fetch(world, snapshot.run, "report", tmp_path / "into") == b"recorded"


def test_refuses_to_store_special_files(world: Ports, tmp_path: Path) -> None:
    snapshot = new_run(world)
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe")

    for name in ("link", "pipe", "."):
        with pytest.raises(NotRegularError):
            world.artifacts.store(snapshot.run, a_file(), tmp_path / name)


def test_lists_the_artifacts_of_steps_and_of_the_end_by_name(world: Ports) -> None:
    snapshot = new_run(world)
    outcome = StepOutcome(path="scan", attempt=1, status=StepStatus.SUCCEEDED)
    value = Artifact(
        name="a-value",
        type=ArtifactType.OBJECT,
        status=ArtifactStatus.FAILED,
        notes="no value",
        expression_json="{}",
    )

    world.runs.record_step(snapshot, outcome, [], [a_file("report"), a_file("log")])
    world.runs.end(snapshot, RunStatus.SUCCEEDED, [ENDED], [value])

    written = [replace(a_file(name), step_path="scan") for name in ("log", "report")]
    assert world.artifacts.list("acme", snapshot.run.run_id) == [value, *written]


def test_a_later_artifact_replaces_one_of_the_same_name(world: Ports) -> None:
    snapshot = new_run(world)
    for attempt in (1, 2):
        outcome = StepOutcome(path="scan", attempt=attempt, status=StepStatus.FAILED)
        world.runs.record_step(snapshot, outcome, [], [a_file()])

    assert len(world.artifacts.list("acme", snapshot.run.run_id)) == 1


def test_a_retry_removes_artifacts_that_it_does_not_write_again(
    world: Ports, tmp_path: Path
) -> None:
    snapshot = new_run(world)
    capture(world, snapshot, tmp_path, report=b"1", log=b"1")

    capture(world, snapshot, tmp_path, attempt=2, report=b"2")

    assert names(world, snapshot) == ["report"]
    assert fetch(world, snapshot.run, "report", tmp_path / "a") == b"2"
    assert fetch(world, snapshot.run, "log", tmp_path / "b") is None


def test_a_retry_without_artifacts_removes_all_of_its_step(world: Ports, tmp_path: Path) -> None:
    snapshot = new_run(world)
    capture(world, snapshot, tmp_path, report=b"1")

    capture(world, snapshot, tmp_path, attempt=2)

    assert names(world, snapshot) == []


def test_a_retry_keeps_the_artifacts_of_other_steps(world: Ports, tmp_path: Path) -> None:
    snapshot = new_run(world)
    capture(world, snapshot, tmp_path, report=b"1", log=b"1")
    other = StepOutcome(path="other", attempt=1, status=StepStatus.SUCCEEDED)
    world.runs.record_step(snapshot, other, [], [a_file("log"), a_file("of-the-other")])

    capture(world, snapshot, tmp_path, attempt=2, report=b"2")

    assert names(world, snapshot) == ["log", "of-the-other", "report"]


def test_steps_and_iterations_that_write_one_name_have_an_artifact_each(
    world: Ports, tmp_path: Path
) -> None:
    snapshot = new_run(world)
    paths = ["scan", "scans[1]::scan", "scans[0]::scan", "scans[10]::scan"]
    for path in paths:
        (tmp_path / "report").write_text(path)
        stored = world.artifacts.store(snapshot.run, a_file(), tmp_path / "report")
        outcome = StepOutcome(path=path, attempt=1, status=StepStatus.SUCCEEDED)
        world.runs.record_step(snapshot, outcome, [], [stored])

    listed = world.artifacts.list("acme", snapshot.run.run_id)

    assert {artifact.name for artifact in listed} == {"report"}
    assert {artifact.step_path for artifact in listed} == set(paths)
    for artifact in listed:
        assert world.artifacts.fetch("acme", artifact, tmp_path / "into")
        assert (tmp_path / "into").read_text() == artifact.step_path


def test_stores_the_text_of_a_value(world: Ports, tmp_path: Path) -> None:
    snapshot = new_run(world)
    value = Artifact(name="summary", type=ArtifactType.OBJECT, status=ArtifactStatus.CAPTURED)

    stored = world.artifacts.store_value(snapshot.run, value, '{"ä":1}')

    assert stored == replace(
        value,
        stored_path=stored.stored_path,
        media_type="application/json",
        size_bytes=8,
        sha256=sha256('{"ä":1}'.encode()).hexdigest(),
        expression_json='{"ä":1}',
    )
    assert f"acme/{stored.stored_path}" in world.artifacts.download_url("acme", stored)
    assert world.artifacts.fetch("acme", stored, tmp_path / "into")
    assert (tmp_path / "into").read_text(encoding="utf-8") == '{"ä":1}'


def test_a_file_that_the_store_has_lost_cannot_be_fetched(world: Ports, tmp_path: Path) -> None:
    lost = replace(a_file(), stored_path="runs/run-7/artifacts/0/report")

    assert not world.artifacts.fetch("acme", lost, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_an_attempt_after_the_end_replaces_nothing(world: Ports, tmp_path: Path) -> None:
    snapshot = new_run(world)
    capture(world, snapshot, tmp_path, report=b"1")
    world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

    capture(world, snapshot, tmp_path, attempt=2, other=b"2")

    assert names(world, snapshot) == ["report"]


def test_a_run_without_artifacts_has_an_empty_list(world: Ports) -> None:
    assert world.artifacts.list("acme", new_run(world).run.run_id) == []


def test_a_download_url_contains_the_stored_path(world: Ports, tmp_path: Path) -> None:
    snapshot = new_run(world)
    (tmp_path / "report.json").write_bytes(b"{}")
    stored = world.artifacts.store(snapshot.run, a_file(), tmp_path / "report.json")

    url = world.artifacts.download_url("acme", stored)

    assert f"acme/{stored.stored_path}" in url


def an_upload(content: bytes) -> Artifact:
    """Return an artifact whose file a worker has and the store lacks."""
    digest = sha256(content).hexdigest()
    return replace(a_file(), size_bytes=len(content), sha256=digest)


class TestUpload:
    def test_stores_the_file_where_a_step_would(self, world: Ports, tmp_path: Path) -> None:
        run = new_run(world).run
        (tmp_path / "report.json").write_bytes(b'{"a": 1}')
        artifact = an_upload(b'{"a": 1}')

        assert world.upload(world.artifacts.upload_url(run, artifact), b'{"a": 1}')

        uploaded = world.artifacts.uploaded(run, artifact)
        assert uploaded == world.artifacts.store(run, a_file(), tmp_path / "report.json")
        assert world.artifacts.content(run.tenant, uploaded) == b'{"a": 1}'

    def test_is_missing_until_the_file_is_stored(self, world: Ports) -> None:
        run = new_run(world).run
        artifact = an_upload(b"content")

        world.artifacts.upload_url(run, artifact)

        assert world.artifacts.uploaded(run, artifact) is None

    def test_of_an_empty_file_is_accepted(self, world: Ports) -> None:
        run = new_run(world).run

        assert world.upload(world.artifacts.upload_url(run, an_upload(b"")), b"")

        uploaded = world.artifacts.uploaded(run, an_upload(b""))
        assert uploaded is not None
        assert world.artifacts.content(run.tenant, uploaded) == b""

    def test_is_missing_when_its_size_was_stated_wrongly(self, world: Ports) -> None:
        run = new_run(world).run
        artifact = an_upload(b"content")
        assert world.upload(world.artifacts.upload_url(run, artifact), b"content")

        assert world.artifacts.uploaded(run, replace(artifact, size_bytes=8)) is None

    def test_is_missing_under_another_digest_name_run_or_tenant(self, world: Ports) -> None:
        run = new_run(world).run
        artifact = an_upload(b"content")
        assert world.upload(world.artifacts.upload_url(run, artifact), b"content")

        assert world.artifacts.uploaded(run, an_upload(b"CONTENT")) is None
        assert world.artifacts.uploaded(run, replace(artifact, name="log")) is None
        assert world.artifacts.uploaded(new_run(world).run, artifact) is None
        assert world.artifacts.uploaded(replace(run, tenant="globex"), artifact) is None

    @pytest.mark.parametrize("world", ["memory"], indirect=True)
    @pytest.mark.parametrize("other", [b"CONTENT", b"content and more", b""])
    def test_of_other_content_is_refused(self, world: Ports, other: bytes) -> None:
        """S3 refuses it by the signed digest and length, which moto does not check."""
        run = new_run(world).run
        artifact = an_upload(b"content")

        assert not world.upload(world.artifacts.upload_url(run, artifact), other)

        assert world.artifacts.uploaded(run, artifact) is None

    def test_without_a_media_type_gets_one(self, world: Ports) -> None:
        run = new_run(world).run
        artifact = replace(an_upload(b"content"), media_type=None)
        assert world.upload(world.artifacts.upload_url(run, artifact), b"content")

        uploaded = world.artifacts.uploaded(run, artifact)

        assert uploaded is not None
        assert uploaded.media_type == "application/octet-stream"


@pytest.mark.parametrize("world", ["aws"], indirect=True)
class TestPresignedUrls:
    """moto checks no signature, digest or length, so these look at what S3 would check."""

    def test_an_upload_signs_all_that_fixes_the_content(self, world: Ports) -> None:
        run = new_run(world).run

        upload = world.artifacts.upload_url(run, an_upload(b"content"))

        query = parse_qs(urlsplit(upload.url).query)
        signed = {name.lower() for name in upload.headers} | {"content-length", "host"}
        assert set(query["X-Amz-SignedHeaders"][0].split(";")) == signed
        assert upload.headers == {
            "Content-Type": "application/json",
            "x-amz-checksum-sha256": b64encode(sha256(b"content").digest()).decode(),
            "x-amz-tagging": "retention=run",
        }
        assert query["X-Amz-Expires"] == ["900"]

    def test_uploads_of_other_files_have_other_signatures(self, world: Ports) -> None:
        run, artifact = new_run(world).run, an_upload(b"content")
        others = [
            artifact,
            replace(artifact, size_bytes=8),
            replace(artifact, media_type="text/html"),
            replace(artifact, sha256="0" * 64),
        ]

        urls = [world.artifacts.upload_url(run, other).url for other in others]

        signatures = {parse_qs(urlsplit(url).query)["X-Amz-Signature"][0] for url in urls}
        assert len(signatures) == len(others)

    def test_an_uploaded_file_has_the_retention_of_its_run(self, world: Ports) -> None:
        run = replace(new_run(world).run, longest_s=20 * 86400)
        artifact = an_upload(b"content")
        assert world.upload(world.artifacts.upload_url(run, artifact), b"content")

        stored = world.artifacts.uploaded(run, artifact)

        assert stored is not None
        s3, key = client("s3"), f"{run.tenant}/{stored.stored_path}"
        (tag,) = s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]
        assert tag == {"Key": "retention", "Value": "long-run"}
        assert s3.head_object(Bucket=BUCKET, Key=key)["ContentType"] == "application/json"

    def test_a_download_is_valid_for_as_long_as_its_caller_says(self, world: Ports) -> None:
        stored = replace(a_file(), stored_path="runs/run-7/artifacts/0/report")

        urls = [
            world.artifacts.download_url("acme", stored),
            world.artifacts.download_url("acme", stored, 3600),
        ]

        queries = [parse_qs(urlsplit(url).query) for url in urls]
        assert [query["X-Amz-Expires"] for query in queries] == [["300"], ["3600"]]
