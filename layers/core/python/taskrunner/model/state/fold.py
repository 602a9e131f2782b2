"""The state of a run from its plan and the entries of its journal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskrunner.model import timestamp
from taskrunner.model.plan import StepKind
from taskrunner.model.run import Reason, RunState, RunStatus, StepStatus
from taskrunner.model.state.facts import Facts
from taskrunner.model.state.listing import list_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from taskrunner.model.journal import Entry
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import StepState

LONGEST_ATTEMPT: Final = timedelta(seconds=960)  # Lambda ends a function after 900 s


def fold(plan: Plan, entries: Iterable[Entry], created_at: str) -> RunState:
    """Return the state of a run of *plan* by all *entries* of its journal, in their order."""
    facts = Facts(plan, created_at)
    for entry in entries:
        facts.add(entry)
    steps, unlisted = list_steps(facts)
    return RunState(
        status=facts.outcome or _unended_status(steps, facts),
        started_at=facts.started_at,
        ended_at=facts.ended_at,
        updated_at=facts.updated_at,
        steps=tuple(steps),
        unlisted=unlisted,
    )


def fail_lost_steps(state: RunState, now: datetime) -> RunState:
    """Return the *state* of an ended run, in which no step runs for longer than a function can.

    A step that was running when its run ended may finish. If its function died instead, only time
    can show it. Soon after that the journal has an entry for it.
    """
    steps = tuple(
        replace(step, status=StepStatus.FAILED, reason=Reason.EXECUTOR_ERROR)
        if _is_lost(step, now)
        else step
        for step in state.steps
    )
    return replace(state, steps=steps)


def lost_steps(state: RunState, now: datetime) -> Iterator[StepState]:
    """Yield the run steps that have been running for longer than a function can."""
    return (step for step in state.steps if step.kind is StepKind.RUN and _is_lost(step, now))


def all_lost_at(state: RunState) -> str | None:
    """Return when each step that functions still run in an ended run is lost; None if none runs.

    The lease of a worker is looked after by itself.
    """
    since = [
        step.last_transition_at or ""
        for step in state.steps
        if step.kind is StepKind.RUN and step.status is StepStatus.RUNNING and step.pool is None
    ]
    if not since:
        return None
    return timestamp.to_text(timestamp.from_text(max(since)) + LONGEST_ATTEMPT)


def _is_lost(step: StepState, now: datetime) -> bool:
    """Return whether *step* must have been lost by now; a worker's lease shows that, not time."""
    if step.status is not StepStatus.RUNNING or step.pool is not None:
        return False
    return (step.last_transition_at or "") <= timestamp.to_text(now - LONGEST_ATTEMPT)


def _unended_status(steps: Iterable[StepState], facts: Facts) -> RunStatus:
    """A run waits when a gate waits and no run step is running or about to be retried.

    Blocks do not count: a block runs for as long as a gate in it waits.
    """
    recorded = [step for step in steps if step.path in facts.steps]
    is_busy = any(
        (step.kind is StepKind.RUN and step.is_under_way) or step.reason is Reason.RETRYING
        for step in recorded
    )
    if not is_busy and any(step.is_waiting for step in recorded):
        return RunStatus.WAITING
    return RunStatus.QUEUED if facts.started_at is None else RunStatus.RUNNING
