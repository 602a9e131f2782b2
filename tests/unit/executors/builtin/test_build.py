"""builtin:build packs files and artifacts into one bundle, or says why it cannot."""

import hashlib
import tracemalloc
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from taskrunner.compiler.driver import plan_pack
from taskrunner.executors import archive
from taskrunner.executors.builtin import build
from taskrunner.executors.work import Bundle, ExecutorFailure
from taskrunner.model import canonical_json, plan_document
from tests.fakes.executor_world import MemoryArtifacts, MemoryBundles, a_work, mistakes

EXAMPLES = Path(__file__).parents[4] / "examples"


def contents(zipped: bytes) -> dict[str, bytes]:
    with ZipFile(BytesIO(zipped)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_build_packs_files_and_artifacts_into_one_bundle(tmp_path: Path) -> None:
    bundles, artifacts = MemoryBundles(), MemoryArtifacts({"scan-report": b"{}"})
    parameters = build.Parameters(files={"z.txt": "z", "a/é.txt": "ü"}, artifacts=["scan-report"])

    outputs = build.execute(parameters, a_work(tmp_path, bundles=bundles, artifacts=artifacts))

    [stored] = bundles.contents.values()
    expected = {"a/é.txt": "ü".encode(), "artifacts/scan-report": b"{}", "z.txt": b"z"}
    assert contents(stored) == expected
    assert list(expected) == outputs["files"]


def test_build_packs_all_artifacts_of_a_name_under_their_distinct_names(tmp_path: Path) -> None:
    bundles = MemoryBundles()
    artifacts = MemoryArtifacts(
        {"report.scans-0.scan": b"0", "report.scans-1.scan": b"1", "report": b"2", "other": b"3"}
    )
    parameters = build.Parameters(artifacts=["report", "report.scans-1.scan"])

    outputs = build.execute(parameters, a_work(tmp_path, bundles=bundles, artifacts=artifacts))

    [stored] = bundles.contents.values()
    assert contents(stored) == {
        "artifacts/report": b"2",
        "artifacts/report.scans-0.scan": b"0",
        "artifacts/report.scans-1.scan": b"1",
    }
    assert outputs["files"] == sorted(contents(stored))


def test_build_returns_the_stored_bundle(tmp_path: Path) -> None:
    bundles = MemoryBundles()

    outputs = build.execute(build.Parameters(files={"a": "b"}), a_work(tmp_path, bundles=bundles))

    stored = bundles.contents[outputs["bundle"]]
    assert f"sha256:{hashlib.sha256(stored).hexdigest()}" == outputs["digest"]
    assert len(stored) == outputs["sizeBytes"]


def test_build_leaves_the_bundle_as_a_file_of_the_step(tmp_path: Path) -> None:
    bundles = MemoryBundles()

    build.execute(build.Parameters(files={"a": "b"}), a_work(tmp_path, bundles=bundles))

    assert [(tmp_path / "bundle.zip").read_bytes()] == list(bundles.contents.values())


def test_build_gives_the_same_bundle_in_another_attempt(tmp_path: Path) -> None:
    parameters = build.Parameters(files={"a": "b", "c": "d"})

    first = build.execute(parameters, a_work(tmp_path))
    second = build.execute(parameters, a_work(tmp_path, attempt=2))

    assert first == second


def test_build_without_parameters_packs_the_plan_and_the_inputs(tmp_path: Path) -> None:
    planned = plan_pack((EXAMPLES / "scan-deploy.yaml").read_text(), {"target": "app:1"})
    document = plan_document.to_document(planned)
    bundles = MemoryBundles()

    outputs = build.execute(
        build.Parameters(), a_work(tmp_path, plan_document=document, bundles=bundles)
    )

    built = contents(bundles.contents[outputs["bundle"]])
    assert outputs["files"] == ["inputs.json", "plan.json"]
    assert built["inputs.json"] == b'{"target":"app:1"}'
    plan_hash = canonical_json.digest(plan_document.to_document(planned))
    assert plan_hash == f"sha256:{hashlib.sha256(built['plan.json']).hexdigest()}"


def test_build_names_every_missing_artifact(tmp_path: Path) -> None:
    artifacts = MemoryArtifacts({"here": b""})
    parameters = build.Parameters(artifacts=["gone", "here", "lost"])

    with pytest.raises(ExecutorFailure, match=r"^the run has no artifact 'gone', 'lost' yet;"):
        build.execute(parameters, a_work(tmp_path, artifacts=artifacts))


def test_build_refuses_a_file_with_the_path_of_an_artifact(tmp_path: Path) -> None:
    bundles, artifacts = MemoryBundles(), MemoryArtifacts({"report": b"scanned"})
    parameters = build.Parameters(files={"artifacts/report": "made up"}, artifacts=["report"])

    with pytest.raises(ExecutorFailure, match=r"^'artifacts/report' is both a file and an"):
        build.execute(parameters, a_work(tmp_path, bundles=bundles, artifacts=artifacts))

    assert bundles.contents == {}


def test_build_refuses_a_file_and_an_artifact_that_differ_only_in_case(tmp_path: Path) -> None:
    artifacts = MemoryArtifacts({"report": b"scanned"})
    parameters = build.Parameters(files={"artifacts/REPORT": "made up"}, artifacts=["report"])

    with pytest.raises(
        ExecutorFailure, match=r"^the bundle cannot be built: .* is the same file as"
    ):
        build.execute(parameters, a_work(tmp_path, artifacts=artifacts))


def test_build_stops_fetching_artifacts_that_do_not_fit(tmp_path: Path) -> None:
    class Endless(MemoryArtifacts):
        def matching(self, name: str) -> list[str]:
            return [name]

        def fetch(self, name: str, into: Path) -> bool:
            self.contents[name] = b""
            with into.open("wb") as file:
                file.truncate(archive.MAX_SIZE_BYTES // 2)
            return True

    artifacts = Endless()
    parameters = build.Parameters(artifacts=[f"part-{number}" for number in range(9)])

    with pytest.raises(ExecutorFailure, match=r"^the bundle cannot be built: the files have"):
        build.execute(parameters, a_work(tmp_path, artifacts=artifacts))

    assert list(artifacts.contents) == ["part-0", "part-1", "part-2"]


def test_build_never_holds_the_content_in_memory(tmp_path: Path) -> None:
    class Large(MemoryArtifacts):
        def matching(self, name: str) -> list[str]:
            return [name]

        def fetch(self, name: str, into: Path) -> bool:  # noqa: ARG002
            with into.open("wb") as file:
                file.truncate(archive.MAX_SIZE_BYTES)
            return True

    class Counted(MemoryBundles):
        def put(self, file: Path) -> Bundle:
            return Bundle("bundles/sha256-0.zip", "sha256:0", file.stat().st_size)

    work = a_work(tmp_path / "output", artifacts=Large(), bundles=Counted())
    tracemalloc.start()
    outputs = build.execute(build.Parameters(artifacts=["large"]), work)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert outputs["sizeBytes"] > archive.MAX_SIZE_BYTES
    assert peak_bytes < archive.MAX_SIZE_BYTES // 8


def test_build_leaves_no_file_when_it_fails(tmp_path: Path) -> None:
    artifacts = MemoryArtifacts({"report": b"scanned"})
    parameters = build.Parameters(files={"artifacts/REPORT": "made up"}, artifacts=["report"])

    with pytest.raises(ExecutorFailure):
        build.execute(parameters, a_work(tmp_path / "output", artifacts=artifacts))

    assert list((tmp_path / "output").iterdir()) == []


def test_build_reports_every_bad_path_at_its_place() -> None:
    mistaken = mistakes(build.Parameters, {"files": {"/passwd": "", "fine": "", "../up": ""}})

    assert mistaken == [
        (
            ("files", "/passwd"),
            "it is absolute; write a relative path, such as config/app.json",
        ),
        (("files", "../up"), "it contains '.' or '..'; write the path without them"),
    ]


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"files": {}}, ("files",)),
        ({"files": None}, ("files",)),
        ({"files": {"a": 1}}, ("files", "a")),
        ({"files": {"a": "\ud800"}}, ("files", "a")),
        ({"artifacts": []}, ("artifacts",)),
        ({"artifacts": ["fine", "../up"]}, ("artifacts", 1)),
        ({"artefacts": ["a"]}, ("artefacts",)),
    ],
)
def test_build_refuses_parameters_that_are_empty_or_of_a_wrong_type(
    parameters: dict[str, object], place: tuple[str | int, ...]
) -> None:
    assert [path for path, _ in mistakes(build.Parameters, parameters)] == [place]
