"""Timestamps as text: RFC 3339 in UTC with milliseconds, so that they sort by time."""

from __future__ import annotations

from datetime import UTC, datetime


def to_text(time: datetime) -> str:
    """Write an aware *time* as `2025-12-06T10:00:00.000Z`; what is below a millisecond is cut."""
    utc = time.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"


def from_text(text: str) -> datetime:
    """Read a timestamp that `to_text` wrote."""
    return datetime.fromisoformat(text)
