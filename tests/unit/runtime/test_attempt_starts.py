"""A retried step finds the starts of its attempt near the end of the journal, and reads no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.model.entries import step_entries
from taskrunner.model.run import StepReference
from taskrunner.runtime.attempt_starts import AttemptStarts, attempt_starts
from taskrunner.runtime.running_step import find_step
from tests.fakes.runs import MemoryRuns
from tests.unit.usecases.scenarios import NOON, TENANT, a_world

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.journal import Entry, PlacedEntry, Position
    from tests.fakes.world import MemoryWorld

PATH = "ship"
STARTED = step_entries.attempt_started(PATH, 2, "builtin:noop", NOON)
DEFERRED = step_entries.attempt_deferred(PATH, 2, "busy", NOON)
STARTED_AGAIN = step_entries.attempt_started(PATH, 2, "builtin:noop", NOON, deferrals=1)
FIRST_ENDED = step_entries.attempt_lost(PATH, 1, NOON, NOON)


class _Runs(MemoryRuns):
    """Counts how much of the journal is read; None stands for all of it."""

    reads: list[int | None]

    def journal(
        self, tenant: str, run_id: str, *, after: Position | None = None, limit: int | None = None
    ) -> Sequence[PlacedEntry]:
        self.reads.append(None)
        return super().journal(tenant, run_id, after=after, limit=limit)

    def journal_end(
        self, tenant: str, run_id: str, count: int, *, before: Position | None = None
    ) -> Sequence[PlacedEntry]:
        assert before is None
        self.reads.append(count)
        return super().journal(tenant, run_id)[-count:]


def _world(entries: Sequence[Entry], others: int) -> MemoryWorld:
    """A world in which *others* entries of other steps follow *entries*."""
    world = a_world()
    beside = [step_entries.step_skipped(f"lane{number}", NOON) for number in range(others)]
    world.runs.append(world.runs.snapshot(TENANT, "run-7"), [*entries, *beside])
    world.runs.__class__ = _Runs  # its ports share the object, so it cannot be replaced
    return world


def _starts(world: MemoryWorld, *, is_retry: bool = True) -> tuple[AttemptStarts, list[int | None]]:
    assert isinstance(world.runs, _Runs)
    world.runs.reads = []
    running = find_step(StepReference(TENANT, "run-7", PATH, ""), world)
    starts = attempt_starts(running, 2, may_have_started=is_retry)
    return starts, world.runs.reads


@pytest.mark.parametrize(
    ("others", "reads"), [(0, []), (40, [64]), (800, [64, 1024]), (1500, [64, 1024, None])]
)
@pytest.mark.parametrize(
    ("entries", "starts"),
    [
        ([FIRST_ENDED], AttemptStarts()),
        ([STARTED], AttemptStarts(is_lost=True)),
        ([STARTED, DEFERRED], AttemptStarts(deferrals=1)),
        ([STARTED, DEFERRED, STARTED_AGAIN], AttemptStarts(deferrals=1, is_lost=True)),
        ([FIRST_ENDED, STARTED, DEFERRED], AttemptStarts(deferrals=1)),
    ],
    ids=["none", "started", "deferred", "started-again", "after-another"],
)
def test_a_retried_step_reads_no_more_than_needed(
    entries: list[Entry], starts: AttemptStarts, others: int, reads: list[int | None]
) -> None:
    assert _starts(_world(entries, others)) == (starts, reads)


@pytest.mark.parametrize(
    ("others", "reads"), [(0, []), (40, [64]), (800, [64, 1024]), (1500, [64, 1024, None])]
)
def test_a_step_that_never_started_reads_until_the_journals_first_entry(
    others: int, reads: list[int | None]
) -> None:
    assert _starts(_world([], others)) == (AttemptStarts(), reads)


def test_a_first_invocation_reads_nothing_more() -> None:
    assert _starts(_world([STARTED], 40), is_retry=False) == (AttemptStarts(), [])
