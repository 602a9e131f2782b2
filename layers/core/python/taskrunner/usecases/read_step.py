"""Read one step of a run: its state, its attempts with their times, its error and its outputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from taskrunner.errors import NotFoundError
from taskrunner.expressions.errors import ExpressionError
from taskrunner.model import step_path
from taskrunner.model.journal import Event
from taskrunner.model.plan import StepKind
from taskrunner.model.run import StepStatus
from taskrunner.model.state.fold import fail_lost_steps, fold
from taskrunner.model.step_attempts import attempts_of, losses_of
from taskrunner.model.step_detail import StepHistory, step_detail
from taskrunner.model.wording import nearest
from taskrunner.runtime.run_values import RunValues
from taskrunner.runtime.step_members import execution_link, members_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import RunState, StepState, WorkerLoss
    from taskrunner.model.step_attempts import Attempt
    from taskrunner.ports import RunSnapshot, World

# Lambda answers with at most 6 MB. Only blocks of many steps can have more outputs.
_MAX_OUTPUT_BYTES: Final = 4 * 1024 * 1024


def run_step_state(tenant: str, run_id: str, path: str, world: World) -> JsonObject:
    """Return the API's RunStepResponse for the step at *path*.

    Raises:
        NotFoundError: the tenant has no such run, or the run no such step.
    """
    snapshot = world.runs.snapshot(tenant, run_id)
    run = snapshot.run
    plan = world.plans.get(tenant, run.plan_hash)
    entries = [placed.entry for placed in world.runs.journal(tenant, run_id)]
    state = fold(plan, entries, run.created_at)
    if run.outcome is not None:
        state = fail_lost_steps(state, world.clock.now())
    step = next((step for step in state.steps if step.path == path), None)
    if step is None:
        raise NotFoundError(f"step {path} in run {run_id}", _nearest(path, plan, state))
    history = _history(plan, step, state, entries, world)
    outputs = _outputs(plan, snapshot, step, world)
    is_too_large = len(json.dumps(outputs, ensure_ascii=False).encode()) > _MAX_OUTPUT_BYTES
    members = members_of([step], plan, tenant, world).get(path, {})
    view = step_detail(plan, step, history, None if is_too_large else outputs, members)
    return view | {"outputsOmitted": True} if is_too_large else view


def _history(
    plan: Plan, step: StepState, state: RunState, entries: Sequence[Entry], world: World
) -> StepHistory:
    own = [entry for entry in entries if entry.step_path == step.path]
    attempts, losses = attempts_of(own), losses_of(own)
    links = {
        attempt.execution: execution_link(plan, step.template_id, attempt.execution, world)
        for attempt in attempts
        if attempt.execution is not None
    }
    return StepHistory(
        attempts=attempts,
        losses=losses,
        started_at=_started_at(step, (*losses, *attempts), state, entries),
        links=links,
    )


def _nearest(path: str, plan: Plan, state: RunState) -> str:
    """Return which step a wrong *path* may mean, as the end of a sentence."""
    step_id = path.rpartition("::")[2]
    step_ids = [step.id for step in plan.all_steps()]
    if step_id not in step_ids:
        return nearest(step_id, step_ids)
    first = next((step.path for step in state.steps if step.template_id == step_id), None)
    blocks = [block.id for block in plan.iterations(step_id)]
    if first is None:
        return f"; no iteration of '{blocks[0]}' has come to it"
    return f"; the first one is called {first}" if blocks else f"; it is called {first}"


def _started_at(
    step: StepState,
    attempts: Sequence[Attempt | WorkerLoss],
    state: RunState,
    entries: Iterable[Entry],
) -> str | None:
    """Return when the first attempt started, a gate opened, or a block was reached.

    The time of a lost worker is the step's too.
    """
    if step.kind is StepKind.RUN:
        return min((attempt.started_at for attempt in attempts if attempt.started_at), default=None)
    paths = {step.path}
    for other in state.steps:  # a block stands before the steps in it
        if other.parent_path in paths:
            paths.add(other.path)
    began = (
        entry.occurred_at
        for entry in entries
        if entry.step_path in paths and entry.event is not Event.STEP_SKIPPED
    )
    return next(began, None)


def _outputs(plan: Plan, snapshot: RunSnapshot, step: StepState, world: World) -> Json:
    """The outputs as later steps read them, or None while there are none."""
    if step.status not in {StepStatus.SUCCEEDED, StepStatus.FAILED}:
        return None
    iterations = step_path.parse(step.path).iterations
    prefix = iterations[-1].prefix if iterations else ""
    reference = ("steps", step.template_id, "outputs")
    try:
        context = RunValues(plan, snapshot, world).context([reference], prefix)
    except ExpressionError:  # the expression of a loop's outputs
        return None
    return context["steps"][step.template_id]["outputs"]
