"""Formats single values for people: safe text, a status with its mark, times and durations."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from rich.text import Text

from taskrunner_cli.output.sanitize import sanitize_text

# Each colour has a mark beside it, so that statuses differ without colours too.
_MARKS_AND_STYLES: Final[Mapping[str, tuple[str, str]]] = {
    "Succeeded": ("✓", "green"),
    "succeeded": ("✓", "green"),
    "captured": ("✓", "green"),
    "passed": ("✓", "green"),
    "Failed": ("✗", "red"),
    "failed": ("✗", "red"),
    "cancelled": ("✗", "magenta"),
    "Running": ("●", "cyan"),
    "running": ("●", "cyan"),
    "waiting": ("◆", "yellow"),
    "RequiresApproval": ("◆", "yellow"),
    "RequiresPolicy": ("◆", "yellow"),
    "Skipped": ("-", "bright_black"),
}
_DEFAULT_MARK_AND_STYLE: Final = ("○", "default")
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


def text(value: object, style: str = "") -> Text:
    """Return *value*, which the service may have sent, as text that is safe for a terminal."""
    return Text(sanitize_text(str(value)), style=style)


def status(word: str, *, looks_like: str = "") -> Text:
    """Return a status with its mark, in its colour, or in those of the status *looks_like*."""
    mark, style = _MARKS_AND_STYLES.get(looks_like or word, _DEFAULT_MARK_AND_STYLE)
    return text(f"{mark} {word}", style)


def clock_time(timestamp: str | None) -> str:
    """Return the time of day of a timestamp, in the reader's time zone; empty if it is invalid."""
    time = parse_time(timestamp)
    return time.astimezone().strftime("%H:%M:%S") if time else ""


def date_time(timestamp: str | None) -> str:
    """Return the date and time of a timestamp, in the reader's time zone; empty if invalid."""
    time = parse_time(timestamp)
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S") if time else ""


def parse_time(timestamp: str | None) -> datetime | None:
    """Return an RFC 3339 timestamp as a time; None if it is absent or invalid."""
    try:
        time = datetime.fromisoformat(timestamp or "")
    except ValueError:
        return None
    return time if time.tzinfo else None


def duration(span: timedelta | None) -> str:
    """Return a duration in two units at most: 0.4 s, 12 s, 3 min 05 s, 2 h 07 min."""
    if span is None:
        return ""
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 10:  # noqa: PLR2004 -- only short durations need tenths
        return f"{seconds:.1f} s"
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min {seconds % _MINUTE_S:02.0f} s"
    return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:02.0f} min"
