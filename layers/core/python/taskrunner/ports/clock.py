"""The current time, new run ids and new secrets, which a pure function cannot make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class Clock(Protocol):
    """The current time, and its passing."""

    def now(self) -> datetime:
        """Return the time as an aware datetime in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""
        ...


class Ids(Protocol):
    """Ids of runs whose caller gave none, and secrets of leases."""

    def run_id(self, now: datetime) -> str:
        """Return a new run id, which nobody can guess and which is never returned again."""
        ...

    def secret(self) -> str:
        """Return 43 characters of base64url that nobody can guess: 256 random bits."""
        ...
