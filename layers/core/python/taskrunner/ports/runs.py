"""Runs, their journals, and the outcomes of their steps."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from taskrunner.model.run_filters import ALL_RUNS, RunFilters

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.due_work import DueItem
    from taskrunner.model.job import Job
    from taskrunner.model.journal import Entry, PlacedEntry, Position
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run, RunStatus, StepOutcome, StepsEnd
    from taskrunner.ports.page import Page


class RunSnapshot(NamedTuple):
    """A run and the last entries of its journal: all that most calls need, in one read.

    *used_s* is how long the executors of all ended attempts have taken together, in seconds.
    *outcomes* holds the steps that the call named: how each ended, or None.
    """

    run: Run
    last_entries: Sequence[PlacedEntry]
    used_s: float = 0
    outcomes: Mapping[str, StepOutcome | None] = MappingProxyType({})


class Stops(NamedTuple):
    """The run, or the blocks of it, that a failure stops in the write that records it.

    *run_failed* is the entry that ends the run as failed; it becomes the last one of the write.
    *failed_step* is the path of the step that failed the run.
    *blocks* are the step paths of blocks after which the run goes on. *gated_blocks* are those that
    hold gates: their waiting gates must be answered, so they are due work from *stopped_at* on.
    *steps_failed* is the entry that says why the steps before `finally` are stopped, if they are.
    Only the first of several failures is recorded.
    """

    run_failed: Entry | None = None
    failed_step: str | None = None
    blocks: Sequence[str] = ()
    gated_blocks: Sequence[str] = ()
    stopped_at: str = ""
    steps_failed: Entry | None = None


NOTHING: Final = Stops()


class Runs(Protocol):
    """Runs by tenant and id.

    A run that has ended begins nothing more: no attempt, no gate, no decision. One condition
    decides, in the write that would record the beginning. The same holds for the blocks that a
    failure has stopped, of which a call names those *inside* of which its step is.
    """

    def create(
        self,
        run: Run,
        entries: Sequence[Entry],
        brief: JsonObject | None = None,
        *,
        watch_at: str | None = None,
    ) -> bool:
        """Record a new run with its first entries and its idempotency key.

        *brief* is what the list of open approvals shows of the run; None if no gate may wait. At
        *watch_at* the run breaches its pack's objective if it goes on; None if it has none.

        Return False when that id is taken, or the key by another run of the same creator.

        Raises:
            TooManyRunsError: the pack has a queue depth, and as many runs are unfinished.
        """
        ...

    def move(self, run: Run, machine: str) -> bool:
        """Record another *machine* for a run without execution; return False if it has ended."""
        ...

    def keyed(self, tenant: str, creator: str, idempotency_key: str) -> str | None:
        """Return the id of the run that *creator* created with that key, or None.

        A key is kept for as long as its run.
        """
        ...

    def snapshot(self, tenant: str, run_id: str, *paths: str) -> RunSnapshot:
        """Return the run, the last entries of its journal, and the outcomes of steps at *paths*.

        Raises:
            NotFoundError: the tenant has no such run.
        """
        ...

    def remembered(self, tenant: str, run_id: str, path: str) -> RunSnapshot | None:
        """Return what this process knows of a run, without reading it.

        Another process may have changed the run. So use the snapshot only for
        `append_if_unchanged`, which finds that out. Return None if this process does not know all
        of the run's journal, or if the journal has an entry about the step at *path*.
        """
        ...

    def journal(
        self, tenant: str, run_id: str, *, after: Position | None = None, limit: int | None = None
    ) -> Sequence[PlacedEntry]:
        """Return the entries after a position, in order: at most *limit*, or all of them."""
        ...

    def journal_end(
        self, tenant: str, run_id: str, count: int, *, before: Position | None = None
    ) -> Sequence[PlacedEntry]:
        """Return the last *count* entries, or those before a position, in order.

        They are all entries if there are fewer.
        """
        ...

    def append(
        self,
        snapshot: RunSnapshot,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
        stops: Stops = NOTHING,
    ) -> None:
        """Add entries that begin something, except those that the last entries already include.

        Raises:
            ConflictError: `run_ended` or `block_stopped`; nothing was added.
        """
        ...

    def append_if_unchanged(
        self, snapshot: RunSnapshot, entries: Sequence[Entry], *, inside: Collection[str] = ()
    ) -> bool:
        """Add entries that begin something, if the run is as it was `remembered`.

        Return False if the run has changed or ended, or a block of *inside* has been stopped.
        Nothing was added then.
        """
        ...

    def outcomes(self, tenant: str, run_id: str, paths: Collection[str]) -> dict[str, StepOutcome]:
        """Return how the steps at *paths* ended, by path; one that has not ended is absent."""
        ...

    def outcomes_below(self, tenant: str, run_id: str, beginning: str) -> dict[str, StepOutcome]:
        """Return how all steps ended whose paths begin with *beginning*, by path."""
        ...

    def record_step(  # noqa: PLR0913 - the parts of one write
        self,
        snapshot: RunSnapshot,
        outcome: StepOutcome,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
        used_s: float = 0,
        *,
        stops: Stops = NOTHING,
        patience_s: float = 0,
        job: Job | None = None,
    ) -> StepOutcome:
        """Record how an attempt ended, with what it captured and used: all of it or nothing.

        If it was the attempt of a *job*, the job is done by this write.

        The attempt replaces all artifacts of earlier attempts of the step. When an attempt is
        recorded twice, the first record counts, and its outcome is returned.

        The write is tried for *patience_s* seconds while others write to the same run.

        An attempt that was running when the run failed is recorded too, and stops nothing; its
        artifacts are recorded unless the run has been settled. Once a run has ended in another way,
        only the entries are recorded.

        Raises:
            ConflictError: `lease_lost`: *job* is not as it was read; nothing was recorded.
        """
        ...

    def record_decision(  # noqa: PLR0913 - what is written, and how
        self,
        snapshot: RunSnapshot,
        outcome: StepOutcome,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
        stops: Stops = NOTHING,
        patience_s: float = 0,
    ) -> StepOutcome:
        """Record what only the run could decide; of two calls the first counts, and is returned.

        The write is tried for *patience_s* seconds, as for `record_step`.

        Raises:
            ConflictError: as for `append`.
        """
        ...

    def stopped_blocks(self, run: Run) -> Mapping[str, DueItem | None]:
        """Return the run's blocks that a failure has stopped, by step path.

        A block whose gates may not have been answered comes with its due work.
        """
        ...

    def end_steps(
        self, snapshot: RunSnapshot, end: StepsEnd, entries: Sequence[Entry], execution: str
    ) -> Run:
        """Record once that the steps have ended, and that *execution* runs `finally` after them.

        Return the run with the end that was recorded first. Nothing may start in the steps then.
        Another *execution* than the run's is due to be started.

        Raises:
            ConflictError: `run_ended`; or `block_stopped` if *end* says that the steps succeeded
                and a failure has stopped them.
        """
        ...

    def end(
        self,
        snapshot: RunSnapshot,
        outcome: RunStatus,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
        *,
        has_approvals: bool = True,
    ) -> RunStatus:
        """End the run, once, and return how it ended, which another caller may have decided.

        *has_approvals* says whether the pack has any; if not, none has to be closed.
        """
        ...

    def settle(self, run: Run) -> None:
        """Close the list of artifacts of a failed run for steps that still run. Idempotent."""
        ...

    def record_outputs(self, run: Run, artifacts: Sequence[Artifact]) -> None:
        """Record the outputs of a settled run, unless it is sealed."""
        ...

    def close_approvals(self, run: Run) -> None:
        """Remove a run from the list of open approvals when no gate waits any more. Idempotent."""
        ...

    def record_breach(self, snapshot: RunSnapshot, entry: Entry, watch: DueItem) -> bool:
        """Record the breach that *watch* has seen, also of an ended run, and end the watch.

        Return False when the watch has changed since it was read: another caller records it.
        """
        ...

    def seal(
        self, run: Run, bundle: Artifact, *, look_at: str | None = None, has_approvals: bool = True
    ) -> bool:
        """Record the evidence of an ended run, once; return False when another caller has.

        That ends the run's due work, unless the reconciler has to look once more, at *look_at*.
        *has_approvals* is as for `end`.
        """
        ...

    def list(
        self, tenant: str, limit: int, cursor: str | None, filters: RunFilters = ALL_RUNS
    ) -> Page:
        """Return summaries of the tenant's runs that *filters* admit, the newest first.

        A page may have fewer than *limit* runs, or none, although it has a cursor.

        Raises:
            InvalidRequestError: the cursor is not one of this list with these filters.
        """
        ...

    def last_approved(self, tenant: str, pack_name: str, besides: str | None) -> Run | None:
        """Return the newest run of that pack with an approval that was granted, or None.

        The run with the id *besides* does not count.
        """
        ...

    def count_unfinished(self, tenant: str, pack_name: str, at_most: int) -> int:
        """Return how many runs of that pack have not ended, counting to *at_most*."""
        ...
