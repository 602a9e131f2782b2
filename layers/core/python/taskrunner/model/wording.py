"""Parts of messages: the nearest valid name, text cut to length, callers as people know them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.json_types import Json

# Comparing two names takes time in proportion to the product of their lengths. These limits are
# above anything that an author writes by hand.
_MAX_COMPARED: Final = 500
_MAX_PAIRS_OF_LETTERS: Final = 100_000
_MAX_LISTED: Final = 12
_MAX_MESSAGE_CHARACTERS: Final = 1_000


def nearest(wrong: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest valid name, else a list of the valid names."""
    names = sorted(set(valid))
    if (close := closest(wrong, names)) is not None:
        return f"; did you mean '{close}'?"
    if not names:
        return ""
    listed = ", ".join(names[:_MAX_LISTED]) + (", ..." if len(names) > _MAX_LISTED else "")
    return f"; available: {listed}"


def closest(wrong: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that is most like *wrong*, or None when none is like it."""
    names = sorted(set(valid))
    close = get_close_matches(wrong[:80], _worth_comparing(wrong[:80], names), n=1)
    return close[0] if close else None


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


def who(subject: str, name: str | None) -> str:
    """Return a caller as people know it, with its id: `nightly-build (1h57kf5cpq)`."""
    return f"{name} ({subject})" if name else subject


def kind_of(value: Json) -> str:
    """Return the JSON type of *value*, in the words of messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "text"
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return "a number"
