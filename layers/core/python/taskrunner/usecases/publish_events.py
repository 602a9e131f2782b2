"""Publish the transitions of runs and gates, and measure them, after they were recorded.

The table's stream brings each recorded change here, at least once and in the order of its run. So
no call of a run's own functions publishes anything, and nothing that is published can fail a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from taskrunner.errors import NotFoundError
from taskrunner.model.journal import Position
from taskrunner.model.lifecycle import events_of, seconds
from taskrunner.model.metrics import Measurement, Metric
from taskrunner.model.run_metrics import measure
from taskrunner.model.state import tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskrunner.model.journal import Entry
    from taskrunner.model.lifecycle import LifecycleEvent
    from taskrunner.model.run import Run
    from taskrunner.ports import World

_MOST_BEFORE = 400  # a chunk has fewer entries


class AddedEntries(NamedTuple):
    """Entries that were *added* to a chunk of a run's journal after those *before*."""

    tenant: str
    run_id: str
    chunk: int
    before: Sequence[Entry]
    added: Sequence[Entry]


class ClosedApproval(NamedTuple):
    """An approval of a run that was decided, and the times of its last gate and its decision."""

    tenant: str
    run_id: str
    opened_at: str
    decided_at: str


Change: TypeAlias = AddedEntries | ClosedApproval


def publish_events(changes: Iterable[Change], world: World) -> int:
    """Publish the events of *changes* and then record their metrics; return how many events.

    A call that fails is repeated with all changes. Metrics come last, so that it counts none twice.

    Raises:
        TryAgainError: AWS was busy; some events may have been published.
    """
    runs: dict[tuple[str, str], Run | None] = {}
    events: list[LifecycleEvent] = []
    measured: list[tuple[Run | ClosedApproval, list[Measurement]]] = []
    for change in changes:
        if isinstance(change, ClosedApproval):
            waited_s = seconds(change.opened_at, change.decided_at)
            measured.append((change, [Measurement(Metric.GATE_WAIT, waited_s)]))
            continue
        key = change.tenant, change.run_id
        if key not in runs:
            runs[key] = _run(change, world)
        run = runs[key]
        if run is not None:
            events += _events(run, change, world)
            before = change.before[-1] if change.before else None
            measured.append((run, list(measure(run, before, change.added))))
    if events:
        world.events.publish(events)
    for subject, measurements in measured:
        world.metrics.record(*measurements, tenant=subject.tenant, run=subject.run_id)
    return len(events)


def _run(change: AddedEntries, world: World) -> Run | None:
    """Return the run, or None when retention has deleted it."""
    try:
        return world.runs.snapshot(change.tenant, change.run_id).run
    except NotFoundError:
        return None


def _events(run: Run, change: AddedEntries, world: World) -> Iterable[LifecycleEvent]:
    before = change.before
    if not before and change.chunk > 0:
        # One change in eight begins a chunk, and the status is in the chunk before.
        position = Position(change.chunk - 1, -1)
        placed = world.runs.journal(run.tenant, run.run_id, after=position, limit=_MOST_BEFORE)
        before = [item.entry for item in placed if item.position.chunk < change.chunk]
    return events_of(run, tail.status(before), change.added)
