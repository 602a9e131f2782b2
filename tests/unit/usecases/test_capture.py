from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.plan import FileOutput, ObjectOutput
from taskrunner.usecases.capture import MAX_FILES, capture
from tests.unit.usecases.given import NOON, TENANT, a_world

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.plan import Output
    from tests.fakes.world import MemoryWorld

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
    found = capture(output, declared, run, NOON, world)
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

    assert world.artifacts.files == {(TENANT, "runs/run-7/artifacts/log"): b"log.txt"}


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


def test_links_and_folders_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/hostname")

    assert captured(tmp_path) == {}


def test_files_beyond_the_limit_are_left_out_by_name(tmp_path: Path) -> None:
    files = [f"{number:03d}.txt" for number in range(MAX_FILES + 1)]

    assert names(tmp_path, *files) == [name.removesuffix(".txt") for name in files[:MAX_FILES]]


def test_an_unknown_ending_is_bytes(tmp_path: Path) -> None:
    found = captured(tmp_path, "data.zzz")

    assert found["/output/data.zzz"].media_type == "application/octet-stream"
