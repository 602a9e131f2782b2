"""The choice of the maps that become Distributed Maps.

The iterations of a Distributed Map are executions with histories of their own.

A map is distributed when it wants more iterations at a time than an inline Map runs, or when the
history of one execution would not hold it. All runs of a pack share one machine, so the pack's
structure decides, without inputs: items and branches that come from inputs count as open.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from taskrunner.compiler.budget.history import (
    PLATFORM_RETRIES,
    RETRY,
    body_history,
    chain_history,
    iterations,
    run_history,
)
from taskrunner.model.plan import Conditional, Loop, MapStep, children

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from taskrunner.model.plan import Plan, Step

MAX_INLINE_CONCURRENCY: Final = 40
# AWS Step Functions Developer Guide, "Service quotas".
QUOTA_EVENTS: Final = 25_000
# Kept for retries of what the platform refused: as many tasks as an inline Map runs at a time may
# use up all of their retries once, which outlasts an hour. A run that is refused again and again
# has 1,120 retries. The worst case of every task cannot be planned for: it is 17 times the task.
SPARE_EVENTS: Final = MAX_INLINE_CONCURRENCY * PLATFORM_RETRIES * RETRY.events
MAX_PLANNED_EVENTS: Final = QUOTA_EVENTS - SPARE_EVENTS


def distributed_maps(structure: Plan) -> frozenset[str]:
    """Return the ids of the maps that are distributed, for a pack planned without inputs.

    These are the maps that want too much concurrency, and then the costliest ones, until every
    history is within its limit or no map is left. A map in a block without items is in no history,
    so it stays inline.
    """
    concurrent = {
        step.id
        for step in structure.all_steps()
        if isinstance(step, MapStep)
        and step.max_parallel is not None
        and step.max_parallel > MAX_INLINE_CONCURRENCY
    }
    inline = [
        step
        for step in reachable_steps((*structure.steps, *structure.final_steps))
        if isinstance(step, MapStep) and step.id not in concurrent and iterations(step) > 1
    ]
    # A map costs more than any map inside it, so distributing one never changes the cost of a
    # costlier one. A distributed map was counted more often before, so no history grows by it.
    inline.sort(key=lambda step: (body_history(step, concurrent).events, step.id), reverse=True)
    candidates = [step.id for step in inline]

    def is_enough(count: int) -> bool:
        distributed = concurrent | set(candidates[:count])
        return largest_history(structure, distributed) <= MAX_PLANNED_EVENTS

    count = bisect_left(range(len(candidates)), x=True, key=is_enough)
    return frozenset(concurrent | set(candidates[:count]))


def largest_history(plan: Plan, distributed: Collection[str]) -> int:
    """Return the events of the largest history among the run's and its child executions'."""
    children_events = (
        chain_history(step.steps, distributed).events
        for step in plan.all_steps()
        if isinstance(step, MapStep) and step.id in distributed
    )
    return max([run_history(plan, distributed).events, *children_events])


def reachable_steps(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield *steps* and the steps inside them that may be reached.

    The bodies of blocks without items, and branches that are not taken, are left out.
    """
    for step in steps:
        yield step
        if isinstance(step, Conditional) and step.taken is not None:
            yield from reachable_steps(step.arm(step.taken))
        elif not isinstance(step, MapStep | Loop) or iterations(step):
            yield from reachable_steps(children(step))
