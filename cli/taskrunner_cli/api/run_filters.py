"""The filters of the list of runs, as the API takes them, and as this machine can check them.

A service of version 0.1 ignores what it does not know, so its answer has runs that were not asked
for.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from taskrunner_cli.api.documents import RunSummary
from taskrunner_cli.errors import UsageError

_AGO: Final = re.compile(r"(\d{1,5})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilters:
    """The conditions that all must hold; one that is empty holds always."""

    status: str = ""
    pack: str = ""
    version: str = ""
    requested_by: str = ""
    approval: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None

    def query(self) -> dict[str, str]:
        """Return the parameters of the API's query."""
        given = {
            "status": self.status,
            "pack": self.pack,
            "version": self.version,
            "requestedBy": self.requested_by,
            "approval": self.approval,
            "createdAfter": _timestamp(self.created_after),
            "createdBefore": _timestamp(self.created_before),
        }
        return {name: value for name, value in given.items() if value}

    def contradicts(self, run: RunSummary) -> bool:
        """Return whether what *run* says of itself fails a condition."""
        pack = run.get("pack")
        said = (
            (self.status, run.get("status")),
            (self.pack, pack["name"] if pack else None),
            (self.version, pack.get("version") if pack else None),
        )
        if any(wanted and value is not None and value != wanted for wanted, value in said):
            return True
        created = _parsed(run.get("createdAt"))
        if created is None:
            return False
        is_early = self.created_after is not None and created < self.created_after
        is_late = self.created_before is not None and created >= self.created_before
        return is_early or is_late


def parse_moment(text: str, option: str, now: datetime) -> datetime | None:
    """Return the moment in *text*: a date, a time by RFC 3339, or one that long ago, as in `24h`.

    A date, and a time without a zone, is in the time zone of this machine. It is None for no text.

    Raises:
        UsageError: it is none of these.

    """
    if not text:
        return None
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{option} {text!r} is not a time",
            cure="write 2025-12-06, 2025-12-06T12:00:00Z, or 24h for 24 hours ago (s, m, h, d, w)",
        ) from error


def _timestamp(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else ""


def _parsed(timestamp: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(timestamp or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None
