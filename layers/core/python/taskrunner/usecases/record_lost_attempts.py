"""Record the attempts of an ended run whose functions died while they were executing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model import timestamp
from taskrunner.model.entries import step_entries
from taskrunner.model.run import StepOutcome, StepStatus
from taskrunner.model.state.fold import fold, lost_steps

if TYPE_CHECKING:
    from taskrunner.model.plan import Plan
    from taskrunner.ports import RunSnapshot, World


def record_lost_attempts(snapshot: RunSnapshot, plan: Plan, world: World) -> None:
    """Record that each attempt which cannot be under way any more was lost. Idempotent.

    A step that runs while another fails the run may finish. AWS stops its lane, so if its function
    dies, no retry records that. An attempt that may still be under way is left alone.

    Raises:
        TryAgainError: AWS was busy; the same call goes on from there.
    """
    run, now = snapshot.run, world.clock.now()
    journal = world.runs.journal(run.tenant, run.run_id)
    state = fold(plan, (placed.entry for placed in journal), run.created_at)
    for step in lost_steps(state, now):
        outcome = StepOutcome(path=step.path, attempt=step.attempts, status=StepStatus.FAILED)
        recorded_at = timestamp.to_text(now)
        entry = step_entries.attempt_lost(step.path, step.attempts, None, recorded_at)
        world.runs.record_step(snapshot, outcome, [entry])
