"""`artifacts`: the list, and the download that must not carry a token away."""

from pathlib import Path

from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer
from tests.unit.cli.fake_service import REPORT, FakeService, FakeStore


def test_lists_what_a_run_captured(taskrunner: Command, service: FakeService) -> None:
    run = service.add("r1", "hello")

    said, told = taskrunner("artifacts", "r1"), taskrunner("artifacts", "r1", "-o", "json")

    assert "✓ captured" in said.out
    assert told.document == run.artifacts


def test_shows_one_by_name(taskrunner: Command, service: FakeService) -> None:
    service.add("r1", "hello")

    assert taskrunner("artifacts", "r1", "scan-report", "-o", "json").document["type"] == "file"


def test_a_name_that_is_not_there_is_refused_with_those_that_are(
    taskrunner: Command, service: FakeService
) -> None:
    service.add("r1", "hello")

    ended = taskrunner("artifacts", "r1", "report")

    assert ended.code == 1
    assert "no artifact 'report'; it has: scan-report" in ended.err


def test_none_is_said_in_words(taskrunner: Command, service: FakeService) -> None:
    service.add("r1")

    assert taskrunner("artifacts", "r1").out == "no artifacts\n"


def test_a_download_takes_neither_token_nor_tenant_to_the_store(
    taskrunner: Command, service: FakeService, store: FakeStore, tmp_path: Path
) -> None:
    service.add("r1", "hello")
    target = tmp_path / "report.json"

    ended = taskrunner(
        "artifacts", "r1", "scan-report", "--save", str(target), "--tenant", "tenant-prod"
    )

    assert ended.code == 0
    assert target.read_bytes() == REPORT
    assert f"saved {target}: {len(REPORT)} bytes" in ended.out
    assert store.seen[0].query == {"sig": "presigned"}
    assert not {"authorization", "x-stellaops-tenant", "cookie"} & store.seen[0].headers.keys()
    assert service.seen[-1].headers["x-stellaops-tenant"] == "tenant-prod"


def test_into_a_folder_it_goes_under_its_own_name(
    taskrunner: Command, service: FakeService, tmp_path: Path
) -> None:
    service.add("r1", "hello")

    ended = taskrunner("artifacts", "r1", "scan-report", "--save", str(tmp_path), "-o", "json")

    assert ended.document["path"] == str(tmp_path / "scan-report")
    assert ended.document["sizeBytes"] == len(REPORT)


def test_a_store_that_refuses_leaves_no_file(
    taskrunner: Command, service: FakeService, store: FakeStore, tmp_path: Path
) -> None:
    service.add("r1", "hello")
    store.answer = Answer(403, b"<Error>expired</Error>")
    folder = tmp_path / "empty"
    folder.mkdir()

    ended = taskrunner("artifacts", "r1", "scan-report", "--save", str(folder))

    assert ended.code == 1
    assert "the artifact store answered HTTP 403" in ended.err
    assert list(folder.iterdir()) == []


def test_a_store_that_breaks_off_leaves_the_old_file(
    taskrunner: Command, service: FakeService, store: FakeStore, tmp_path: Path
) -> None:
    service.add("r1", "hello")
    store.answer = Answer(200, REPORT, {"Content-Length": "99", "Connection": "close"})
    target = tmp_path / "report.json"
    target.write_text("the old one")

    ended = taskrunner("artifacts", "r1", "scan-report", "--save", str(target))

    assert ended.code == 3
    assert target.read_text() == "the old one"


def test_an_answer_without_a_redirect_is_not_taken_for_the_file(
    taskrunner: Command, service: FakeService, tmp_path: Path
) -> None:
    service.instead = [Answer(200, REPORT)]

    ended = taskrunner("artifacts", "r1", "scan-report", "--save", str(tmp_path))

    assert ended.code == 1
    assert "without a redirect to the artifact" in ended.err


def test_a_place_that_cannot_be_written_is_a_usage_mistake(
    taskrunner: Command, service: FakeService, tmp_path: Path
) -> None:
    service.add("r1", "hello")

    ended = taskrunner("artifacts", "r1", "scan-report", "--save", str(tmp_path / "no" / "file"))

    assert ended.code == 2


def test_saving_needs_a_name(taskrunner: Command, tmp_path: Path) -> None:
    assert taskrunner("artifacts", "r1", "--save", str(tmp_path)).code == 2
