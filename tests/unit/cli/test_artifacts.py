"""`artifacts`: the list, and downloads, which must not send the token to the store."""

from pathlib import Path

from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer
from tests.unit.cli.fake_service import REPORT, FakeService, FakeStore


class TestList:
    def test_lists_the_artifacts_of_a_run(self, taskrunner: Command, service: FakeService) -> None:
        run = service.add("r1", "hello")

        as_text, as_json = (
            taskrunner("artifacts", "r1"),
            taskrunner("artifacts", "r1", "-o", "json"),
        )

        assert "✓ captured" in as_text.out
        assert as_json.document == run.artifacts

    def test_shows_one_artifact_by_name(self, taskrunner: Command, service: FakeService) -> None:
        service.add("r1", "hello")

        ended = taskrunner("artifacts", "r1", "scan-report", "-o", "json")

        assert ended.document["type"] == "file"

    def test_names_the_artifacts_that_exist_for_one_that_does_not(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", "hello")

        ended = taskrunner("artifacts", "r1", "report")

        assert ended.code == 1
        assert "no artifact 'report'; it has: scan-report" in ended.err

    def test_says_that_a_run_has_no_artifacts(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1")

        assert taskrunner("artifacts", "r1").out == "no artifacts\n"


class TestSave:
    def test_sends_neither_token_nor_tenant_to_the_store(
        self, taskrunner: Command, service: FakeService, store: FakeStore, tmp_path: Path
    ) -> None:
        service.add("r1", "hello")
        target = tmp_path / "report.json"

        ended = taskrunner(
            "artifacts", "r1", "scan-report", "--save", str(target), "--tenant", "tenant-prod"
        )

        assert ended.code == 0
        assert target.read_bytes() == REPORT
        assert f"saved {target}: {len(REPORT)} bytes" in ended.out
        request = store.requests[0]
        assert request.query == {"sig": "presigned"}
        assert not {"authorization", "x-stellaops-tenant", "cookie"} & request.headers.keys()
        assert service.requests[-1].headers["x-stellaops-tenant"] == "tenant-prod"

    def test_saves_into_a_folder_under_the_artifacts_name(
        self, taskrunner: Command, service: FakeService, tmp_path: Path
    ) -> None:
        service.add("r1", "hello")

        ended = taskrunner("artifacts", "r1", "scan-report", "--save", str(tmp_path), "-o", "json")

        assert ended.document["path"] == str(tmp_path / "scan-report")
        assert ended.document["sizeBytes"] == len(REPORT)

    def test_leaves_no_file_when_the_store_refuses(
        self, taskrunner: Command, service: FakeService, store: FakeStore, tmp_path: Path
    ) -> None:
        service.add("r1", "hello")
        store.answer = Answer(403, b"<Error>expired</Error>")
        folder = tmp_path / "empty"
        folder.mkdir()

        ended = taskrunner("artifacts", "r1", "scan-report", "--save", str(folder))

        assert ended.code == 1
        assert "the artifact store answered HTTP 403" in ended.err
        assert list(folder.iterdir()) == []

    def test_keeps_the_old_file_when_the_download_breaks_off(
        self, taskrunner: Command, service: FakeService, store: FakeStore, tmp_path: Path
    ) -> None:
        service.add("r1", "hello")
        store.answer = Answer(200, REPORT, {"Content-Length": "99", "Connection": "close"})
        target = tmp_path / "report.json"
        target.write_text("the old one")

        ended = taskrunner("artifacts", "r1", "scan-report", "--save", str(target))

        assert ended.code == 3
        assert target.read_text() == "the old one"

    def test_rejects_an_answer_that_is_not_a_redirect(
        self, taskrunner: Command, service: FakeService, tmp_path: Path
    ) -> None:
        service.next_answers = [Answer(200, REPORT)]

        ended = taskrunner("artifacts", "r1", "scan-report", "--save", str(tmp_path))

        assert ended.code == 1
        assert "without a redirect to the artifact" in ended.err

    def test_rejects_a_path_that_cannot_be_written(
        self, taskrunner: Command, service: FakeService, tmp_path: Path
    ) -> None:
        service.add("r1", "hello")

        ended = taskrunner(
            "artifacts", "r1", "scan-report", "--save", str(tmp_path / "no" / "file")
        )

        assert ended.code == 2

    def test_needs_the_name_of_an_artifact(self, taskrunner: Command, tmp_path: Path) -> None:
        ended = taskrunner("artifacts", "r1", "--save", str(tmp_path))

        assert ended.code == 2
        assert "--save needs the NAME of an artifact" in ended.err
