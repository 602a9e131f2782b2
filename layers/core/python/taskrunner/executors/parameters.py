"""The base of executors' parameters, and the parameters of a step as its pack gives them.

It is apart from `work`, which functions import that check no parameters, and need no pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import Json, JsonMapping


@dataclass(frozen=True, slots=True)
class Given:
    """The parameters of a step; those at the paths *still_open* have templates."""

    values: JsonMapping
    still_open: frozenset[JsonPath] = frozenset()

    def known(self, name: str) -> Json:
        """Return the value of a parameter; None if it has none, or if a template gives it."""
        return None if (name,) in self.still_open else self.values.get(name)

    def has(self, name: str) -> bool:
        """Return whether a parameter certainly has a value other than null."""
        value = self.values.get(name)
        # One whole expression may give null; a template with text around it gives text.
        is_whole = isinstance(value, str) and value.startswith("{{") and value.endswith("}}")
        return value is not None and not (is_whole and (name,) in self.still_open)

    def may_have(self, name: str) -> bool:
        """Return whether a parameter has a value other than null, or may get one."""
        return self.has(name) or (name,) in self.still_open


class ExecutorParameters(BaseModel):
    """Parameters of an executor."""

    @classmethod
    def contradictions(cls, given: Given) -> Iterator[tuple[JsonPath, str]]:  # noqa: ARG003 - an interface
        """Yield each problem that is not of one value, with its path: a key's, or several values'.

        pydantic would look for these only where every value fits by itself, so that an author
        would hear of them last. The values in *given* may have any type.
        """
        yield from ()


class AnyParameters(ExecutorParameters):
    """Any parameters."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", frozen=True)


class ClosedParameters(ExecutorParameters):
    """Parameters without coercion, and without any that is unknown."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)
