"""A part of a list that is too long for one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.json_types import JsonObject


class Page(NamedTuple):
    """Some items of a list, and where the next page begins; None when there is none."""

    items: Sequence[JsonObject]
    cursor: str | None
