"""The things that a step's failure stops, in the form that the write of the failure takes.

Every failure that may end a run or stop a block goes through `stopped_by`, whoever records it: the
end of an attempt, a condition that cannot be decided, a policy, a rejection, an expiry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.entries import run_entries
from taskrunner.model.failure import STEPS, holds_gate, reach
from taskrunner.model.run import RunStatus
from taskrunner.ports.runs import NOTHING, Stops

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.journal import Entry
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import StepsEnd


def stopped_by(
    failed: Iterable[str],
    plan: Plan,
    occurred_at: str,
    error: str,
    *,
    before: StepsEnd | None = None,
) -> Stops:
    """Return what the failures of the steps at the paths *failed* stop together.

    *error* is the name by which the machine learns of them. The run's end names the first step that
    fails it, and never a step whose failure is let pass. *before* is how the steps before `finally`
    ended: a run that they have failed ends for that reason, whatever fails in `finally`.
    """
    blocks: dict[str, None] = {}
    for path in failed:
        reached = reach(plan, path)
        if reached.block == STEPS:
            cause = f"step {path} failed"
            return steps_stopped(run_entries.steps_failed(cause, occurred_at, step=path), plan)
        if reached.run:
            cause = f"step {path} failed"
            if before is not None and before.outcome is RunStatus.FAILED:
                cause = f"{cause_before(before)}, and in finally {cause}"
            return Stops(run_entries.run_failed(cause, occurred_at, error=error), failed_step=path)
        if reached.block is not None:
            blocks[reached.block] = None
    if not blocks:
        return NOTHING
    gated = tuple(path for path in blocks if holds_gate(plan, path))
    return Stops(blocks=tuple(blocks), gated_blocks=gated, stopped_at=occurred_at)


def cause_before(steps: StepsEnd) -> str:
    """Return why the steps before `finally` failed, for the entry that ends their run."""
    if steps.failed_step is None:
        return f"the execution of its steps ended with {steps.reason}"
    return f"step {steps.failed_step} failed"


def steps_stopped(entry: Entry, plan: Plan) -> Stops:
    """Return what stops all steps of a pack with `finally`, as *entry* says."""
    return Stops(
        blocks=(STEPS,),
        gated_blocks=(STEPS,) if holds_gate(plan, STEPS) else (),
        stopped_at=entry.occurred_at,
        steps_failed=entry,
    )
