"""Record the attempts whose functions died while they were executing them, and that AWS left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model import timestamp
from taskrunner.model.entries import step_entries
from taskrunner.model.failure import can_stop_run_steps, stoppable_blocks
from taskrunner.model.run import StepOutcome, StepStatus
from taskrunner.model.state.fold import fold, lost_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

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
