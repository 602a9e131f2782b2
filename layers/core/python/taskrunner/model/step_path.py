"""The grammar of step paths, such as `outer[1]::inner[0]::leaf`.

A step path names one step of one run. A step outside of maps and loops has its id as its path. In a
map or loop it has the iterations around it in front, the outermost first:

    path   = prefix id
    prefix = *( id "[" number "]::" )     number is decimal, from 0, without leading zeros

A prefix names one iteration, and is empty outside of maps and loops.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_ID: Final = r"[A-Za-z0-9][A-Za-z0-9_-]*"
_ITERATION: Final = re.compile(rf"({_ID})\[(0|[1-9][0-9]{{0,8}})\]::")
_PREFIX: Final = re.compile(rf"(?:{_ITERATION.pattern})*")
_PATH: Final = re.compile(rf"(?P<prefix>{_PREFIX.pattern})(?P<id>{_ID})")


class Iteration(NamedTuple):
    """One iteration of a map or loop: the path of that block, and the iteration's number from 0."""

    block: str
    number: int

    @property
    def block_id(self) -> str:
        """The id of the map or loop in its pack."""
        return self.block.rpartition("::")[2]

    @property
    def prefix(self) -> str:
        """The prefix of the steps in this iteration: `outer[1]::inner[0]::`."""
        return iteration_prefix(self.block, self.number)

    @property
    def outer_prefix(self) -> str:
        """The prefix of the block itself: `outer[1]::`."""
        return self.block.removesuffix(self.block_id)


class StepPath(NamedTuple):
    """A path in its parts: the iterations around the step, the outermost first, and its id."""

    iterations: tuple[Iteration, ...]
    step_id: str


def parse(path: str) -> StepPath:
    """Take a path apart.

    Raises:
        ValueError: *path* is not a step path.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise ValueError(f"not a step path: {path!r}")
    return StepPath(_iterations(match["prefix"]), match["id"])


def iterations(prefix: str) -> tuple[Iteration, ...]:
    """The iterations that *prefix* names, the outermost first.

    Raises:
        ValueError: *prefix* is not the prefix of a step path.
    """
    if _PREFIX.fullmatch(prefix) is None:
        raise ValueError(f"not the prefix of a step path: {prefix!r}")
    return _iterations(prefix)


def _iterations(prefix: str) -> tuple[Iteration, ...]:
    return tuple(
        Iteration(prefix[: match.end(1)], int(match[2])) for match in _ITERATION.finditer(prefix)
    )


def iteration_prefix(block: str, number: int) -> str:
    """The prefix of the steps in iteration *number* of the map or loop whose path is *block*."""
    return f"{block}[{number}]::"


def join(prefix: str, step_id: str) -> str:
    """The path of the step *step_id* in the iteration that *prefix* names."""
    return prefix + step_id


def split(path: str) -> tuple[str, str]:
    """The prefix and the step id that `join` makes *path* of."""
    step_id = parse(path).step_id
    return path.removesuffix(step_id), step_id


def parent(path: str) -> str | None:
    """The path of the innermost map or loop around a step; None outside of them."""
    enclosing = parse(path).iterations
    return enclosing[-1].block if enclosing else None


def is_iterated(path: str) -> bool:
    """Return whether the step of that path is in an iteration of a map or loop."""
    return "::" in path


def below(block: str) -> str:
    """The beginning that the paths of all steps in all iterations of a map or loop share."""
    return f"{block}["
