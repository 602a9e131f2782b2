"""The fields of entries as values: reads that never fail, and writes that omit what is unknown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from taskrunner.model.run import Reason

if TYPE_CHECKING:
    from taskrunner.model.journal import Entry

MAX_MESSAGE: Final = 1000  # characters

_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_REASONS: Final = {reason.value: reason for reason in Reason}


def number(entry: Entry, key: str) -> int | None:
    """Return the number that *key* has, if it has one."""
    text = entry.metadata.get(key, "")
    return int(text) if _NUMBER.fullmatch(text) else None


def attempt(entry: Entry) -> int:
    """Return the attempt that the entry is about; 0 when it names none."""
    return number(entry, "attempt") or 0


def reason(entry: Entry) -> Reason | None:
    """Return the reason that the entry gives, if this release knows it."""
    return _REASONS.get(entry.metadata.get("reason", ""))


def without_none(metadata: dict[str, str | None]) -> dict[str, str]:
    """Return *metadata* without the members that are None."""
    return {key: value for key, value in metadata.items() if value is not None}
