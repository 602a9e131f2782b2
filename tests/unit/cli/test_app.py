"""The command line as a whole: help, usage mistakes, and the form errors take."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command

COMMANDS = (
    "simulate", "run", "runs", "show", "logs", "artifacts", "approvals", "approve", "reject",
    "cancel", "demo", "local up", "local down", "local status", "evidence verify",
    "evidence fetch",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_both_forms(taskrunner: Command, command: str) -> None:
    ended = taskrunner(*command.split(), "--help")

    assert ended.code == 0
    assert "--output" in ended.out


def test_an_unknown_command_is_a_usage_mistake_with_a_hint(taskrunner: Command) -> None:
    ended = taskrunner("shwo")

    assert (ended.code, ended.out) == (2, "")
    assert "Did you mean 'show'?" in ended.err


@pytest.mark.parametrize("form", [("--output", "json"), ("--output=json",), ("-o", "json")])
def test_a_usage_mistake_has_a_form_for_programs(
    taskrunner: Command, form: tuple[str, ...]
) -> None:
    ended = taskrunner("show", *form)

    assert (ended.code, ended.out) == (2, "")
    assert ended.error["error"]["cure"] == "taskrunner show --help"


def test_alone_it_shows_its_help(taskrunner: Command) -> None:
    ended = taskrunner()

    assert ended.code == 2
    assert "Usage: taskrunner" in ended.out + ended.err


def test_commands_of_the_api_do_not_pay_for_the_local_stack() -> None:
    dear = "{'boto3', 'psutil', 'cryptography', 'pydantic'}"
    question = f"import sys, taskrunner_cli.app; print({dear} & set(sys.modules))"

    answer = subprocess.run(  # noqa: S603 -- our own interpreter and words
        [sys.executable, "-c", question], capture_output=True, text=True, check=True
    )

    assert answer.stdout == "set()\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_docs(command: str) -> None:
    docs = Path(__file__).resolve().parents[3] / "docs" / "cli.md"

    assert f"| `taskrunner {command}" in docs.read_text()
