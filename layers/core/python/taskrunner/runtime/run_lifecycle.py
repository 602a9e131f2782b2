"""The start and the end of a run, as every call of its state machine checks them first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.entries import run_entries
from taskrunner.model.failure import stoppable_blocks
from taskrunner.model.run import block_stopped, run_ended
from taskrunner.model.state import tail

if TYPE_CHECKING:
    from taskrunner.model.journal import Entry
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import Run
    from taskrunner.ports import RunSnapshot, World


def check_not_ended(run: Run) -> None:
    """Refuse a run that has ended: its execution is stopping, or should be.

    Raises:
        ConflictError: `run_ended`; nothing in the machine retries it.
    """
    if run.outcome is not None:
        raise run_ended(run.run_id, run.outcome)


def check_not_stopped(run: Run, plan: Plan, path: str, world: World) -> None:
    """Refuse a step inside of a block that a failure has stopped.

    Raises:
        ConflictError: `block_stopped`; nothing in the machine retries it.
    """
    blocks = stoppable_blocks(plan, path)
    if blocks and not world.runs.stopped_blocks(run).keys().isdisjoint(blocks):
        raise block_stopped(run.run_id)


def start_entries(snapshot: RunSnapshot, occurred_at: str) -> list[Entry]:
    """Return the entry that says that the run has started, unless its journal has it."""
    if tail.has_started(placed.entry for placed in snapshot.last_entries):
        return []
    return [run_entries.run_started(occurred_at)]
