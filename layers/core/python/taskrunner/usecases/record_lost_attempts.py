"""Record the attempts that ended with their functions, and that no later call has recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model import timestamp
from taskrunner.model.entries import run_entries, step_entries
from taskrunner.model.failure import can_stop_run_steps, stoppable_blocks
from taskrunner.model.journal import Event
from taskrunner.model.plan import StepKind
from taskrunner.model.run import StepOutcome, StepStatus
from taskrunner.model.state.fold import fold, lost_steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskrunner.model.journal import Entry
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import StepState
    from taskrunner.ports import RunSnapshot, World


def record_lost_attempts(snapshot: RunSnapshot, plan: Plan, world: World) -> None:
    """Record that each attempt which cannot be under way any more was lost. Idempotent.

    A step that runs while another fails the run, or a block around both, may finish. AWS stops its
    lane, so if its function dies, no retry records that. An attempt that may still be under way is
    left alone, and so is one that the machine of a run in progress retries.

    Raises:
        TryAgainError: AWS was busy; the same call goes on from there.
    """
    now = world.clock.now()
    for step in list(_left_steps(snapshot, plan, world)):
        outcome = StepOutcome(path=step.path, attempt=step.attempts, status=StepStatus.FAILED)
        recorded_at = timestamp.to_text(now)
        entry = step_entries.attempt_lost(step.path, step.attempts, None, recorded_at)
        world.runs.record_step(snapshot, outcome, [entry])


def record_passed_attempts(snapshot: RunSnapshot, plan: Plan, world: World) -> None:
    """Record that attempts were lost which the machine has passed. Idempotent.

    The machine goes on after a step with `continueOnError` when its functions have died for as long
    as it calls them. Then no call has recorded the end, before the run is about to succeed. A step
    that may still finish is left alone.

    Raises:
        TryAgainError: AWS was busy; the same call goes on from there.
    """
    if not any(step.continue_on_error for step in plan.all_steps()):
        return
    run, now = snapshot.run, timestamp.to_text(world.clock.now())
    entries = [placed.entry for placed in world.runs.journal(run.tenant, run.run_id)]
    state = fold(plan, [*entries, run_entries.run_completed(now)], run.created_at)
    ends = _last_ends(entries)
    for step in state.steps:
        is_failed = step.kind is StepKind.RUN and step.status is StepStatus.FAILED
        if is_failed and not ends.get(step.path, False):
            outcome = StepOutcome(path=step.path, attempt=step.attempts, status=StepStatus.FAILED)
            entry = step_entries.attempt_lost(step.path, step.attempts, None, now)
            world.runs.record_step(snapshot, outcome, [entry])


def _last_ends(entries: Sequence[Entry]) -> dict[str, bool]:
    """Return whether the last attempt of each step that was started has ended, by step path."""
    ends: dict[str, bool] = {}
    for entry in entries:
        if entry.step_path is None:
            continue
        if entry.event is Event.STEP_STARTED:
            ends[entry.step_path] = False
        elif entry.event in {Event.STEP_COMPLETED, Event.STEP_FAILED}:
            ends[entry.step_path] = True
    return ends


def _left_steps(snapshot: RunSnapshot, plan: Plan, world: World) -> Iterator[StepState]:
    """Yield the steps whose functions died, and that no machine tries again."""
    run = snapshot.run
    goes_on = run.outcome is None
    stopped = world.runs.stopped_blocks(run) if goes_on and can_stop_run_steps(plan) else {}
    if goes_on and not stopped:
        return
    journal = world.runs.journal(run.tenant, run.run_id)
    state = fold(plan, (placed.entry for placed in journal), run.created_at)
    for step in lost_steps(state, world.clock.now()):
        if not goes_on or not stopped.keys().isdisjoint(stoppable_blocks(plan, step.path)):
            yield step
