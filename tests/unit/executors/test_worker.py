"""worker:<pool> takes a script or a command, and only what a worker can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner import executors
from taskrunner.executors import worker
from taskrunner.executors.arguments import checked, misfits
from taskrunner.executors.work import ExecutorFailure
from tests.fakes.executor_world import a_work

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.json_path import JsonPath


def problems(parameters: dict[str, Any]) -> list[str]:
    executor = executors.find("worker:linux")
    assert executor is not None
    return [message for _, message in misfits(executor, parameters, ())]


@pytest.mark.parametrize(
    "parameters",
    [
        {"script": "make test\n"},
        {"command": ["make", "test"]},
        {"script": "a", "env": {"CI": "1"}, "files": {"config/app.json": "{}"}},
        {"script": "a", "files": {".taskrunnerrc": ""}, "image": "Registry.example.com/app"},
        {"script": "a", "artifacts": ["bundle"], "image": "python:3.13"},
        {"script": "a", "image": "registry.example.com:5000/team/app@sha256:" + "0" * 64},
        {"script": "a", "labels": {"gpu": "h100", "zone/rack": "b_2"}},
        {"script": "a", "memoryMiB": 16, "cpus": 2},
        {"script": "a", "memoryMiB": 1024 * 1024, "cpus": 0.1},
    ],
)
def test_takes(parameters: dict[str, Any]) -> None:
    assert problems(parameters) == []


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({}, "a worker runs exactly one of 'script' and 'command'"),
        ({"script": "a", "command": ["a"]}, "a worker runs exactly one of 'script' and 'command'"),
        ({"command": []}, "must have 1 or more entries"),
        ({"script": None, "command": None}, "a worker runs exactly one of 'script' and 'command'"),
        ({"image": "a b"}, "a worker runs exactly one of 'script' and 'command'"),
        ({"script": ""}, "'script': it is empty; write what to run"),
        (
            {"script": "a", "files": {".taskrunner/script": "x"}},
            "'.taskrunner/script': .taskrunner is the worker's own folder",
        ),
        ({"script": "#!/usr/bin/python3\n"}, "'script': it is for sh or bash, not for 'python3'"),
        ({"script": "#!/usr/bin/env node\n"}, "not for 'node'; use 'command'"),
        ({"script": "a", "image": "a", "env": {"K": "1\n2"}}, "'K': it has several lines"),
        ({"script": "a\0b"}, "must not contain the character NUL"),
        ({"script": "x" * (64 * 1024 + 1)}, "must have at most 65536 characters"),
        ({"script": "a", "env": {"A-B": "1"}}, "'A-B': not the name of a variable"),
        ({"script": "a", "env": {"": "1"}}, "'': not the name of a variable"),
        (
            {"script": "a", "env": {"TASKRUNNER_STEP": "1"}},
            "'TASKRUNNER_STEP': set by the worker",
        ),
        ({"script": "a", "files": {"/etc/passwd": ""}}, "'/etc/passwd': not a path inside"),
        ({"script": "a", "files": {"../x": ""}}, "'../x': not a path inside"),
        ({"script": "a", "files": {"a/../../x": ""}}, "not a path inside"),
        ({"script": "a", "files": {"": ""}}, "'': not a path inside"),
        ({"script": "a", "files": {"./a": ""}}, "not a path inside"),
        ({"script": "a", "files": {"a//b": ""}}, "not a path inside"),
        ({"script": "a", "labels": {"gpu": "two words"}}, "is a word of 1 to 63 letters"),
        ({"script": "a", "labels": {"gpu": ""}}, "is a word of 1 to 63 letters"),
        ({"script": "a", "image": "-v /:/host"}, "must be the reference of a container image"),
        ({"script": "a", "memoryMiB": 15}, "must be 16 or more"),
        ({"script": "a", "memoryMiB": True}, "must be a whole number"),
        ({"script": "a", "cpus": 0}, "must be 0.1 or more"),
        ({"script": "a", "cpus": True}, "must be a number"),
        ({"script": "a", "user": "root"}, ""),
    ],
)
def test_refuses(parameters: dict[str, Any], problem: str) -> None:
    found = problems(parameters)

    assert found
    assert problem in "; ".join(found)


@pytest.mark.parametrize(
    ("parameters", "still_open", "are_reported"),
    [
        ({"image": "{{ steps.a.outputs.image }}"}, [("image",)], True),
        ({"script": "echo {{ steps.a.outputs.b }}", "command": ["a"]}, [("script",)], True),
        ({"script": "a", "command": ["{{ steps.a.outputs.b }}"]}, [("command", 0)], True),
        ({"script": "{{ steps.a.outputs.b }}"}, [("script",)], False),
        ({"script": "{{ steps.a.outputs.b }}", "command": ["a"]}, [("script",)], False),
        ({"script": None}, [("script",)], False),
        ("{{ steps.a.outputs.job }}", [()], False),
    ],
)
def test_asks_for_one_program_unless_a_template_may_give_it(
    parameters: object, still_open: list[JsonPath], *, are_reported: bool
) -> None:
    executor = executors.find("worker:linux")
    assert executor is not None

    found = [message for _, message in misfits(executor, parameters, still_open)]

    asked = ["'with': a worker runs exactly one of 'script' and 'command'"]
    assert found == (asked if are_reported else [])


def test_a_misspelt_program_is_the_program() -> None:
    assert problems({"scirpt": "make"}) == ["unknown parameter 'scirpt'; did you mean 'script'?"]


@pytest.mark.parametrize(
    "script", ["#!/bin/bash -e\na", "#! /usr/bin/env bash\na", "#!{{ inputs.shell }}\na", "# a\n"]
)
def test_takes_scripts_for_a_shell(script: str) -> None:
    assert problems({"script": script}) == []


def test_says_where_a_filled_in_parameter_does_not_fit() -> None:
    executor = executors.find("worker:linux")
    assert executor is not None

    with pytest.raises(ExecutorFailure, match=r"\$\.with\.command\[0\]"):
        checked(executor, {"command": [["a"]]})


@pytest.mark.parametrize(
    "reference", ["worker:", "worker:Linux", "worker:-a", "worker:" + "a" * 64]
)
def test_a_pool_has_a_name_in_small_letters(reference: str) -> None:
    assert executors.find(reference) is None


def test_is_never_executed_by_a_function(tmp_path: Path) -> None:
    parameters = worker.Parameters(script="make")

    with pytest.raises(RuntimeError, match="a worker runs this step"):
        worker.execute(parameters, a_work(tmp_path, uses="worker:linux"))


def test_takes_numbers_and_truth_values_as_words() -> None:
    written = {"command": ["seq", 3, 1.5], "env": {"N": 312, "DRY_RUN": True}}

    parameters = worker.Parameters.model_validate(written)

    assert parameters.command == ["seq", "3", "1.5"]
    assert parameters.env == {"N": "312", "DRY_RUN": "true"}
