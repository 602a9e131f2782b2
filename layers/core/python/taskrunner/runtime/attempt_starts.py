"""The starts of an attempt so far, read from the journal before the attempt is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from taskrunner.model.entries.reading import read
from taskrunner.model.entries.step_entries import AttemptDeferred, AttemptStarted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.journal import PlacedEntry
    from taskrunner.runtime.running_step import RunningStep


class AttemptStarts(NamedTuple):
    """The number of an attempt's deferrals, and whether it was started and not deferred since.

    An attempt that was started, and has no outcome, is lost: its function has ended.
    """

    deferrals: int = 0
    is_lost: bool = False


def attempt_starts(running: RunningStep, attempt: int, *, may_have_started: bool) -> AttemptStarts:
    """Return the starts of an *attempt* that has no outcome.

    Only a retried invocation reads the journal. A first one looks at the last entries, which it has
    read anyway: Step Functions invokes a function once for each try.
    """
    placed: Iterable[PlacedEntry] = running.snapshot.last_entries
    if may_have_started:
        run = running.snapshot.run
        placed = running.world.runs.journal(run.tenant, run.run_id)
    starts = AttemptStarts()
    for entry in (item.entry for item in placed if item.entry.step_path == running.path):
        match read(entry):
            case AttemptStarted(number) if number == attempt:
                starts = starts._replace(is_lost=True)
            case AttemptDeferred(number) if number == attempt:
                starts = AttemptStarts(starts.deferrals + 1)
            case _:
                pass
    return starts
