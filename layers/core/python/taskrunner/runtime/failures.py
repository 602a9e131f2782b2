"""What the failure of a step stops, as the write that records the failure takes it.

Every failure that may end a run or stop a block goes through `stopped_by`, whoever records it: the
end of an attempt, a condition that cannot be decided, a policy, a rejection, an expiry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.entries import run_entries
from taskrunner.model.failure import holds_gate, reach
from taskrunner.ports.runs import NOTHING, Stops

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.plan import Plan


def stopped_by(failed: Iterable[str], plan: Plan, occurred_at: str, error: str) -> Stops:
    """Return what the failures of the steps at the paths *failed* stop together.

    *error* is the name by which the machine learns of them. The run's end names the first step that
    fails it, and never a step whose failure is let pass.
    """
    blocks: dict[str, None] = {}
    for path in failed:
        reached = reach(plan, path)
        if reached.run:
            cause = f"step {path} failed"
            return Stops(run_entries.run_failed(cause, occurred_at, error=error), failed_step=path)
        if reached.block is not None:
            blocks[reached.block] = None
    if not blocks:
        return NOTHING
    gated = tuple(path for path in blocks if holds_gate(plan, path))
    return Stops(blocks=tuple(blocks), gated_blocks=gated, stopped_at=occurred_at)
