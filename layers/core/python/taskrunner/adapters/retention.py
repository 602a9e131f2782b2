"""How long a run's items and objects stay.

The table counts an item's time from any moment; the bucket's lifecycle counts from an object's
making, and a gate may wait for most of a year. So objects are tagged by the class of their run.
A run that is over soon, as nearly all are, is forgotten altogether when retention has passed since
its creation: at least three quarters of that time are left after its end. What may wait longer is
kept for as long as it can take, and for retention after that; its objects wait for the lifecycle's
later rule, which must not come before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from taskrunner.model import timestamp

if TYPE_CHECKING:
    from taskrunner.model.run import Run

# The lifecycle goes by these tags, as a key begins with its tenant and no prefix could tell.
OF_A_RUN: Final = "retention=run"
OF_A_LONG_RUN: Final = "retention=long-run"
KEPT: Final = ""  # what an environment may still need
_SOON: Final = 4


@dataclass(frozen=True, slots=True)
class Retention:
    """The deployment's RetentionDays, in seconds."""

    time_s: int

    def tag(self, longest_s: int) -> str:
        """The tag of the objects of a run that takes *longest_s* seconds at most."""
        return OF_A_RUN if self._is_over_soon(longest_s) else OF_A_LONG_RUN

    def expires_at(self, run: Run) -> int:
        """When all items of *run* expire, as a Unix time in seconds."""
        created_at = int(timestamp.from_text(run.created_at).timestamp())
        waits_s = 0 if self._is_over_soon(run.longest_s) else run.longest_s
        return created_at + waits_s + self.time_s

    def _is_over_soon(self, longest_s: int) -> bool:
        return longest_s * _SOON <= self.time_s
