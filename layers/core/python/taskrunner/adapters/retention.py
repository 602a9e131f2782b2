"""The time for which the items and objects of a run are kept.

An item of the table can expire at any time. An object in the bucket expires at a fixed time after
its creation, and a gate may wait for most of a year. So objects are tagged by the class of their
run. A short run (nearly all are) and its objects are removed when the retention has passed since
the run's creation, which leaves at least three quarters of the retention after its end. A long run
is kept for its longest duration and the retention after that. Its objects wait for the lifecycle's
second rule, which must not apply earlier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.model import timestamp
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from taskrunner.model.run import Run

# The lifecycle selects by tag, because a key begins with its tenant and no prefix could select.
SHORT_RUN_TAG: Final = "retention=run"
LONG_RUN_TAG: Final = "retention=long-run"
NO_TAG: Final = ""  # for objects that an environment may still need
_SHORT_RUN_PARTS: Final = 4  # a short run takes at most this part of the retention


@dataclass(frozen=True, slots=True)
class Retention:
    """The deployment's RetentionDays, in seconds."""

    time_s: int

    def tag(self, longest_s: int) -> str:
        """Return the tag of the objects of a run that takes at most *longest_s* seconds."""
        return SHORT_RUN_TAG if self._is_short(longest_s) else LONG_RUN_TAG

    def expires_at(self, run: Run) -> int:
        """Return when all items of *run* expire, as a Unix time in seconds."""
        created_at = int(timestamp.from_text(run.created_at).timestamp())
        duration_s = 0 if self._is_short(run.longest_s) else run.longest_s
        return created_at + duration_s + self.time_s

    def _is_short(self, longest_s: int) -> bool:
        return longest_s * _SHORT_RUN_PARTS <= self.time_s
