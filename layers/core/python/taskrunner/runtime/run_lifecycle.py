"""The start and the end of a run, as every call of its state machine checks them first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.errors import ConflictError
from taskrunner.model.entries import run_entries
from taskrunner.model.state import tail

if TYPE_CHECKING:
    from taskrunner.model.journal import Entry
    from taskrunner.model.run import Run
    from taskrunner.ports import Head


def check_not_ended(run: Run) -> None:
    """Refuse a run that has ended: its execution is stopping, or should be.

    Raises:
        ConflictError: `run_ended`; nothing in the machine retries it.
    """
    if run.outcome is not None:
        raise ConflictError("run_ended", f"the run {run.run_id} has ended as {run.outcome}")


def start_entries(head: Head, occurred_at: str) -> list[Entry]:
    """Return the entry that says that the run has started, unless its journal has it."""
    if tail.has_started(placed.entry for placed in head.tail):
        return []
    return [run_entries.run_started(occurred_at)]
