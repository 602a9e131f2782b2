"""The files that a worker uploads become artifacts under names that the pack's outputs know."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import InvalidRequestError
from taskrunner.runtime.leased_jobs import step_of
from taskrunner.runtime.uploaded_files import artifact_of, captured
from tests.packs import pack
from tests.unit.usecases.jobs import CONTENT, FILE, TESTS, job, leased
from tests.unit.usecases.scenarios import TENANT, a_world

if TYPE_CHECKING:
    from taskrunner.model.worker_reports import UploadedFile
    from taskrunner.runtime.running_step import RunningStep
    from tests.fakes.world import MemoryWorld

DECLARED = pack(
    "- {id: tests, run: {uses: worker:linux, with: {script: make}}}",
    spec="outputs: [{name: report, type: file, path: /output/reports/junit.xml}]",
)


def running_in(manifest: str) -> tuple[MemoryWorld, RunningStep]:
    world = a_world(manifest)
    leased(world)
    return world, step_of(job(world), world)


def a_file(path: str, content: bytes = CONTENT) -> UploadedFile:
    digest = hashlib.sha256(content).hexdigest()
    return replace(FILE, path=path, size_bytes=len(content), sha256=digest)


def put(world: MemoryWorld, running: RunningStep, file: UploadedFile, content: bytes) -> bool:
    upload = world.artifacts.upload_url(running.snapshot.run, artifact_of(file, running))
    return world.artifacts.put(upload.url, content)


def test_a_file_has_the_name_of_the_output_that_declares_it() -> None:
    world, running = running_in(DECLARED)
    put(world, running, FILE, CONTENT)

    (artifact,) = captured([FILE], running)

    assert artifact.name == "report"
    assert artifact.source_path == "/output/reports/junit.xml"


def test_a_file_that_nothing_declares_is_named_by_its_path() -> None:
    world, running = running_in(TESTS)
    put(world, running, FILE, CONTENT)

    (artifact,) = captured([FILE], running)

    assert artifact.name == artifact_of(FILE, running).name
    assert artifact.stored_path is not None
    assert artifact.stored_path.endswith(f"{FILE.sha256}/{artifact.name}")


def test_files_of_one_name_in_several_folders_are_told_apart() -> None:
    world, running = running_in(TESTS)
    files = [a_file("b/log.txt", b"b"), a_file("a/log.txt", b"a")]
    for file, content in zip(files, (b"b", b"a"), strict=True):
        put(world, running, file, content)

    found = captured(files, running)

    assert [artifact.source_path for artifact in found] == [
        "/output/a/log.txt",
        "/output/b/log.txt",
    ]
    assert len({artifact.name for artifact in found}) == 2
    assert [world.artifacts.content(TENANT, artifact) for artifact in found] == [b"a", b"b"]


def test_files_of_one_content_are_stored_once_and_listed_twice() -> None:
    world, running = running_in(TESTS)
    files = [a_file("a/one.txt"), a_file("b/two.txt")]
    for file in files:
        put(world, running, file, CONTENT)

    assert len(captured(files, running)) == 2


@pytest.mark.parametrize(
    "reported",
    [
        a_file("reports/other.xml"),
        a_file("reports/junit.xml", b"another"),
        replace(FILE, size_bytes=FILE.size_bytes + 1),
    ],
)
def test_a_file_that_is_not_there_as_reported_is_refused(reported: UploadedFile) -> None:
    world, running = running_in(TESTS)
    put(world, running, FILE, CONTENT)

    with pytest.raises(InvalidRequestError) as refused:
        captured([FILE, reported], running)

    assert refused.value.code == "not_uploaded"
    assert reported.path in str(refused.value)


def test_a_file_of_another_run_does_not_count() -> None:
    world, running = running_in(TESTS)
    other, _ = running_in(TESTS)
    put(other, running, FILE, CONTENT)

    with pytest.raises(InvalidRequestError):
        captured([FILE], running)
    assert world.artifacts.files == {}
