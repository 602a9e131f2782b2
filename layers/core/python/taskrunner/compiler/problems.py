"""Mistakes of an author: collected by every stage, and reported together within fixed bounds.

No manifest can make the answer too large: at most MAX_PROBLEMS mistakes, each on one short line.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.errors import Diagnostic, InvalidPackError
from taskrunner.model.wording import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from taskrunner.model.json_path import JsonPath

# More than an author fixes in one round, and still within what Lambda can answer.
MAX_PROBLEMS: Final = 100
_MAX_PATH_CHARACTERS: Final = 1_000


class Problem(NamedTuple):
    """One mistake: where it is, and what is wrong there and how to fix it."""

    path: JsonPath
    message: str


class Findings:
    """The problems that one stage found, in the order in which it found them, each once."""

    def __init__(self, is_hidden: Callable[[JsonPath], bool] = lambda _: False) -> None:
        """Find nothing yet; problems at paths that are hidden are dropped."""
        self._problems: dict[Problem, None] = {}
        self._is_hidden = is_hidden

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._problems)

    def __len__(self) -> int:
        return len(self._problems)

    @property
    def is_full(self) -> bool:
        """Whether there are more problems than are reported, so that looking for more is wasted."""
        return len(self._problems) > MAX_PROBLEMS

    def add(self, path: JsonPath, message: str) -> None:
        """Add a problem, unless the same one was found before."""
        if not self._is_hidden(path):
            self._problems[Problem(path, message)] = None


def invalid(diagnostics: Iterable[Diagnostic], code: str = "invalid_pack") -> InvalidPackError:
    """Return the error that reports *diagnostics*; the one after MAX_PROBLEMS says "and more"."""
    reported = [
        Diagnostic(shortened(diagnostic.path, _MAX_PATH_CHARACTERS), shortened(diagnostic.message))
        for diagnostic in islice(diagnostics, MAX_PROBLEMS + 1)
    ]
    if len(reported) > MAX_PROBLEMS:
        reported[-1] = Diagnostic(
            "$", f"there are more than {MAX_PROBLEMS} problems; fix these first"
        )
    return InvalidPackError(reported, code=code)
