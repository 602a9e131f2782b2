"""The reason of a step's wait for a worker, by the workers of its pool that were seen lately.

Workers that ask for work or report about it are noted once a minute, each kind of them together:
the workers of a pool with the same labels.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from taskrunner.model import timestamp
from taskrunner.model.job import has_labels
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

# How often a kind of workers is noted, and how many kinds of a pool are.
NOTED_EVERY: Final = timedelta(minutes=1)
MAX_KINDS: Final = 40
# A note that is older says nothing, and is removed.
KEPT: Final = timedelta(days=30)
# A kind that was not noted for so long has gone. An idle worker asks every 15 seconds, a busy one
# reports every 10, and both are noted at their first request after each minute.
LATELY: Final = timedelta(seconds=90)
_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerKind:
    """The workers of *pool* with the same *labels*; one of them was seen at *seen_at*."""

    pool: str
    labels: Mapping[str, str]
    seen_at: str

    def is_there(self, now: datetime) -> bool:
        """Return whether such a worker was seen lately."""
        return timestamp.from_text(self.seen_at) >= now - LATELY


class WaitCause(StrEnum):
    """The cause of a step's wait for a worker."""

    NO_WORKER = "no-worker"
    LABELS = "no-worker-with-labels"
    BUSY = "workers-busy"
    NOT_ASKED_YET = "not-asked-yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerWait:
    """The cause of a step's wait, in a word and in a sentence.

    *labels* are what the worker must have. *last_seen_at* is when a worker of the pool was seen
    last; None if none was within `KEPT`.
    """

    cause: WaitCause
    message: str
    labels: Mapping[str, str]
    last_seen_at: str | None


def why_waiting(
    pool: str,
    labels: Mapping[str, str],
    waits_since: str,
    kinds: Sequence[WorkerKind],
    now: datetime,
) -> WorkerWait:
    """Return why a job of *pool*, which needs *labels*, is still waiting *now*.

    *kinds* are all workers that were noted, also those of other pools.
    """
    of_pool = [kind for kind in kinds if kind.pool == pool]
    last_seen_at = max((kind.seen_at for kind in of_pool), default=None)
    there = [kind for kind in of_pool if kind.is_there(now)]
    suiting = max((kind.seen_at for kind in there if has_labels(kind.labels, labels)), default=None)
    if not there:
        cause, message = WaitCause.NO_WORKER, _no_worker(pool, last_seen_at)
    elif suiting is None:
        cause, message = WaitCause.LABELS, _no_labels(pool, labels, of_pool, there)
    elif suiting < waits_since:
        cause, message = WaitCause.NOT_ASKED_YET, _not_asked_yet(pool, labels, suiting)
    else:
        cause, message = WaitCause.BUSY, _busy(pool, labels)
    return WorkerWait(cause=cause, message=message, labels=labels, last_seen_at=last_seen_at)


def _no_worker(pool: str, last_seen_at: str | None) -> str:
    if last_seen_at is None:
        days = f"in the last {KEPT.days} days"
        return (
            f"no worker has asked the pool {pool} for work {days}; start one, or correct the pool"
        )
    return f"no worker has asked the pool {pool} for work since {_time(last_seen_at)}; start one"


def _no_labels(
    pool: str,
    labels: Mapping[str, str],
    of_pool: Sequence[WorkerKind],
    there: Sequence[WorkerKind],
) -> str:
    """Name the labels that no worker has; if each is had by one, name all of them."""
    gone = (kind.seen_at for kind in of_pool if has_labels(kind.labels, labels))
    gone_at = max(gone, default=None)
    had = "" if gone_at is None else f"; one that had was last seen at {_time(gone_at)}"
    missing = {
        name: value
        for name, value in labels.items()
        if not any(kind.labels.get(name) == value for kind in there)
    }
    asked = f"workers ask the pool {pool} for work, but none"
    if len(there) >= MAX_KINDS:
        asked += f" of the {MAX_KINDS} kinds that are noted"
    if missing:
        return f"{asked} has {_named(missing)}{had}; start one that has"
    return f"{asked} has all of {_named(labels)}{had}; start one that has"


def _not_asked_yet(pool: str, labels: Mapping[str, str], seen_at: str) -> str:
    return (
        f"a worker of the pool {pool}{_with(labels)} was last seen at {_time(seen_at)}, before "
        "the step was offered; one takes it when it has room"
    )


def _busy(pool: str, labels: Mapping[str, str]) -> str:
    return f"all workers of the pool {pool}{_with(labels)} are busy; one takes it when it has room"


def _time(text: str) -> str:
    return f"{text[:10]} {text[11:19]} UTC"


def _with(labels: Mapping[str, str]) -> str:
    return f" with {_named(labels)}" if labels else ""


def _named(labels: Mapping[str, str]) -> str:
    words = [f"{name}={value}" for name, value in sorted(labels.items())]
    more = f" and {len(words) - _MOST_NAMED} more" if len(words) > _MOST_NAMED else ""
    return f"the label{'s' if len(words) > 1 else ''} {', '.join(words[:_MOST_NAMED])}{more}"
