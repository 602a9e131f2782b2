"""`local up`, `down` and `status`, and the door to the real local stack."""

from typing import cast

import pytest

from taskrunner_cli.errors import UnreachableError
from taskrunner_cli.local import LocalStackError
from taskrunner_cli.ports.local_stack import translated
from taskrunner_cli.world import World
from tests.unit.cli.conftest import Command, FakeLocalStack


def test_up_says_where_things_are_and_no_secret(taskrunner: Command) -> None:
    ended = taskrunner("local", "up")

    assert ended.code == 0
    assert "starting the emulator …" in ended.out
    assert "http://api" in ended.out


def test_up_for_programs_is_one_document(taskrunner: Command, world: World) -> None:
    ended = taskrunner("local", "up", "--port", "4599", "--output", "json")

    assert ended.document["clients"] == {"operator": {"scope": "scope", "tenant": "tenant-prod"}}
    assert cast("FakeLocalStack", world.local).ports == [4599]


def test_status_exits_three_while_nothing_is_up(taskrunner: Command) -> None:
    before = taskrunner("local", "status", "-o", "json")
    taskrunner("local", "up")
    after = taskrunner("local", "status")

    assert (before.code, before.document["running"]) == (3, False)
    assert (after.code, "process 4242, port 4566" in after.out) == (0, True)


def test_down_says_whether_there_was_anything(taskrunner: Command) -> None:
    taskrunner("local", "up")

    assert taskrunner("local", "down", "-o", "json").document == {"ended": True}
    assert "there was no local stack" in taskrunner("local", "down").out


def test_what_the_local_stack_refuses_keeps_message_and_cure() -> None:
    with pytest.raises(UnreachableError) as raised, translated():
        raise LocalStackError("port 4566 is taken", cure="choose another one")

    assert (raised.value.message, raised.value.cure) == ("port 4566 is taken", "choose another one")
    assert raised.value.code == "local_stack"
