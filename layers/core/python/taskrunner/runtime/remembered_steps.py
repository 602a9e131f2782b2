"""Start the first attempt of a step without reading its run, if a warm function remembers the run.

The start is written only if the run is still as it is remembered. So the write shows what reading
would show: the run goes on, and nothing was recorded about the step. If the write is refused,
nothing has begun, and the run is read.
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
    """Return a step if its run is remembered, and the run's journal has no entry about the step.

    Return None if not, or if the step may have to record something before its start: that it is
    skipped, or when it was reached.
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

    Return False, and record nothing, if its run has changed or ended.
    """
    step, snapshot = running.step, running.snapshot
    assert isinstance(step, RunStep)  # noqa: S101 - remembered_step returns no other
    start = step_entries.attempt_started(running.path, 1, step.uses, running.now(), deferrals=0)
    entries = [*start_entries(snapshot, start.occurred_at), start]
    return running.world.runs.append_if_unchanged(snapshot, entries, inside=running.inside)
