"""A world that fails at one chosen call of a port: before its effect, or after it.

The second case is the difficult one for a service: the effect is there, and the caller does not
know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.ports import World

_NEVER_FAILS = frozenset({"ceilings", "clock", "ids", "logs", "principals"})


class CrashError(BaseException):
    """The process died: no error handler sees it."""


@dataclass(frozen=True)
class Failure:
    """The failure of a call, counted from 1: before its effect with *effect_lost*, else after."""

    call: int
    effect_lost: bool
    error: type[BaseException]


class FailingWorld:
    """*world*, except for one call. *calls* has the names of all calls made."""

    def __init__(self, world: World, failure: Failure) -> None:
        self._world = world
        self._failure = failure
        self.calls: list[str] = []

    def __getattr__(self, port: str) -> Any:  # noqa: ANN401 - whatever the port is
        real = getattr(self._world, port)
        return real if port in _NEVER_FAILS else _FailingPort(self, real, port)

    def perform(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401
        self.calls.append(name)
        failing = len(self.calls) == self._failure.call
        if failing and self._failure.effect_lost:
            raise self._failure.error(name)
        result = call()
        if failing:
            raise self._failure.error(name)
        return result

    @property
    def failed(self) -> bool:
        return len(self.calls) >= self._failure.call


class _FailingPort:
    def __init__(self, world: FailingWorld, real: object, port: str) -> None:
        self._world, self._real, self._port = world, real, port

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the method is
        method = getattr(self._real, name)

        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return self._world.perform(f"{self._port}.{name}", lambda: method(*args, **kwargs))

        return call
