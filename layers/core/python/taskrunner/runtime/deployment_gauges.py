"""The state of a deployment in numbers, read once in each pass of the reconciler.

The number of calls does not grow with that of runs: one for the tenants, and one for each of the
first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.model import timestamp
from taskrunner.model.metrics import Measurement, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from taskrunner.model.due_work import DueItem
    from taskrunner.ports import World

MOST_TENANTS: Final = 10
MOST_APPROVALS: Final = 100  # of a tenant; more count as that many


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


def _age_s(text: str | None, now: datetime) -> float:
    return 0.0 if text is None else max(0.0, (now - timestamp.from_text(text)).total_seconds())
