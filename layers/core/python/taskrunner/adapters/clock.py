"""The real clock, and real random ids and secrets."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime


class SystemClock:
    """`ports.Clock`."""

    def now(self) -> datetime:
        """See the port."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """See the port."""
        time.sleep(seconds)


class RandomIds:
    """`ports.Ids`."""

    def run_id(self, now: datetime) -> str:
        """See the port. The id is the date, for people, and 60 random bits."""
        return f"run-{now:%Y%m%d}-{secrets.token_hex(8)[:15]}"

    def secret(self) -> str:
        """See the port."""
        return secrets.token_urlsafe(32)
