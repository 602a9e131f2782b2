"""`local up`, `local down` and `local status`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taskrunner_cli.ports.local_stack import CloneLocalStack
from taskrunner_cli.world import World
from tests.unit.cli.conftest import Command, FakeLocalStack


def test_up_prints_the_addresses(taskrunner: Command) -> None:
    ended = taskrunner("local", "up")

    assert ended.code == 0
    assert "starting the emulator …" in ended.out
    assert "http://api" in ended.out


def test_up_prints_one_json_document(taskrunner: Command, local_stack: FakeLocalStack) -> None:
    ended = taskrunner("local", "up", "--port", "4599", "--output", "json")

    assert ended.document["clients"] == {"operator": {"scope": "scope", "tenant": "tenant-prod"}}
    assert local_stack.ports == [4599]


def test_status_exits_with_three_while_nothing_runs(taskrunner: Command) -> None:
    before = taskrunner("local", "status", "-o", "json")
    taskrunner("local", "up")
    after = taskrunner("local", "status")

    assert (before.code, before.document["running"]) == (3, False)
    assert (after.code, "process 4242, port 4566" in after.out) == (0, True)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({}, 0, "the local stack is running (process 4242, port 4566), up to date"),
        ({"current": False}, 0, "older than the sources; try: taskrunner local up"),
        ({"stack": None}, 3, "nothing is deployed in it; try: taskrunner local up"),
        ({"worker_pid": None}, 0, "worker   does not run; try: taskrunner local up"),
        ({"worker_pid": 4243}, 0, "worker   of the pool local (process 4243); worker.log"),
        ({"healthy": False}, 3, "does not answer; its log is emulator.log"),
    ],
)
def test_status_says_what_is_wrong(
    taskrunner: Command,
    local_stack: FakeLocalStack,
    changes: dict[str, Any],
    code: int,
    message: str,
) -> None:
    taskrunner("local", "up")
    local_stack.state = replace(local_stack.status(), **changes)

    ended = taskrunner("local", "status")

    assert (ended.code, message in ended.out) == (code, True), ended.out


def test_status_names_the_worker_in_its_document(
    taskrunner: Command, local_stack: FakeLocalStack
) -> None:
    local_stack.worker_pid = 4243
    taskrunner("local", "up")

    document = taskrunner("local", "status", "-o", "json").document

    assert document["worker"] == {"pid": 4243, "log": "worker.log"}


def test_down_says_whether_a_stack_was_running(taskrunner: Command) -> None:
    taskrunner("local", "up")

    assert taskrunner("local", "down", "-o", "json").document == {"ended": True}
    assert "the local stack was not running" in taskrunner("local", "down").out


def test_an_error_of_the_local_stack_keeps_its_message_and_cure(
    taskrunner: Command, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "template.yaml").touch()
    (tmp_path / "statemachine").mkdir()
    (tmp_path / "layers/core/python").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASKRUNNER_PORT", "many")

    ended = taskrunner("local", "up", "-o", "json", world=replace(world, local=CloneLocalStack()))

    assert (ended.code, ended.out) == (3, "")
    assert ended.error["error"] == {
        "code": "local_stack",
        "message": "TASKRUNNER_PORT is 'many', which is not a port",
        "cure": "set it to a number",
    }
