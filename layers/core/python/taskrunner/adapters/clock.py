"""The real time and real chance."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


class SystemClock:
    """`usecases.ports.Clock`."""

    def now(self) -> datetime:
        """See the port."""
        return datetime.now(UTC)


class RandomIds:
    """`usecases.ports.Ids`."""

    def run_id(self, now: datetime) -> str:
        """See the port: the date for people, then 60 bits of chance."""
        return f"run-{now:%Y%m%d}-{secrets.token_hex(8)[:15]}"
