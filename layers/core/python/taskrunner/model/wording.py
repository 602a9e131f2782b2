"""Parts of error messages: the nearest name that would have been right, and text cut to length."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


# Comparing is slow: each letter with each. No pack has so many names by hand, or such long ones.
_MAX_COMPARED: Final = 500
_MAX_PAIRS_OF_LETTERS: Final = 100_000
_MAX_MESSAGE_CHARACTERS: Final = 1_000


def nearest(wrong: str, right: Iterable[str]) -> str:
    """Say `; did you mean 'x'?` for the nearest of *right*, or list them when none is near."""
    names = sorted(set(right))
    close = get_close_matches(wrong[:80], _worth_comparing(wrong[:80], names), n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")  # noqa: PLR2004
    return f"; there is {shown}"


def _worth_comparing(wrong: str, names: list[str]) -> Iterator[str]:
    """Those of *names* that are about as long, as many of them as can be compared quickly."""
    left = _MAX_PAIRS_OF_LETTERS
    by_length = sorted(names, key=lambda name: abs(len(name) - len(wrong)))
    for name in by_length[:_MAX_COMPARED]:
        left -= len(wrong) * len(name)
        if left < 0:
            break
        yield name


def shortened(text: str, length: int = _MAX_MESSAGE_CHARACTERS) -> str:
    """*text* on one line, and not longer than *length* and three dots."""
    line = " ".join(text[: length + 1].splitlines())
    return line if len(line) <= length else line[:length] + "..."
