"""A clock that stands still, and ids and secrets that are counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NOON = datetime(2025, 12, 6, 12, tzinfo=UTC)


@dataclass
class StoppedClock:
    """Shows noon until a test moves it."""

    time: datetime = NOON

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class CountingIds:
    """run-1, run-2, ..."""

    given: int = 0

    def run_id(self, now: datetime) -> str:  # noqa: ARG002 - the port's form
        self.given += 1
        return f"run-{self.given}"

    def secret(self) -> str:
        self.given += 1
        return f"{self.given:043d}"
