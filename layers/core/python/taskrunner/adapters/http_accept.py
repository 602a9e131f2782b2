"""The choice of a response's media type by Accept (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_WEIGHT: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


def media_type(accept: str | None, offered: Sequence[str]) -> str:
    """Return the one of *offered* that *accept* prefers; of several, the first.

    It is the first also if the client accepts none of them: it can still read that it got another.
    """
    weights = dict(_weight(part) for part in (accept or "").lower().split(",") if part.strip())
    # `max` returns the first of several that have the greatest weight.
    return max(offered, key=lambda candidate: _quality(candidate, weights))


def _weight(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    matches = (_WEIGHT.fullmatch(parameter) for parameter in parameters)
    return name, next((float(match[1]) for match in matches if match), 1.0)


def _quality(candidate: str, weights: dict[str, float]) -> float:
    """Return the weight of the most specific range that includes *candidate*; 0 if none does."""
    for media_range in (candidate, candidate.partition("/")[0] + "/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0
