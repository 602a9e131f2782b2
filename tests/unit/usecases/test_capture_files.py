from __future__ import annotations

import hashlib
import os
import re
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.artifact import ArtifactStatus
from taskrunner.model.plan import FileOutput, ObjectOutput
from taskrunner.model.redaction import Redactor
from taskrunner.usecases.capture_files import MAX_FILE_BYTES, MAX_FILES, capture_files
from tests.unit.usecases.given import NOON, TENANT, a_world

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.plan import Output
    from tests.fakes.world import MemoryWorld

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"  # as the language has it for declared outputs
REPORT = FileOutput(name="report", path="/output/scan/result.json")


def captured(
    output: Path, *files: str, declared: tuple[Output, ...] = (), world: MemoryWorld | None = None
) -> dict[str, Artifact]:
    """What becomes of *files* under *output*, by their source paths."""
    for name in files:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text(name)
    world = world or a_world()
    run = world.runs.head(TENANT, "run-7").run
    found = capture_files(output, declared, run, Redactor({}), world)
    return {str(one.source_path): one for one in found}


def names(output: Path, *files: str, declared: tuple[Output, ...] = ()) -> list[str]:
    return [one.name for one in captured(output, *files, declared=declared).values()]


def test_a_declared_file_has_its_declared_name(tmp_path: Path) -> None:
    found = captured(tmp_path, "scan/result.json", declared=(REPORT,))

    one = found["/output/scan/result.json"]
    assert (one.name, one.media_type, one.captured_at) == ("report", "application/json", NOON)


def test_another_file_is_kept_under_its_path_without_the_ending(tmp_path: Path) -> None:
    assert names(tmp_path, "scan/log.txt", "bundle.zip") == ["bundle", "scan-log"]


def test_a_file_never_has_the_name_of_the_evidence(tmp_path: Path) -> None:
    found = captured(tmp_path, "evidence-bundle.json", "evidence-bundle")

    assert {source: one.name for source, one in found.items()} == {
        "/output/evidence-bundle": "evidence-bundle-2",
        "/output/evidence-bundle.json": "evidence-bundle.json",
    }


def test_the_content_is_stored(tmp_path: Path) -> None:
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
def test_no_two_files_and_no_file_and_declared_output_share_a_name(
    tmp_path: Path, files: tuple[str, ...], expected: list[str]
) -> None:
    assert sorted(names(tmp_path, *files, declared=(REPORT,))) == sorted(expected)


def test_a_declared_value_keeps_its_name_too(tmp_path: Path) -> None:
    value = ObjectOutput(name="sum", expression="inputs")

    assert names(tmp_path, "sum.json", declared=(value,)) == ["sum.json"]


_part = st.text(st.sampled_from("ab.- é"), min_size=1, max_size=4).filter(
    lambda text: text.strip(". ") != ""
)


@given(files=st.sets(_part, max_size=6))
def test_whatever_the_files_are_called_each_has_a_name_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, files: set[str]
) -> None:
    found = names(tmp_path_factory.mktemp("output"), *sorted(files), declared=(REPORT,))

    assert len(found) == len(set(found)) == len(files)
    assert "report" not in found


def failed(found: dict[str, Artifact]) -> dict[str, str]:
    """The notes of what is not stored, by its source path."""
    for one in found.values():
        assert (one.notes is None) == (one.status is ArtifactStatus.CAPTURED)
        assert (one.stored_path is None) == (one.status is ArtifactStatus.FAILED)
    return {path: one.notes for path, one in found.items() if one.notes is not None}


LINK = "it is a symbolic link, which is not followed; only plain files are stored"


def test_what_only_looks_like_a_file_is_listed_as_failed_and_never_opened(tmp_path: Path) -> None:
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


def test_a_declared_output_that_is_a_link_has_failed_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan/result.json").symlink_to("/etc/hostname")

    one = captured(tmp_path, declared=(REPORT,))["/output/scan/result.json"]

    assert (one.name, one.status) == ("report", ArtifactStatus.FAILED)


def test_a_hard_link_to_a_file_elsewhere_is_not_stored(tmp_path: Path) -> None:
    (tmp_path / "ours").write_text("ours")
    output = tmp_path / "output"
    output.mkdir()
    os.link(tmp_path / "ours", output / "theirs")

    assert failed(captured(output)) == {
        "/output/theirs": "it is a hard link to a file outside /output; write a copy of it"
    }


def test_two_names_of_one_file_under_output_are_both_stored(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    os.link(tmp_path / "a.txt", tmp_path / "b.txt")

    assert failed(captured(tmp_path)) == {}
    assert names(tmp_path) == ["a", "b"]


def test_a_file_too_large_for_s3_is_not_stored(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as sparse:
        sparse.truncate(MAX_FILE_BYTES + 1)

    (note,) = failed(captured(tmp_path)).values()
    assert note == "it has 5368709121 bytes; a stored file has at most 5368709120"


def test_what_cannot_be_read_is_listed_as_failed(tmp_path: Path) -> None:
    """Longer than any path that can be opened: root, too, is refused."""
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
    run = world.runs.head(TENANT, "run-7").run
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "bad.txt").write_text("the token is correct-horse-battery")
    (tmp_path / "correct-horse-battery.txt").write_text("empty")
    redactor = Redactor({"token": "correct-horse-battery"})

    found = capture_files(tmp_path, (), run, redactor, world)

    assert [(item.source_path, item.status.value, item.notes) for item in found] == [
        ("/output/***.txt", "failed", "its name holds a secret, so it is not stored"),
        ("/output/bad.txt", "failed", "it holds the secret 'token', so it is not stored"),
        ("/output/good.txt", "captured", None),
    ]
    assert list(world.artifacts.files.values()) == [b"good"]


def test_files_beyond_the_limit_are_told_of_and_declared_ones_are_not_among_them(
    tmp_path: Path,
) -> None:
    last = FileOutput(name="last", path="/output/zzz.txt")
    files = [f"{number:03d}.txt" for number in range(MAX_FILES + 1)]

    found = captured(tmp_path, *files, "zzz.txt", declared=(last,))

    *stored, told = found.values()
    assert len(stored) == MAX_FILES
    assert stored[-1].name == "last"
    assert (told.name, told.status) == ("files-left-out", ArtifactStatus.FAILED)
    assert told.notes == "the step wrote 52 files, and 50 are stored; not 049.txt, 050.txt"


def test_a_flood_of_files_is_looked_at_in_part(tmp_path: Path) -> None:
    for number in range(20_001):
        (tmp_path / f"{number:05d}.txt").touch()

    *stored, told = captured(tmp_path).values()

    assert len(stored) == MAX_FILES
    assert str(told.notes).startswith("the step wrote more than 20000 files, and 50 are stored")
    assert len(str(told.notes)) < 700


@pytest.mark.parametrize("written", ["re\u0301sume\u0301.pdf", "r\u00e9sum\u00e9.pdf"])
def test_a_declared_path_is_found_however_unicode_writes_it(tmp_path: Path, written: str) -> None:
    declared = FileOutput(name="cv", path="/output/r\u00e9sum\u00e9.pdf")

    assert names(tmp_path, written, declared=(declared,)) == ["cv"]


def test_of_two_writings_of_a_declared_path_the_exact_one_is_meant(tmp_path: Path) -> None:
    declared = FileOutput(name="cv", path="/output/r\u00e9.pdf")

    found = captured(tmp_path, "re\u0301.pdf", "r\u00e9.pdf", declared=(declared,))

    assert {path: one.name for path, one in found.items()} == {
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
def test_a_name_is_plain_whatever_the_file_is_called(tmp_path: Path, file: str, name: str) -> None:
    (told,) = names(tmp_path, file)

    assert told in {name, name.rsplit(".", 1)[0]}
    assert re.fullmatch(NAME, told)


def test_a_long_path_has_a_short_name_of_its_own(tmp_path: Path) -> None:
    folder = "/".join(["long-name-of-a-folder"] * 30)

    found = names(tmp_path, f"{folder}/a.txt", f"{folder}/b.txt")

    assert len(set(found)) == 2
    assert all(re.fullmatch(NAME, name) for name in found)


def test_a_name_that_is_no_text_can_be_told_all_the_same(tmp_path: Path) -> None:
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff\n.log", os.O_CREAT))

    (one,) = captured(tmp_path).values()

    assert one.source_path == "/output/\ufffd\ufffd.log"
    assert one.status is ArtifactStatus.CAPTURED


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
def test_a_type_goes_by_the_ending_and_not_by_the_machine(
    tmp_path: Path, file: str, expected: str
) -> None:
    assert captured(tmp_path, file)[f"/output/{file}"].media_type == expected
