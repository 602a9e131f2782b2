"""The starts of an attempt so far, read from the journal before the attempt is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.model.entries import step_entries
from taskrunner.model.entries.reading import read
from taskrunner.model.entries.step_entries import AttemptDeferred, AttemptStarted, StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.journal import Entry, PlacedEntry
    from taskrunner.runtime.running_step import RunningStep

# A retried step's entries are near the journal's end, unless many other steps run beside it.
_LAST_ENTRIES: Final = (64, 1024)


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
    entries = _of_step(running, running.snapshot.last_entries)
    if may_have_started and not _reaches_back(entries, running.path, attempt):
        for placed in _longer_and_longer(running):
            entries = _of_step(running, placed)
            if _reaches_back(entries, running.path, attempt):
                break
    starts = AttemptStarts()
    for entry in entries:
        match read(entry):
            case AttemptStarted(number) if number == attempt:
                starts = starts._replace(is_lost=True)
            case AttemptDeferred(number) if number == attempt:
                starts = AttemptStarts(starts.deferrals + 1)
            case _:
                pass
    return starts


def _longer_and_longer(running: RunningStep) -> Iterator[Iterable[PlacedEntry]]:
    """Yield longer and longer parts of the journal, each up to its end, and then all of it."""
    run, runs = running.snapshot.run, running.world.runs
    for count in _LAST_ENTRIES:
        yield runs.journal_end(run.tenant, run.run_id, count)
    yield runs.journal(run.tenant, run.run_id)


def _of_step(running: RunningStep, placed: Iterable[PlacedEntry]) -> list[Entry]:
    return [item.entry for item in placed if item.entry.step_path == running.path]


def _reaches_back(entries: Iterable[Entry], path: str, attempt: int) -> bool:
    """Return whether no entry about *attempt* comes before *entries*, which end the journal."""
    return any(
        entry.id == step_entries.first_start_id(path, attempt) or _ends_before(entry, attempt)
        for entry in entries
    )


def _ends_before(entry: Entry, attempt: int) -> bool:
    match read(entry):
        case StepFailed(number) if number < attempt:
            return True
        case _:
            return False
