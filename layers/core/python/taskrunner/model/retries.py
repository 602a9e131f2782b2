"""The retries of a step: how often it is tried, after which failures, and with which pauses."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject

from taskrunner.values import dataclass

# The reasons that a pack may name in `on`, by their names on the wire. Nothing that runs out of the
# run's quota is tried again, because the quota is the whole run's.
REASONS: Final = (
    "timeout",
    "memory-exceeded",
    "egress-denied",
    "executor-error",
    "worker-lost",
)
# A host that is not allowed now will not be allowed at the next attempt. An attempt that is lost
# with its worker is made again anyway, unless the pack names the reason.
RETRIED_BY_DEFAULT: Final = frozenset(REASONS) - {"egress-denied", "worker-lost"}


class Jitter(StrEnum):
    """The part of a pause that is left to chance: none of it, or all."""

    NONE = "none"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Retries:
    """The number of attempts, the first one included, and the pauses between them.

    A pause is *backoff_rate* times the one before it, and at most *max_backoff_s*. *on* has the
    reasons of failures that are tried again; empty for those that are tried again by default.
    """

    max_attempts: int = 1
    backoff_s: int = 0
    backoff_rate: float = 1
    max_backoff_s: int | None = None
    jitter: Jitter = Jitter.NONE
    on: tuple[str, ...] = ()

    def allow(self, attempt: int, reason: str) -> bool:
        """Return whether another attempt follows *attempt*, which failed for *reason*."""
        return attempt < self.max_attempts and reason in (self.on or RETRIED_BY_DEFAULT)

    @property
    def first_pause_s(self) -> int:
        """The pause after the first attempt; the shortest of Step Functions is one second."""
        first_s = max(1, self.backoff_s)
        return first_s if self.max_backoff_s is None else min(first_s, self.max_backoff_s)

    def pause_s(self, attempt: int) -> float:
        """Return the longest pause after *attempt*; with jitter it may be any shorter one."""
        most_s = float("inf") if self.max_backoff_s is None else self.max_backoff_s
        # Beyond this power every pause is longer than any run.
        grown_s = self.first_pause_s * self.backoff_rate ** min(attempt - 1, 64)
        return min(grown_s, most_s, _LONGEST_PAUSE_S)

    def document(self) -> JsonObject:
        """Return the retries as a plan and the API write them: what is usual is omitted."""
        document: JsonObject = {
            "maxAttempts": self.max_attempts,
            "backoffSeconds": self.backoff_s,
        }
        if self.backoff_rate != 1:
            document["backoffRate"] = self.backoff_rate
        if self.max_backoff_s is not None:
            document["maxBackoffSeconds"] = self.max_backoff_s
        if self.jitter is not Jitter.NONE:
            document["jitter"] = self.jitter.value
        if self.on:
            document["on"] = list(self.on)
        return document

    @property
    def pauses_s(self) -> float:
        """All pauses together, at most."""
        return sum(self.pause_s(attempt) for attempt in range(1, self.max_attempts))


_LONGEST_PAUSE_S: Final = 364 * 86400  # Step Functions ends an execution after a year
