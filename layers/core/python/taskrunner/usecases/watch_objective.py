"""Record that a run, or a gate of it, has taken longer than its pack's `slo` allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.errors import NotFoundError
from taskrunner.model import timestamp
from taskrunner.model.entries import run_entries
from taskrunner.model.entries.run_entries import Objective
from taskrunner.model.journal import Event
from taskrunner.model.lifecycle import seconds
from taskrunner.model.state.fold import fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.due_work import DueItem
    from taskrunner.model.journal import Entry
    from taskrunner.model.plan import Slo
    from taskrunner.model.run import RunState
    from taskrunner.ports import RunSnapshot, World


def watch_objective(watch: DueItem, snapshot: RunSnapshot, world: World) -> None:
    """Look at what *watch* is about, and record the breach if there is one, once.

    The watch is due when the objective is breached unless the run, or the gate, has ended by then.
    So a run that goes on costs nothing before, and one look after. The reconciler comes once a
    minute: a run may have ended meanwhile, and then its end decides.
    """
    run = snapshot.run
    try:
        plan = world.plans.get(run.tenant, run.plan_hash)
    except NotFoundError:  # retention deletes the run too
        world.due_work.finish(watch)
        return
    journal = world.runs.journal(run.tenant, run.run_id)
    entries = [placed.entry for placed in journal]
    state = fold(plan, entries, run.created_at)
    now = timestamp.to_text(world.clock.now())
    if watch.name:
        breach = _of_gate(watch.name, plan.slo, state, entries, now)
    else:
        breach = _of_run(plan.slo, state, run.created_at, now)
    if breach is None:
        world.due_work.finish(watch)
    else:
        world.runs.record_breach(snapshot, breach, watch)


def _of_run(slo: Slo, state: RunState, created_at: str, now: str) -> Entry | None:
    limit_s = slo.run_p95_s
    if limit_s is None or not _is_breached(created_at, state.ended_at, limit_s):
        return None
    return run_entries.slo_breached(Objective.RUN, limit_s, now)


def _of_gate(
    path: str, slo: Slo, state: RunState, entries: Sequence[Entry], now: str
) -> Entry | None:
    limit_s = slo.approval_p95_s
    opened_at = next(
        (
            entry.occurred_at
            for entry in entries
            if entry.event is Event.GATE_AWAITING and entry.step_path == path
        ),
        None,
    )
    gate = next((step for step in state.steps if step.path == path), None)
    if limit_s is None or opened_at is None or gate is None:
        return None
    ended_at = None if gate.is_waiting else gate.last_transition_at
    if not _is_breached(opened_at, ended_at, limit_s):
        return None
    return run_entries.slo_breached(Objective.APPROVAL, limit_s, now, step_path=path)


def _is_breached(started_at: str, ended_at: str | None, limit_s: int) -> bool:
    """Return whether the limit is breached: anything that has not ended is over it by now."""
    return ended_at is None or seconds(started_at, ended_at) > limit_s
