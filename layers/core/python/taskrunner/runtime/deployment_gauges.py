"""The state of a deployment in numbers, read once in each pass of the reconciler.

The number of calls does not grow with that of runs: one for the tenants, one for each of the first
of them, and one for the jobs that wait for workers.
"""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING, Final

from taskrunner.model import timestamp
from taskrunner.model.metrics import Measurement, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from taskrunner.model.due_work import DueItem
    from taskrunner.model.job import Job
    from taskrunner.ports import World

MOST_TENANTS: Final = 10
MOST_APPROVALS: Final = 100  # of a tenant; more count as that many
MOST_JOBS: Final = 100  # of all pools; more count as that many
MOST_POOLS: Final = 20  # that have series of their own, because CloudWatch charges for each


def gauges(due: Sequence[DueItem], now: datetime, world: World) -> Iterator[Measurement]:
    """Yield the gauges; *due* is the work that the pass has found."""
    oldest_due = min((item.due_at for item in due), default=None)
    yield Measurement(Metric.DUE_WORK, len(due))
    yield Measurement(Metric.DUE_WORK_AGE, _age_s(oldest_due, now))
    tenants = world.due_work.tenants(MOST_TENANTS)
    waiting = [world.approvals.count_open(tenant, MOST_APPROVALS) for tenant in tenants]
    oldest_gate = min((found.oldest for found in waiting if found.oldest), default=None)
    yield Measurement(Metric.OPEN_GATES, sum(found.approvals for found in waiting))
    yield Measurement(Metric.OLDEST_GATE_AGE, _age_s(oldest_gate, now))
    yield from _gauges_of_jobs(world.jobs.oldest(MOST_JOBS), now)


def _gauges_of_jobs(waiting: Sequence[Job], now: datetime) -> Iterator[Measurement]:
    """Yield the gauges of all pools together, and those of the pools in which jobs wait."""
    yield from _gauges_of_pool(waiting, now, None)
    by_pool = groupby(sorted(waiting, key=lambda job: job.pool), key=lambda job: job.pool)
    for pool, jobs in islice(by_pool, MOST_POOLS):
        yield from _gauges_of_pool(list(jobs), now, pool)


def _gauges_of_pool(
    waiting: Sequence[Job], now: datetime, pool: str | None
) -> Iterator[Measurement]:
    oldest = min((job.offered_at for job in waiting), default=None)
    yield Measurement(Metric.WAITING_JOBS, len(waiting), pool)
    yield Measurement(Metric.OLDEST_JOB_AGE, _age_s(oldest, now), pool)


def _age_s(text: str | None, now: datetime) -> float:
    return 0.0 if text is None else max(0.0, (now - timestamp.from_text(text)).total_seconds())
