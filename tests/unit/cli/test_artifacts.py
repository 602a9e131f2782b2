"""`artifacts`: the list, and downloads, which must not send the token to the store."""

import hashlib
from pathlib import Path

import pytest

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

    def test_shows_the_step_that_wrote_an_artifact_and_no_value(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        run = service.add("r1")
        run.artifacts += [
            {"name": "report", "stepId": "scan[0]::look", "sourcePath": "/output/r.json"},
            {"name": "gone", "notes": "no step wrote /output/x"},
            {"name": "evidence-bundle", "type": "object", "expressionJson": '{"payload":"e30"}'},
        ]

        rows = [line.split() for line in taskrunner("artifacts", "r1").out.splitlines()]

        assert rows[1:] == [
            ["report", "scan[0]::look:", "/output/r.json"],
            ["gone", "no", "step", "wrote", "/output/x"],
            ["evidence-bundle", "object"],
        ]

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


class TestDownload:
    def test_downloads_every_artifact_into_a_folder(
        self, taskrunner: Command, service: FakeService, store: FakeStore, tmp_path: Path
    ) -> None:
        run = service.add("r1", "hello")
        run.artifacts.append({"name": "made-later", "status": "pending"})
        digest = hashlib.sha256(b"[1]").hexdigest()
        store.files = {"evidence-bundle": b"signed"}
        run.artifacts.append(
            {
                "name": "evidence-bundle", "type": "object", "status": "captured",
                "storedPath": "bundles/r1", "expressionJson": "a description",
                "sha256": hashlib.sha256(b"signed").hexdigest(),
            }
        )  # fmt: skip
        run.artifacts.append(
            {
                "name": "value", "type": "object", "status": "captured", "expressionJson": "[1]",
                "sha256": digest,
            }
        )  # fmt: skip

        ended = taskrunner("artifacts", "download", "r1", "--into", str(tmp_path / "new"))

        assert ended.code == 0
        saved = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
        assert saved == {"scan-report": REPORT, "value": b"[1]", "evidence-bundle": b"signed"}
        assert f"saved {tmp_path / 'new' / 'scan-report'}: {len(REPORT)} bytes" in ended.out

    def test_downloads_the_named_ones_only(
        self, taskrunner: Command, service: FakeService, store: FakeStore, tmp_path: Path
    ) -> None:
        run = service.add("r1", "hello")
        store.files = {"other": b"o"}
        run.artifacts.append({"name": "other", "status": "captured"})

        ended = taskrunner(
            "artifacts", "download", "r1", "other", "--into", str(tmp_path), "-o", "json"
        )

        assert [file["name"] for file in ended.document["files"]] == ["other"]
        assert not (tmp_path / "scan-report").exists()
        assert taskrunner("artifacts", "download", "r1", "no", "--into", str(tmp_path)).code == 1

    def test_an_artifact_with_another_digest_is_an_error(
        self, taskrunner: Command, service: FakeService, store: FakeStore, tmp_path: Path
    ) -> None:
        service.add("r1", "hello")
        store.answer = Answer(200, b"tampered")

        ended = taskrunner("artifacts", "download", "r1", "--into", str(tmp_path), "-o", "json")

        assert ended.code == 1
        assert ended.error["error"]["code"] == "digest_mismatch"

    @pytest.mark.parametrize("name", ["..", "../../x", "a/b", "\x1b[2J"])
    def test_no_name_leads_out_of_the_folder(
        self, taskrunner: Command, service: FakeService, tmp_path: Path, name: str
    ) -> None:
        service.add("r1").artifacts.append({"name": name, "status": "captured"})

        ended = taskrunner("artifacts", "download", "r1", "--into", str(tmp_path / "new"))

        assert ended.code == 1
        assert list((tmp_path / "new").iterdir()) == []

    def test_says_that_there_are_none(
        self, taskrunner: Command, service: FakeService, tmp_path: Path
    ) -> None:
        service.add("r1")

        ended = taskrunner("artifacts", "download", "r1", "--into", str(tmp_path))

        assert (ended.code, ended.out) == (0, "no artifacts\n")

    def test_draws_a_bar_on_a_terminal(
        self, terminal: Command, service: FakeService, tmp_path: Path
    ) -> None:
        service.add("r1", "hello")

        ended = terminal("artifacts", "download", "r1", "--into", str(tmp_path))

        assert ended.code == 0
        assert "scan-report" in ended.out
        assert "bytes" in ended.out


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
