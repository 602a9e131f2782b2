"""The cure in an error message: the nearest name that would have been right."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


_MAX_COMPARED: Final = 500  # comparing is slow, and no pack has so many names by hand


def nearest(wrong: str, right: Iterable[str]) -> str:
    """Say `; did you mean 'x'?` for the nearest of *right*, or list them when none is near."""
    names = sorted(set(right))
    close = get_close_matches(wrong[:80], names[:_MAX_COMPARED], n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")  # noqa: PLR2004
    return f"; there is {shown}"
