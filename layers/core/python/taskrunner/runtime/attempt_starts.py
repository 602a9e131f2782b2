"""The starts of an attempt so far, read from the journal before the attempt is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.model.entries import step_entries
from taskrunner.model.entries.reading import read
from taskrunner.model.entries.step_entries import AttemptDeferred, AttemptStarted, StepFailed
from taskrunner.model.journal import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskrunner.model.journal import Entry, PlacedEntry
    from taskrunner.runtime.running_step import RunningStep

# A retried step's entries are near the journal's end, unless many other steps run beside it.
_LAST_ENTRIES: Final = (64, 1024)
_FIRST: Final = Position(0, 0)  # of the journal's first entry


class AttemptStarts(NamedTuple):
    """The number of an attempt's deferrals, and whether it was started and not deferred since.

    An attempt that was started, and has no outcome, is lost: its function has ended.
    """

    deferrals: int = 0
    is_lost: bool = False


def attempt_starts(running: RunningStep, attempt: int, *, may_have_started: bool) -> AttemptStarts:
    """Return the starts of an *attempt* that has no outcome.

    A first invocation looks at the last entries, which it has read anyway: Step Functions invokes a
    function once for each try. Only a retried one reads the journal, and that from its end.
    """
    placed = running.snapshot.last_entries
    if may_have_started and not _reaches_back(placed, running.path, attempt):
        for placed in _longer_and_longer(running):
            if _reaches_back(placed, running.path, attempt):
                break
    starts = AttemptStarts()
    for entry in _of_step(running.path, placed):
        match read(entry):
            case AttemptStarted(number) if number == attempt:
                starts = starts._replace(is_lost=True)
            case AttemptDeferred(number) if number == attempt:
                starts = AttemptStarts(starts.deferrals + 1)
            case _:
                pass
    return starts


def _longer_and_longer(running: RunningStep) -> Iterator[Sequence[PlacedEntry]]:
    """Yield longer and longer parts of the journal, each up to its end, and then all of it."""
    run, runs = running.snapshot.run, running.world.runs
    for count in _LAST_ENTRIES:
        yield runs.journal_end(run.tenant, run.run_id, count)
    yield runs.journal(run.tenant, run.run_id)


def _of_step(path: str, placed: Iterable[PlacedEntry]) -> list[Entry]:
    return [item.entry for item in placed if item.entry.step_path == path]


def _reaches_back(placed: Sequence[PlacedEntry], path: str, attempt: int) -> bool:
    """Return whether no entry about *attempt* comes before *placed*, which end the journal.

    If the attempt never started, only the journal's first entry shows that there is none.
    """
    return any(item.position == _FIRST for item in placed[:1]) or any(
        entry.id == step_entries.first_start_id(path, attempt) or _ends_before(entry, attempt)
        for entry in _of_step(path, placed)
    )


def _ends_before(entry: Entry, attempt: int) -> bool:
    match read(entry):
        case StepFailed(number) if number < attempt:
            return True
        case _:
            return False
