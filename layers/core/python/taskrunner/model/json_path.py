"""Paths into JSON, written as JSON paths (RFC 9535) for authors and as JSON pointers in plans."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

JsonPath: TypeAlias = "tuple[str | int, ...]"

_SHORTHAND = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SEGMENT = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]{1,9})\]|\['((?:[^'\\]|\\.)*)'\]")


def render(path: Iterable[str | int]) -> str:
    """Return *path* as a JSON path such as `$.spec.steps[2].run.uses`.

    A name that RFC 9535 does not allow after a dot is written in brackets.
    """
    return "$" + "".join(_segment(part) for part in path)


def parse(text: str) -> JsonPath | None:
    """Return the path that `render` writes as *text*; None if it writes none so."""
    parts: list[str | int] = []
    end = 1
    while text[:1] == "$" and (match := _SEGMENT.match(text, end)):
        name, index, quoted = match.groups()
        parts.append(int(index) if index else name or re.sub(r"\\(.)", r"\1", quoted))
        end = match.end()
    return tuple(parts) if text[:1] == "$" and end == len(text) else None


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
