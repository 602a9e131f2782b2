"""The start of a step's first attempt without reading the run, which a warm function remembers.

The write of the start requires that the run is as it is remembered, so it says what reading would
say: the run goes on, and nothing was recorded about the step. If it is refused, nothing has begun,
and the run is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.expressions import templates
from taskrunner.model.entries import step_entries
from taskrunner.model.plan import RunStep
from taskrunner.runtime.run_lifecycle import start_entries
from taskrunner.runtime.run_values import reads_now
from taskrunner.runtime.running_step import RunningStep, running_step

if TYPE_CHECKING:
    from taskrunner.model.run import StepReference
    from taskrunner.ports import World


def remembered_step(reference: StepReference, world: World) -> RunningStep | None:
    """Return a step whose run is remembered, and which has no entry in its journal.

    Return None if the run is not remembered, or the step may record something before its start: a
    skip, or the time when it was reached.
    """
    snapshot = world.runs.remembered(reference.tenant, reference.run_id, reference.path)
    if snapshot is None:
        return None
    plan = world.plans.get(reference.tenant, snapshot.run.plan_hash)
    running = running_step(reference, snapshot, plan, world)
    step = running.step
    references = templates.references(step.parameters) if isinstance(step, RunStep) else ()
    if not isinstance(step, RunStep) or step.when is not None or reads_now(references):
        return None
    running.values.load(references, running.prefix, running.path)
    return running


def begin_from_memory(running: RunningStep) -> bool:
    """Record the start of the first attempt of a remembered step.

    Return False if its run has changed or ended; nothing was recorded then.
    """
    step, snapshot = running.step, running.snapshot
    assert isinstance(step, RunStep)  # noqa: S101 - remembered_step returns no other
    start = step_entries.attempt_started(running.path, 1, step.uses, running.now(), deferrals=0)
    entries = [*start_entries(snapshot, start.occurred_at), start]
    return running.world.runs.append_if_unchanged(snapshot, entries, inside=running.inside)
