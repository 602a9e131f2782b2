"""JSON paths as authors read them: `$.spec.steps[2].run.uses`, after RFC 9535."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Path: TypeAlias = "tuple[str | int, ...]"

_SHORTHAND = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def render(path: Iterable[str | int]) -> str:
    """Write *path* with the dot form where RFC 9535 allows it and the bracket form elsewhere."""
    return "$" + "".join(_segment(part) for part in path)


def _segment(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if _SHORTHAND.fullmatch(part):
        return f".{part}"
    escaped = part.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"
