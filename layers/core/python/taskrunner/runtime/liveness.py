"""What every call on behalf of a running execution begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.errors import ConflictError
from taskrunner.model.journal import Entry, Event

if TYPE_CHECKING:
    from taskrunner.model.run import Run
    from taskrunner.ports import Head

_OF_CREATION: Final = frozenset({Event.RUN_CREATED, Event.STEP_SKIPPED})


def check_live(run: Run) -> None:
    """Refuse to begin anything for a run that has ended: its execution is stopping, or should be.

    Raises:
        ConflictError: `run_ended`; nothing in the machine retries it.
    """
    if run.outcome is not None:
        raise ConflictError("run_ended", f"the run {run.run_id} has ended as {run.outcome}")


def run_started(head: Head, at: str) -> list[Entry]:
    """The entry that says the run has begun, for the first who finds it missing.

    Whose journal ends with anything but the entries of its creation has begun.
    """
    if any(placed.entry.event not in _OF_CREATION for placed in head.tail):
        return []
    return [Entry(id="run.started", at=at, event=Event.RUN_STARTED, message="Run started.")]
