"""The journals that this process knows from their first entry to their last.

A warm function that has seen all of a run's journal need not read the run before each step: it
knows what happened, if nothing was added since. One condition of its next append shows that: the
last chunk has exactly as many entries as this process has seen and added. A journal only grows, and
no full chunk changes, so a chunk of the same length is the same chunk.

A journal is known while these hold, and else the run is read as in a new process:

* This process has read or added every entry. If another process has added one meanwhile, the last
  chunk is longer than this process knows, and the condition fails.
* Only this process has written to a chunk that it filled. This is certain if the last append to the
  chunk required its length. It is also certain if the chunk had one free place before that append:
  if another process had taken the place, the append would have failed.
* The run and its steps have not ended. Such an end changes the run's own record, and always adds an
  entry.

The threads of a process share what it knows. The process may not know yet what another thread is
adding. But each entry that it knows is in the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.adapters.table_layout import chunk_number, partition_of
from taskrunner.model.journal import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.journal import Entry
    from taskrunner.model.run import Run

# An environment of a function meets few runs at the same time.
_RUNS: Final = 32
_STEPS: Final = 4096  # of a run; the others are looked up
# The run's record stays as it is when these are added.
_OF_STEPS: Final = frozenset(
    {
        Event.RUN_CREATED,
        Event.RUN_STARTED,
        Event.STEP_STARTED,
        Event.STEP_DEFERRED,
        Event.STEP_COMPLETED,
        Event.STEP_FAILED,
        Event.STEP_SKIPPED,
        Event.FLOW_DECIDED,
    }
)


class KnownJournal(NamedTuple):
    """The journal of *run*: the number and the *entries* of its last chunk.

    *used_ms* is the time that executors have used up to its end. *paths* are those of all steps
    about which it has entries; it may have more.
    """

    run: Run
    number: int
    entries: Sequence[Entry]
    used_ms: int
    paths: set[str]


class KnownJournals:
    """The journals that this process knows; *chunk_entries* is how many fill a chunk."""

    def __init__(self, chunk_entries: int) -> None:
        """Know none yet."""
        self._chunk_entries = chunk_entries
        self._journals: dict[str, KnownJournal | None] = {}

    def find(self, partition: str) -> KnownJournal | None:
        """Return the journal of a run if it is known."""
        return self._journals.get(partition)

    def is_full(self, known: KnownJournal) -> bool:
        """Return whether the last chunk of a *known* journal takes no more entries."""
        return len(known.entries) >= self._chunk_entries

    def give_up(self, partition: str) -> None:
        """Read the run before each step from now on, because other processes write to it too."""
        self._journals[partition] = None

    def see(self, run: Run, sk: str, entries: Sequence[Entry], used_ms: int) -> None:
        """Note a chunk with the sort key *sk* that was read after *run*."""
        partition, number = partition_of(run), chunk_number(sk)
        known = self._journals.get(partition)
        if known is None and (partition in self._journals or number > 0):
            return  # given up, or begun without this process
        if known is not None and (number, len(entries)) < (known.number, len(known.entries)):
            return  # it was read before the last addition
        if known is not None and not self._continues(known, number):
            self.give_up(partition)
            return
        if known is None and len(self._journals) >= _RUNS:
            self._journals.clear()
        paths = set() if known is None else known.paths
        self._keep(partition, KnownJournal(run, number, entries, used_ms, paths), entries)

    def add(
        self,
        since: KnownJournal | None,
        number: int,
        entries: Sequence[Entry],
        used_ms: int = 0,
        *,
        is_exact: bool = False,
    ) -> None:
        """Note that this process has added *entries* to a chunk.

        *since* is what it knew before, and *is_exact* whether the append required just that.
        """
        partition = "" if since is None else partition_of(since.run)
        known = self._journals.get(partition)
        if known is None:
            return
        is_next = number == known.number + 1 and self.is_full(known)
        if not is_next and number != known.number:
            self.give_up(partition)
            return
        before = [] if is_next else known.entries
        if not {entry.id for entry in before}.isdisjoint(entry.id for entry in entries):
            return  # another thread has read them
        after = [*before, *entries]
        is_certain = known is since and (is_exact or len(before) == self._chunk_entries - 1)
        if len(after) >= self._chunk_entries and not is_certain:
            self.give_up(partition)
            return
        now = known._replace(number=number, entries=after, used_ms=known.used_ms + used_ms)
        self._keep(partition, now, entries)

    def _continues(self, known: KnownJournal, number: int) -> bool:
        """Return whether nothing is missing between *known* and a later state of a chunk."""
        return number == known.number or (number == known.number + 1 and self.is_full(known))

    def _keep(self, partition: str, known: KnownJournal, added: Sequence[Entry]) -> None:
        run = known.run
        known.paths.update(entry.step_path for entry in added if entry.step_path is not None)
        changes_run = any(entry.event not in _OF_STEPS for entry in added)
        if changes_run or run.outcome or run.steps_end or len(known.paths) > _STEPS:
            self.give_up(partition)
        else:
            self._journals[partition] = known
