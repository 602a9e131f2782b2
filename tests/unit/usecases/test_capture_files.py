from __future__ import annotations

import hashlib
import os
import re
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.artifact import ArtifactStatus
from taskrunner.model.plan import FileOutput, ObjectOutput
from taskrunner.model.redaction import Redactor
from taskrunner.usecases.capture_files import MAX_FILE_BYTES, MAX_FILES, capture_files
from tests.unit.usecases.scenarios import NOON, TENANT, a_world

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.plan import Output
    from tests.fakes.world import MemoryWorld

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"  # the pattern of declared outputs in the language
LATER = datetime(2025, 12, 6, 12, 1, tzinfo=UTC)
REPORT = FileOutput(name="report", path="/output/scan/result.json")


def captured(
    output: Path, *files: str, declared: tuple[Output, ...] = (), world: MemoryWorld | None = None
) -> dict[str, Artifact]:
    """The artifacts of *files* under *output*, by source path."""
    for name in files:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text(name)
    world = world or a_world()
    run = world.runs.snapshot(TENANT, "run-7").run
    found = capture_files(output, declared, run, Redactor({}), world, search_until=LATER)
    return {str(artifact.source_path): artifact for artifact in found}


def names(output: Path, *files: str, declared: tuple[Output, ...] = ()) -> list[str]:
    return [artifact.name for artifact in captured(output, *files, declared=declared).values()]


def test_a_declared_file_has_its_declared_name(tmp_path: Path) -> None:
    found = captured(tmp_path, "scan/result.json", declared=(REPORT,))

    report = found["/output/scan/result.json"]
    assert (report.name, report.captured_at) == ("report", NOON)
    assert report.media_type == "application/json"


def test_an_undeclared_file_is_named_by_its_path_without_the_ending(tmp_path: Path) -> None:
    assert names(tmp_path, "scan/log.txt", "bundle.zip") == ["bundle", "scan-log"]


def test_no_file_gets_the_name_of_the_evidence(tmp_path: Path) -> None:
    found = captured(tmp_path, "evidence-bundle.json", "evidence-bundle")

    assert {source: artifact.name for source, artifact in found.items()} == {
        "/output/evidence-bundle": "evidence-bundle-2",
        "/output/evidence-bundle.json": "evidence-bundle.json",
    }


def test_stores_the_content_of_a_file(tmp_path: Path) -> None:
    world = a_world()

    captured(tmp_path, "log.txt", world=world)

    digest = hashlib.sha256(b"log.txt").hexdigest()
    assert world.artifacts.files == {(TENANT, f"runs/run-7/artifacts/{digest}/log"): b"log.txt"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("a.json", "a.txt"), ["a", "a.txt"]),
        (("a b.txt", "a-b.txt", "a/b.txt"), ["a-b", "a-b.txt", "a-b.txt-2"]),
        (("report",), ["report-2"]),
        (("report.json",), ["report.json"]),
        (("...", "-.-"), ["file", "file-2"]),
        ((".hidden",), ["hidden"]),
    ],
)
def test_names_are_unique_among_files_and_declared_outputs(
    tmp_path: Path, files: tuple[str, ...], expected: list[str]
) -> None:
    assert sorted(names(tmp_path, *files, declared=(REPORT,))) == sorted(expected)


def test_no_file_gets_the_name_of_a_declared_value(tmp_path: Path) -> None:
    value = ObjectOutput(name="sum", expression="inputs")

    assert names(tmp_path, "sum.json", declared=(value,)) == ["sum.json"]


_part = st.text(st.sampled_from("ab.- é"), min_size=1, max_size=4).filter(
    lambda text: text.strip(". ") != ""
)


@given(files=st.sets(_part, max_size=6))
def test_each_file_has_a_name_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, files: set[str]
) -> None:
    found = names(tmp_path_factory.mktemp("output"), *sorted(files), declared=(REPORT,))

    assert len(found) == len(set(found)) == len(files)
    assert "report" not in found


def failed(found: dict[str, Artifact]) -> dict[str, str]:
    """The notes of the files that are not stored, by source path."""
    for artifact in found.values():
        assert (artifact.notes is None) == (artifact.status is ArtifactStatus.CAPTURED)
        assert (artifact.stored_path is None) == (artifact.status is ArtifactStatus.FAILED)
    return {path: failed.notes for path, failed in found.items() if failed.notes is not None}


LINK = "it is a symbolic link, which is not followed; only plain files are stored"


def test_lists_irregular_files_as_failed_and_never_opens_them(tmp_path: Path) -> None:
    world = a_world()
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "links").symlink_to("/etc")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "socket"))

    assert failed(captured(tmp_path, world=world)) == {
        "/output/gone": LINK,
        "/output/link": LINK,
        "/output/links": LINK,
        "/output/pipe": "it is a pipe; only plain files are stored",
        "/output/socket": "it is a socket; only plain files are stored",
    }
    assert world.artifacts.files == {}


def test_a_declared_output_that_is_a_link_is_listed_as_failed(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan/result.json").symlink_to("/etc/hostname")

    report = captured(tmp_path, declared=(REPORT,))["/output/scan/result.json"]

    assert (report.name, report.status) == ("report", ArtifactStatus.FAILED)


def test_does_not_follow_a_link_that_stands_for_the_folder(tmp_path: Path) -> None:
    """It could lead to anything that the function may read, such as its environment."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours/file").write_text("ours")
    (tmp_path / "output").symlink_to(tmp_path / "ours")

    assert captured(tmp_path / "output") == {}


def test_does_not_store_a_hard_link_to_a_file_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "ours").write_text("ours")
    output = tmp_path / "output"
    output.mkdir()
    os.link(tmp_path / "ours", output / "theirs")

    assert failed(captured(output)) == {
        "/output/theirs": "it is a hard link to a file outside /output; write a copy of it"
    }


def test_stores_both_names_of_a_file_that_has_two(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    os.link(tmp_path / "a.txt", tmp_path / "b.txt")

    assert failed(captured(tmp_path)) == {}
    assert names(tmp_path) == ["a", "b"]


def test_does_not_store_a_file_too_large_for_s3(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as sparse:
        sparse.truncate(MAX_FILE_BYTES + 1)

    (note,) = failed(captured(tmp_path)).values()
    assert note == "it has 5368709121 bytes; a stored file has at most 5368709120"


def test_lists_unreadable_files_as_failed(tmp_path: Path) -> None:
    """No path of such a length can be opened, not even by root."""
    part = "x" * 250
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(17):
        os.mkdir(part, dir_fd=folder)
        inner = os.open(part, os.O_RDONLY, dir_fd=folder)
        os.close(os.open("file", os.O_CREAT, dir_fd=inner))
        os.close(folder)
        folder = inner
    os.close(folder)

    notes = failed(captured(tmp_path))

    assert set(notes.values()) == {"it cannot be read"}


def test_does_not_store_a_file_whose_content_or_name_holds_a_secret(tmp_path: Path) -> None:
    world = a_world()
    run = world.runs.snapshot(TENANT, "run-7").run
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "bad.txt").write_text("the token is correct-horse-battery")
    (tmp_path / "correct-horse-battery.txt").write_text("empty")
    redactor = Redactor({"token": "correct-horse-battery"})

    found = capture_files(tmp_path, (), run, redactor, world, search_until=LATER)

    assert [(item.source_path, item.status.value, item.notes) for item in found] == [
        ("/output/***.txt", "failed", "its name holds a secret, so it is not stored"),
        ("/output/bad.txt", "failed", "it holds the secret 'token', so it is not stored"),
        ("/output/good.txt", "captured", None),
    ]
    assert list(world.artifacts.files.values()) == [b"good"]


def test_lists_the_files_beyond_the_limit_and_stores_declared_ones_first(
    tmp_path: Path,
) -> None:
    last = FileOutput(name="last", path="/output/zzz.txt")
    files = [f"{number:03d}.txt" for number in range(MAX_FILES + 1)]

    found = captured(tmp_path, *files, "zzz.txt", declared=(last,))

    *stored, left_out = found.values()
    assert len(stored) == MAX_FILES
    assert stored[-1].name == "last"
    assert (left_out.name, left_out.status) == ("files-left-out", ArtifactStatus.FAILED)
    assert left_out.notes == "the step wrote 52 files, and 50 are stored; not 049.txt, 050.txt"


def test_looks_at_20000_files_at_most(tmp_path: Path) -> None:
    for number in range(20_001):
        (tmp_path / f"{number:05d}.txt").touch()

    *stored, left_out = captured(tmp_path).values()

    assert len(stored) == MAX_FILES
    notes = str(left_out.notes)
    assert notes.startswith("the step wrote more than 20000 files, and 50 are stored")
    assert len(notes) < 700


@pytest.mark.parametrize("written", ["re\u0301sume\u0301.pdf", "r\u00e9sum\u00e9.pdf"])
def test_finds_a_declared_path_in_any_unicode_form(tmp_path: Path, written: str) -> None:
    declared = FileOutput(name="cv", path="/output/r\u00e9sum\u00e9.pdf")

    assert names(tmp_path, written, declared=(declared,)) == ["cv"]


def test_prefers_the_exact_form_of_a_declared_path(tmp_path: Path) -> None:
    declared = FileOutput(name="cv", path="/output/r\u00e9.pdf")

    found = captured(tmp_path, "re\u0301.pdf", "r\u00e9.pdf", declared=(declared,))

    assert {path: artifact.name for path, artifact in found.items()} == {
        "/output/r\u00e9.pdf": "cv",
        "/output/re\u0301.pdf": "re",
    }


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("r\u00e9sum\u00e9.pdf", "resume"),
        ("\u6587\u4ef6.txt", "txt"),
        ("a\nb\x1b.txt", "a-b-.txt"),
        ("evidence-bundle.json", "evidence-bundle.json"),
        ("_-x", "x"),
    ],
)
def test_a_name_has_only_plain_characters(tmp_path: Path, file: str, name: str) -> None:
    (artifact_name,) = names(tmp_path, file)

    assert artifact_name in {name, name.rsplit(".", 1)[0]}
    assert re.fullmatch(NAME, artifact_name)


def test_a_long_path_has_a_short_and_unique_name(tmp_path: Path) -> None:
    folder = "/".join(["long-name-of-a-folder"] * 30)

    found = names(tmp_path, f"{folder}/a.txt", f"{folder}/b.txt")

    assert len(set(found)) == 2
    assert all(re.fullmatch(NAME, name) for name in found)


def test_shows_a_file_name_that_is_not_text(tmp_path: Path) -> None:
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff\n.log", os.O_CREAT))

    (artifact,) = captured(tmp_path).values()

    assert artifact.source_path == "/output/\ufffd\ufffd.log"
    assert artifact.status is ArtifactStatus.CAPTURED


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("data.zzz", "application/octet-stream"),
        ("json", "application/octet-stream"),
        ("A.JSON", "application/json"),
        ("lines.ndjson", "application/x-ndjson"),
        ("scan.sarif", "application/sarif+json"),
        ("pack.yaml", "application/yaml"),
        ("build.log", "text/plain"),
        ("all.tar.gz", "application/gzip"),
    ],
)
def test_the_media_type_depends_on_the_ending_alone(
    tmp_path: Path, file: str, expected: str
) -> None:
    assert captured(tmp_path, file)[f"/output/{file}"].media_type == expected


class _ClockThatRuns:
    """Is a second later each time that it is read."""

    def __init__(self) -> None:
        self.time = LATER - timedelta(seconds=20)

    def now(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


def test_a_file_is_not_stored_if_the_time_for_its_search_is_over(tmp_path: Path) -> None:
    mebibyte = 1024 * 1024
    for name, size in (("a", mebibyte), ("b", 100 * mebibyte), ("c", mebibyte)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    world = a_world()
    world.clock = _ClockThatRuns()  # type: ignore[assignment]
    run = world.runs.snapshot(TENANT, "run-7").run
    redactor = Redactor({"token": "correct-horse"})

    first, second, third = capture_files(tmp_path, (), run, redactor, world, search_until=LATER)

    assert first.status is ArtifactStatus.CAPTURED
    assert second.status is third.status is ArtifactStatus.FAILED
    assert second.notes == third.notes
    assert "no time left to search it for secrets" in str(second.notes)
    assert list(world.artifacts.files) == [(TENANT, first.stored_path)]
