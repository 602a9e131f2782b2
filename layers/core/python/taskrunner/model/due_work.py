"""Due work: what the reconciler looks at, and when.

Every write that something must follow also records when the reconciler looks whether it has. The
follow-up removes the record. So a call that was cut off is taken up again, and one that was not
costs the reconciler nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from taskrunner.model import timestamp
from taskrunner.values import dataclass

# The functions that serve the API end within 29 s, and have then done what follows their write.
_GRACE: Final = timedelta(seconds=60)
_FIRST_PAUSE_S: Final = 60
_LONGEST_PAUSE_S: Final = 3600
_MOST_DOUBLINGS: Final = 6
_RUNNING_LOOK_S: Final = (120, 900)
_AGE_PER_LOOK: Final = 6
# The machine has recorded the expiry of a gate by then, or goes on after its decision.
_AFTER_EXPIRY: Final = timedelta(minutes=10)
# Longer than all pauses of the machine's retries of what AWS refuses, and its last try. A lane that
# has recorded nothing for so long is not on the way to its next step.
QUIET: Final = timedelta(hours=4)


class DueKind(StrEnum):
    """The kinds of due work, each with a queue of its own."""

    APPROVAL = "approval"  # an approval whose decisions may not have reached all of its gates
    GATE = "gate"  # a gate of which approvers may not have been notified
    LEASE = "lease"  # a job whose lease may have ended, or whose machine may not have been answered
    OFFER = "offer"  # a job that has waited for a worker for as long as it may
    BLOCK = "block"  # a block that a failure has stopped, whose gates may not have been answered
    ENDED = "ended"  # an ended run that lacks its evidence, or the ends of steps that it has lost
    OBJECTIVE = "objective"  # a run or gate that breaches its pack's `slo` if it goes on by then
    RUN = "run"  # a run that has not ended, and may not have started or no longer be executed


@dataclass(frozen=True, slots=True, kw_only=True)
class DueItem:
    """Something that was due at *due_at* (RFC 3339 text).

    *name* is that of an approval's record or the step path of a gate, job or block, and empty for a
    run.
    *looks* counts how often the reconciler has taken it up without success.
    """

    kind: DueKind
    tenant: str
    run_id: str
    due_at: str
    name: str = ""
    looks: int = 0


def first_look_at(recorded_at: str) -> str:
    """Return when to look whether a write at *recorded_at* was followed by what must follow."""
    return timestamp.to_text(timestamp.from_text(recorded_at) + _GRACE)


def breached_at(started_at: str, limit_s: int | None) -> str | None:
    """Return when what started then has taken *limit_s* seconds; None when there is no limit."""
    if limit_s is None:
        return None
    return timestamp.to_text(timestamp.from_text(started_at) + timedelta(seconds=limit_s))


def lease_until(now: datetime, looks: int) -> str:
    """Return when to look again at what has been looked at *looks* times before.

    The pauses are 1, 2, 4 minutes and so on up to an hour, so what cannot be healed soon takes no
    time from the rest.
    """
    pause_s = _FIRST_PAUSE_S * 2 ** min(looks, _MOST_DOUBLINGS)
    return timestamp.to_text(now + timedelta(seconds=min(pause_s, _LONGEST_PAUSE_S)))


def next_look_at_running(now: datetime, created_at: str) -> str:
    """Return when to look again at a run that is being executed.

    AWS reports an execution's end, so this look is for a report that was lost. A run that has taken
    long is looked at less often: after a sixth of its age, within 2 to 15 minutes.
    """
    age_s = (now - timestamp.from_text(created_at)).total_seconds()
    shortest_s, longest_s = _RUNNING_LOOK_S
    pause_s = min(max(age_s / _AGE_PER_LOOK, shortest_s), longest_s)
    return timestamp.to_text(now + timedelta(seconds=pause_s))


def look_after_expiry(expires_at: str) -> str:
    """Return when to look again at a run that only waits, and whose first gate expires then."""
    return timestamp.to_text(timestamp.from_text(expires_at) + _AFTER_EXPIRY)


def is_quiet(now: datetime, last_entry_at: str) -> bool:
    """Return whether nothing has happened in a run for longer than between two of its steps.

    AWS may refuse the start of a step for hours, and the machine tries again.
    """
    return now - timestamp.from_text(last_entry_at) >= QUIET
