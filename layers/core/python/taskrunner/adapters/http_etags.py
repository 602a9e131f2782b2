"""The ETags that a client says it has (RFC 9110, section 13.1.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def known_tags(fields: Iterable[str]) -> frozenset[str]:
    """Return the tags in *fields*, the values of If-None-Match, for a weak comparison.

    None of our tags has a comma, so splitting a foreign tag at its commas cannot produce ours. The
    tag `*` stands for any.
    """
    return frozenset(tag.strip().removeprefix("W/") for field in fields for tag in field.split(","))
