"""Formats single values for people: safe text, a status with its mark, times and durations."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from rich.cells import cell_len
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
_WORD: Final = re.compile(r"(\s*)(\S+)")
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


def text(value: object, style: str = "") -> Text:
    """Return *value*, which the service may have sent, as text that is safe for a terminal."""
    return Text(sanitize_text(str(value)), style=style)


def wrap_words(text: Text, width: int) -> list[Text]:
    """Return *text* in lines of at most *width* columns; a word that is wider stays whole.

    Rich either folds such a word, so that an id could not be copied, or wraps nothing.
    """
    lines = text.split("\n", allow_blank=True)
    if text.no_wrap:
        return list(lines)
    return [part for line in lines for part in _wrap_line(line, width)]


def _wrap_line(line: Text, width: int) -> list[Text]:
    breaks, used = [], 0
    for match in _WORD.finditer(line.plain):
        gap, word = map(cell_len, match.groups())
        if used and used + gap + word > width:
            breaks.append(match.start(2))
            used = word
        else:
            used += gap + word
    parts = list(line.divide(breaks))
    for part in parts:
        part.rstrip()
    return parts


def status(word: str, *, looks_like: str = "") -> Text:
    """Return a status with its mark, in its colour, or in those of the status *looks_like*.

    It is empty if the status is not known.
    """
    if not word:
        return Text()
    mark, style = _MARKS_AND_STYLES.get(looks_like or word, _DEFAULT_MARK_AND_STYLE)
    return text(f"{mark} {word}", style)


def clock_time(timestamp: str | None) -> str:
    """Return the time of day of a timestamp, in the reader's time zone; empty if it is invalid."""
    time = parse_time(timestamp)
    return time.strftime("%H:%M:%S") if time else ""


def date_time(timestamp: str | None) -> str:
    """Return the date and time of a timestamp, in the reader's time zone; empty if invalid."""
    time = parse_time(timestamp)
    return time.strftime("%Y-%m-%d %H:%M:%S") if time else ""


def parse_time(timestamp: str | None) -> datetime | None:
    """Return an RFC 3339 timestamp in the reader's time zone; None if it is absent or invalid."""
    try:
        time = datetime.fromisoformat(timestamp or "")
        return time.astimezone() if time.tzinfo else None
    except (ValueError, OverflowError):  # OverflowError: year 1 or 9999 in another time zone
        return None


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
