"""The command line as a whole: help, mistakes in it, and the start of the process."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from taskrunner_cli import app
from tests.unit.cli.conftest import Command

DOCS = Path(__file__).resolve().parents[3] / "docs" / "cli.md"
COMMANDS = (
    "init", "lint", "plan", "gates", "compile", "simulate", "run", "rerun", "runs",
    "show", "watch", "logs", "outputs", "artifacts list", "artifacts download",
    "approvals", "approve", "reject", "cancel", "open", "login", "logout", "profiles",
    "demo", "local up", "local down", "local status", "evidence verify", "evidence fetch",
    "worker run",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_both_output_formats(taskrunner: Command, command: str) -> None:
    ended = taskrunner(*command.split(), "--help")

    assert ended.code == 0
    assert "--output" in ended.out


def test_without_a_command_it_shows_the_help(taskrunner: Command) -> None:
    ended = taskrunner()

    assert ended.code == 2
    assert "Usage: taskrunner" in ended.out + ended.err


def test_rejects_an_unknown_command_and_suggests_a_similar_one(taskrunner: Command) -> None:
    ended = taskrunner("shwo")

    assert (ended.code, ended.out) == (2, "")
    assert "Did you mean 'show'?" in ended.err


@pytest.mark.parametrize("form", [("--output", "json"), ("--output=json",), ("-o", "json")])
def test_prints_a_usage_error_as_json(taskrunner: Command, form: tuple[str, ...]) -> None:
    ended = taskrunner("show", *form)

    assert (ended.code, ended.out) == (2, "")
    assert ended.error["error"]["cure"] == "taskrunner show --help"


def test_starts_without_the_modules_that_only_some_commands_use() -> None:
    slow = {"boto3", "psutil", "cryptography", "pydantic", "httpx", "tenacity", "taskrunner"}
    script = f"import sys, taskrunner_cli.app; print(sorted({slow!r} & set(sys.modules)))"

    ended = subprocess.run(  # noqa: S603 -- a fixed command
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert ended.stdout == "[]\n"


class TestDocs:
    """docs/cli.md is the reference of commands and options, so it must be complete and correct."""

    def test_its_table_lists_exactly_the_commands(self) -> None:
        rows = re.findall(r"^\| `taskrunner ([a-z ]+)", DOCS.read_text(), re.MULTILINE)

        assert sorted(row.strip() for row in rows) == sorted(COMMANDS)

    def test_its_examples_print_what_it_shows(
        self, taskrunner: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        examples = re.findall(
            r"^\$ taskrunner (.+)\n((?:.+\n)+?)```$", DOCS.read_text(), re.MULTILINE
        )
        monkeypatch.chdir(DOCS.parents[1])

        assert examples
        for arguments, output in examples:
            ended = taskrunner(*arguments.split())
            assert [line.rstrip() for line in ended.out.splitlines()] == output.splitlines()

    @pytest.mark.parametrize("command", COMMANDS)
    def test_its_options_exist(self, taskrunner: Command, command: str) -> None:
        row = re.search(rf"^\| `taskrunner {command}\b.*$", DOCS.read_text(), re.MULTILINE)
        assert row
        documented = set(re.findall(r"--[a-z-]+", row[0]))

        assert documented <= set(
            re.findall(r"--[a-z-]+", taskrunner(*command.split(), "--help").out)
        )


class TestOptions:
    @pytest.mark.parametrize("command", ["", *COMMANDS])
    def test_h_shows_the_same_as_help(self, taskrunner: Command, command: str) -> None:
        short, long = taskrunner(*command.split(), "-h"), taskrunner(*command.split(), "--help")

        assert (short.code, short.out) == (0, long.out)

    def test_version_prints_the_version(self, taskrunner: Command) -> None:
        ended = taskrunner("--version")

        assert ended.code == 0
        assert re.fullmatch(r"taskrunner \d+\.\d+\.\d+\S*\n", ended.out)


class TestExitCodes:
    def test_the_docs_and_the_program_list_the_same(self) -> None:
        documented = re.findall(r"^\| (\d+) \| (.+) \|$", DOCS.read_text(), re.MULTILINE)
        listed = re.findall(r"^\| (\d+) \| (.+) \|$", str(app.__doc__), re.MULTILINE)

        assert [code for code, _ in documented] == ["0", "1", "2", "3", "130"]
        assert [code for code, _ in listed] == ["0", "1", "2", "3", "130"]
        assert "no such run" in dict(documented)["1"]

    @pytest.mark.parametrize(
        "command", ["show", "logs", "artifacts", "cancel", "show --watch", "watch", "approve"]
    )
    def test_a_run_that_does_not_exist_is_a_refusal(
        self, taskrunner: Command, command: str
    ) -> None:
        words = command.split()
        more = ["review", "--yes"] if command == "approve" else []

        assert taskrunner(words[0], "nope", *words[1:], *more).code == 1
