"""Paths into JSON, written as JSON paths (RFC 9535) for authors and as JSON pointers in plans."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Path: TypeAlias = "tuple[str | int, ...]"

_SHORTHAND = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def render(path: Iterable[str | int]) -> str:
    """Return *path* as a JSON path such as `$.spec.steps[2].run.uses`.

    A name that RFC 9535 does not allow behind a dot is written in brackets.
    """
    return "$" + "".join(_segment(part) for part in path)


def pointer(path: Iterable[str | int]) -> str:
    """Return *path* as a JSON pointer (RFC 6901) such as `/files/0`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _segment(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if _SHORTHAND.fullmatch(part):
        return f".{part}"
    escaped = part.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"
