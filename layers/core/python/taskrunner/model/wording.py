"""Parts of error messages: the nearest valid name, and text cut to length."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Comparing two names takes time in proportion to the product of their lengths. These limits are
# above anything that an author writes by hand.
_MAX_COMPARED: Final = 500
_MAX_PAIRS_OF_LETTERS: Final = 100_000
_MAX_LISTED: Final = 12
_MAX_MESSAGE_CHARACTERS: Final = 1_000


def nearest(wrong: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest valid name, else a list of the valid names."""
    names = sorted(set(valid))
    close = get_close_matches(wrong[:80], _worth_comparing(wrong[:80], names), n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    if not names:
        return ""
    listed = ", ".join(names[:_MAX_LISTED]) + (", ..." if len(names) > _MAX_LISTED else "")
    return f"; available: {listed}"


def _worth_comparing(wrong: str, names: list[str]) -> Iterator[str]:
    """Yield the names of about the same length, as many as can be compared quickly."""
    left = _MAX_PAIRS_OF_LETTERS
    by_length = sorted(names, key=lambda name: abs(len(name) - len(wrong)))
    for name in by_length[:_MAX_COMPARED]:
        left -= len(wrong) * len(name)
        if left < 0:
            break
        yield name


def shortened(text: str, max_characters: int = _MAX_MESSAGE_CHARACTERS) -> str:
    """Return *text* on one line, cut to *max_characters* and then marked with three dots."""
    line = " ".join(text[: max_characters + 1].splitlines())
    return line if len(line) <= max_characters else line[:max_characters] + "..."
