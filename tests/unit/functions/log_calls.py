"""Calls of functions whose ports fail, and what the lines of the log say about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from taskrunner.errors import TryAgainError
from tests.fakes.failing_world import FailingWorld, Failure
from tests.log_lines import log_lines
from tests.machine.client import LambdaContext

if TYPE_CHECKING:
    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld

Handler: TypeAlias = Callable[..., dict[str, Any]]

LOG_IDS = ("tenant", "run", "step", "attempt")


def lines_of(handler: Handler, event: Mapping[str, Any], world: object) -> list[dict[str, Any]]:
    """Call a function, which may raise, and return what it has logged."""
    with log_lines() as lines, suppress(Exception):
        handler(event, LambdaContext(), world=cast("World", world))
    return lines


def ids_by_failing_call(
    handler: Handler, event: Mapping[str, Any], arrange: Callable[[], MemoryWorld]
) -> dict[str, tuple[Any, ...]]:
    """Let each call of a port fail, in turn, and return the ids on the line about its error.

    It is AWS that is busy for calls with an odd number, and a bug for the others.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for number in count(1):
        error = TryAgainError if number % 2 else KeyError
        world = FailingWorld(arrange(), Failure(number, effect_lost=True, error=error))
        lines = lines_of(handler, event, world)
        if not world.failed:
            return found
        expected = "AWS is too busy" if number % 2 else "unexpected error"
        # A few errors fail nothing, and have no such line.
        about = [line for line in lines if line["message"] == expected]
        for line in about:
            name = world.calls[number - 1]
            found[f"{number} {name}"] = tuple(line.get(name) for name in LOG_IDS)
    raise AssertionError
