"""The status of an unended run from the last entries of its journal alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.journal import Entry

# These change no status: a run is queued after its creation, and goes on after a breach.
_SILENT: Final = frozenset({Event.RUN_CREATED, Event.STEP_SKIPPED, Event.RUN_SLO_BREACHED})
_OF_WAITING: Final = frozenset({Event.GATE_AWAITING, Event.GATE_APPROVAL_RECORDED})


def status(tail: Iterable[Entry]) -> RunStatus:
    """Return the status of a run for lists, which do not read whole journals.

    A run has started once its journal holds more than the entries of its creation. It waits if the
    last entry, not counting those, says that a gate waits.
    """
    found = RunStatus.QUEUED
    for entry in tail:
        found = after(found, entry)
    return found


def after(status: RunStatus, entry: Entry) -> RunStatus:
    """Return the status of an unended run after *entry*, which follows *status*."""
    if entry.event in _OF_WAITING:
        return RunStatus.WAITING
    return status if entry.event in _SILENT else RunStatus.RUNNING


def has_started(tail: Iterable[Entry]) -> bool:
    """Return whether the run has started."""
    return status(tail) is not RunStatus.QUEUED
