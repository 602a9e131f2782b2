"""The small pieces that all views share: safe text, a status with its mark, times and durations."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from rich.text import Text

from taskrunner_cli.output.screen import harmless

# A mark beside every colour: the words must be told apart without it.
_LOOKS: Final[Mapping[str, tuple[str, str]]] = {
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
_OTHERWISE: Final = ("○", "default")
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


def text(value: object, style: str = "") -> Text:
    """Return something the service sent as text that a terminal cannot misread."""
    return Text(harmless(str(value)), style=style)


def status(word: str, *, looks_like: str = "") -> Text:
    """Return a status as a mark and its word, in its colour."""
    mark, style = _LOOKS.get(looks_like or word, _OTHERWISE)
    return text(f"{mark} {word}", style)


def clock_time(timestamp: str | None) -> str:
    """Return the time of day, in the zone of whoever looks, of a timestamp of the service."""
    moment = parse_time(timestamp)
    return moment.astimezone().strftime("%H:%M:%S") if moment else ""


def date_time(timestamp: str | None) -> str:
    """Return day and time of a timestamp, in the zone of whoever looks."""
    moment = parse_time(timestamp)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def parse_time(timestamp: str | None) -> datetime | None:
    """Return an RFC 3339 timestamp as a moment; None for one that is absent or not understood."""
    try:
        moment = datetime.fromisoformat(timestamp or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def duration(span: timedelta | None) -> str:
    """Return a span as people say it: 0.4 s, 12 s, 3 min 05 s, 2 h 07 min."""
    if span is None:
        return ""
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 10:  # noqa: PLR2004 -- below this a tenth is worth seeing
        return f"{seconds:.1f} s"
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min {seconds % _MINUTE_S:02.0f} s"
    return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:02.0f} min"
