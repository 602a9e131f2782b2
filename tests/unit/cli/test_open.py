"""`open` shows the console in the browser, or prints its address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner_cli.world import World
    from tests.unit.cli.conftest import Command, FakeBrowser


def _console(stack_file: Path) -> str:
    url: str = json.loads(stack_file.read_text())["consoleUrl"]
    return url


def _browser(world: World) -> FakeBrowser:
    return world.browser  # type: ignore[return-value] # the fixture's


def test_opens_the_console(taskrunner: Command, world: World, stack_file: Path) -> None:
    ended = taskrunner("open")

    assert ended.code == 0
    assert _browser(world).shown == [_console(stack_file)]


def test_opens_a_run_whatever_its_id_contains(
    taskrunner: Command, world: World, stack_file: Path
) -> None:
    taskrunner("open", "a/b c")

    assert _browser(world).shown == [f"{_console(stack_file)}#/runs/a%2Fb%20c"]


def test_prints_the_address_alone(taskrunner: Command, world: World, stack_file: Path) -> None:
    ended = taskrunner("open", "run-7", "--print")

    assert ended.out == f"{_console(stack_file)}#/runs/run-7\n"
    assert _browser(world).shown == []


def test_says_so_when_no_browser_is_found(
    taskrunner: Command, world: World, stack_file: Path
) -> None:
    _browser(world).is_found = False

    ended = taskrunner("open")

    assert "no browser was found" in ended.err
    assert ended.out == f"{_console(stack_file)}\n"


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "javascript:alert(1)", "http://[::1", "--version"]
)
def test_opens_nothing_but_a_web_page(
    address: str, taskrunner: Command, world: World, stack_file: Path
) -> None:
    stack = json.loads(stack_file.read_text())
    stack_file.write_text(json.dumps({**stack, "consoleUrl": address}))

    ended = taskrunner("open")

    assert ended.code == 2
    assert f"{address} is not the address of a web page" in ended.err
    assert _browser(world).shown == []


def test_a_stack_without_a_console_says_what_to_do(taskrunner: Command, stack_file: Path) -> None:
    stack = json.loads(stack_file.read_text())
    del stack["consoleUrl"]
    stack_file.write_text(json.dumps(stack))

    ended = taskrunner("open")

    assert ended.code == 2
    assert "make up" in ended.err
