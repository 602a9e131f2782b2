"""`lint`: checks packs without inputs and without the service."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packs import pack
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_service import FakeService

ROOT = Path(__file__).resolve().parents[3]
GOOD = pack(
    "- {id: a, run: {uses: builtin:noop, with: {v: '{{ inputs.go }}'}}}",
    spec="inputs: [{name: go, type: boolean, required: true}]",
)
BAD = pack("- {id: a, run: {uses: builtin:scaner}}")


@pytest.fixture(name="good")
def _good(tmp_path: Path) -> str:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return str(path)


@pytest.fixture(name="bad")
def _bad(tmp_path: Path) -> str:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    return str(path)


def test_needs_neither_inputs_nor_the_service(
    taskrunner: Command, service: FakeService, good: str
) -> None:
    ended = taskrunner("lint", good)

    assert (ended.code, ended.out) == (0, "✓ 1 file without errors\n")
    assert service.requests == []


def test_shows_each_error_at_its_place(taskrunner: Command, good: str, bad: str) -> None:
    ended = taskrunner("lint", good, bad)

    assert ended.code == 1
    assert ended.out.splitlines() == [
        f"  ✗ {bad}:6:21  $.spec.steps[0].run.uses",
        "    there is no executor 'builtin:scaner'; did you mean 'builtin:scanner'?",
        "       6 │     - {id: a, run: {uses: builtin:scaner}}",
        "         │                     ^",
        "✗ 1 error in 1 of 2 files",
    ]


def test_prints_the_errors_of_every_file_as_one_document(
    taskrunner: Command, good: str, bad: str
) -> None:
    ended = taskrunner("lint", good, bad, "--output", "json")

    assert ended.code == 1
    first, second = ended.document["files"]
    assert first == {"file": good, "errors": []}
    assert second["file"] == bad
    (error,) = second["errors"]
    assert (error["line"], error["column"]) == (6, 21)
    assert error["path"] == "$.spec.steps[0].run.uses"


def test_reads_standard_input_for_a_dash(
    taskrunner: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(BAD))

    assert "<stdin>:6:21" in taskrunner("lint", "-").out


def test_reads_standard_input_once_only(taskrunner: Command) -> None:
    assert taskrunner("lint", "-", "-").code == 2


def test_a_file_that_cannot_be_read_is_a_usage_error(taskrunner: Command, good: str) -> None:
    ended = taskrunner("lint", good, "nowhere.yaml")

    assert (ended.code, ended.out) == (2, "")
    assert "cannot read the pack nowhere.yaml" in ended.err


def test_shows_text_that_is_not_yaml(taskrunner: Command, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("spec: [\n")

    ended = taskrunner("lint", str(tmp_path / "p.yaml"))

    assert ended.code == 1
    assert f"{tmp_path / 'p.yaml'}:" in ended.out


def test_imports_little() -> None:
    """The time of a start is that of its imports; a number of modules does not vary with load."""
    script = (
        "import sys; from taskrunner_cli.app import main;"
        f"main(['lint', {str(ROOT / 'examples/release.yaml')!r}]);"
        "print(len(sys.modules), *sorted(sys.modules))"
    )

    ended = subprocess.run(  # noqa: S603 -- a fixed command
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    count, *modules = ended.stdout.splitlines()[-1].split()
    assert int(count) < 440
    slow = {
        "httpx", "boto3", "cryptography", "jsonschema_rs", "rich.console", "tenacity",
        "taskrunner.compiler.driver", "taskrunner.compiler.machine.emit",
        "taskrunner_cli.session", "taskrunner_cli.api.profiles",
    }  # fmt: skip
    assert slow & set(modules) == set()


def test_prints_one_result_of_sarif_for_each_error(
    taskrunner: Command, good: str, bad: str
) -> None:
    ended = taskrunner("lint", good, bad, "--output", "sarif")

    assert ended.code == 1
    log = ended.document
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "taskrunner lint"
    (result,) = run["results"]
    assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "invalid_pack"
    assert result["level"] == "error"
    assert result["message"]["text"].startswith("there is no executor 'builtin:scaner'")
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": bad},
        "region": {"startLine": 6, "startColumn": 21},
    }


def test_a_pack_without_errors_gives_an_empty_list_of_results(
    taskrunner: Command, good: str
) -> None:
    ended = taskrunner("lint", good, "-o", "sarif")

    assert ended.code == 0
    assert ended.document["runs"][0]["results"] == []


def test_a_name_of_a_file_is_a_uri_in_sarif(taskrunner: Command, tmp_path: Path) -> None:
    (tmp_path / "my pack#1.yaml").write_text(BAD)

    ended = taskrunner("lint", str(tmp_path / "my pack#1.yaml"), "-o", "sarif")

    (result,) = ended.document["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.endswith("/my%20pack%231.yaml")
