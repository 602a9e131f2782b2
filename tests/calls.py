"""Counts calls of Python functions: a cost that the load of the machine cannot change."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def calls(work: Callable[[], object]) -> Counter[tuple[str, str]]:
    """Return how often *work* calls which function of which module."""
    counts: Counter[tuple[str, str]] = Counter()

    def count(frame: FrameType, event: str, _argument: Any) -> None:  # noqa: ANN401 - the interpreter's
        if event == "call":
            counts[frame.f_globals.get("__name__", ""), frame.f_code.co_name] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counts
