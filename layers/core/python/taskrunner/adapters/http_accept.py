"""The choice of a response's media type by Accept (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_WEIGHT: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


def media_type(accept: str | None, offered: Sequence[str]) -> str:
    """Return the one of *offered* that *accept* prefers, and the first if it prefers none.

    Types with equal weights: those that *accept* names come before those of a range, in the
    order in which it names them. Generated clients name all types of the document with equal
    weights, and some can read only the first.
    """
    weights = dict(_weight(part) for part in (accept or "").lower().split(",") if part.strip())
    named = [*weights]

    def preference(candidate: str) -> tuple[float, int]:
        place = named.index(candidate) if candidate in weights else len(named)
        return _quality(candidate, weights), -place

    return max(offered, key=preference)  # the first of several that are preferred alike


def _weight(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    matches = (_WEIGHT.fullmatch(parameter) for parameter in parameters)
    return name, next((float(match[1]) for match in matches if match), 1.0)


def _quality(candidate: str, weights: dict[str, float]) -> float:
    """Return the weight of the most specific range that includes *candidate*.

    It is 0 if no range does, and less if the client refuses the type (`q=0`).
    """
    for media_range in (candidate, candidate.partition("/")[0] + "/*", "*/*"):
        if media_range in weights:
            return weights[media_range] or -1.0
    return 0.0
