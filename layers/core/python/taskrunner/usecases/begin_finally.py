"""Record how the steps of a run ended, and begin `finally` after them, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from taskrunner.errors import ConflictError, StepsStillRunError
from taskrunner.model import timestamp
from taskrunner.model.entries import run_entries, step_entries
from taskrunner.model.entries.reading import read
from taskrunner.model.entries.run_entries import StepsFailed
from taskrunner.model.failure import STEPS, can_stop_run_steps
from taskrunner.model.plan import StepKind
from taskrunner.model.run import (
    BLOCK_STOPPED,
    RunStatus,
    StepOutcome,
    StepsEnd,
    StepStatus,
)
from taskrunner.model.state.fold import fold, lost_steps
from taskrunner.model.state.run_reason import failure_reason
from taskrunner.ports.runs import NOTHING
from taskrunner.runtime.failures import steps_stopped, stopped_by
from taskrunner.runtime.run_lifecycle import check_not_ended, start_entries

if TYPE_CHECKING:
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import Run, RunState
    from taskrunner.ports import RunSnapshot, World
    from taskrunner.ports.runs import Stops


class _Steps(NamedTuple):
    """The state of a run whose steps have been stopped, if they have, and by what."""

    state: RunState
    failed: StepsFailed | None


def begin_finally(
    tenant: str, run_id: str, error: str | None, execution: str, world: World
) -> None:
    """Let *execution* run `finally`, which follows the steps of the run. Idempotent.

    *error* is the name that Step Functions gave to what ended the steps; None if they succeeded.

    Raises:
        ConflictError: the run has ended, or another execution runs `finally`.
        StepsStillRunError: steps beside a failure may still finish.
        TryAgainError: AWS was busy.
    """
    snapshot = world.runs.snapshot(tenant, run_id)
    run = snapshot.run
    if run.execution == execution:
        plan = world.plans.get(tenant, run.plan_hash)
        run = end_steps(snapshot, plan, error, execution, world)
    if run.execution != execution:
        message = f"another execution runs finally of the run {run_id}"
        raise ConflictError("finally_elsewhere", message)


def end_steps(
    snapshot: RunSnapshot, plan: Plan, error: str | None, execution: str, world: World
) -> Run:
    """Record how the steps before `finally` ended, and that *execution* runs `finally`. Idempotent.

    Return the run as it is recorded then: the first call decides.

    A failure has usually stopped the steps already. Otherwise nobody knows which one failed, so
    *error* is the reason. Steps that run at this moment may finish before `finally`, which reads
    how they ended, also those beside a failure with which the run has gone on. One whose function
    died is lost after the time that a function can take.

    Raises:
        ConflictError: the run has ended.
        StepsStillRunError: a step may still finish; nothing else can start.
        TryAgainError: AWS was busy.
    """
    check_not_ended(snapshot.run)
    if snapshot.run.steps_end is not None:
        return snapshot.run
    if error is None:
        _wait_for_stopped_blocks(snapshot, plan, world)
        try:
            return _record(snapshot, StepsEnd(outcome=RunStatus.SUCCEEDED), execution, world)
        except ConflictError as conflict:
            if conflict.code != BLOCK_STOPPED:
                raise
    steps = _stop(snapshot, plan, error, world)
    if plan.approvals:
        # Gates of these steps are closed for approvers now. Those that still wait get their answer
        # from the failure that stopped them, or went with their execution.
        world.runs.close_approvals(snapshot.run)
    _wait_for_steps(snapshot, steps.state, world)
    return _record(snapshot, _failure(steps), execution, world)


def _record(snapshot: RunSnapshot, end: StepsEnd, execution: str, world: World) -> Run:
    now = timestamp.to_text(world.clock.now())
    entries = [*start_entries(snapshot, now), run_entries.steps_ended(end.outcome, now)]
    return world.runs.end_steps(snapshot, end, entries, execution)


def _read(snapshot: RunSnapshot, plan: Plan, world: World) -> _Steps:
    run = snapshot.run
    entries = [placed.entry for placed in world.runs.journal(run.tenant, run.run_id)]
    failures = (fact for entry in entries if isinstance(fact := read(entry), StepsFailed))
    return _Steps(fold(plan, entries, run.created_at), next(failures, None))


def _stop(snapshot: RunSnapshot, plan: Plan, error: str | None, world: World) -> _Steps:
    """Stop the steps unless a failure has, and return what stopped them."""
    steps = _read(snapshot, plan, world)
    if steps.failed is not None:
        return steps
    # A step whose function died may be what ended the steps.
    _record_lost(snapshot, steps.state, world, plan)
    now = timestamp.to_text(world.clock.now())
    cause = f"their execution ended with {error}"
    stops = steps_stopped(run_entries.steps_failed(cause, now, error=error), plan)
    _append(snapshot, now, stops, world)
    return _read(snapshot, plan, world)


def _append(snapshot: RunSnapshot, now: str, stops: Stops, world: World) -> None:
    try:
        world.runs.append(snapshot, start_entries(snapshot, now), inside=[STEPS], stops=stops)
    except ConflictError as conflict:
        if conflict.code != BLOCK_STOPPED:  # else another failure has stopped them
            raise


def _wait_for_stopped_blocks(snapshot: RunSnapshot, plan: Plan, world: World) -> None:
    """Wait for steps beside a failure that a block has contained: AWS has only left their lanes."""
    if can_stop_run_steps(plan) and world.runs.stopped_blocks(snapshot.run):
        _wait_for_steps(snapshot, _read(snapshot, plan, world).state, world)


def _wait_for_steps(snapshot: RunSnapshot, state: RunState, world: World) -> None:
    _record_lost(snapshot, state, world)
    lost = {step.path for step in lost_steps(state, world.clock.now())}
    running = [
        step.path
        for step in state.steps
        if step.kind is StepKind.RUN and step.status is StepStatus.RUNNING
    ]
    if not lost.issuperset(running):
        raise StepsStillRunError(f"{len(running)} steps of the run may still finish")


def _record_lost(
    snapshot: RunSnapshot, state: RunState, world: World, plan: Plan | None = None
) -> None:
    """Record that the attempts of functions which died are lost; with *plan*, what that stops."""
    now = world.clock.now()
    occurred_at = timestamp.to_text(now)
    for step in lost_steps(state, now):
        outcome = StepOutcome(path=step.path, attempt=step.attempts, status=StepStatus.FAILED)
        entry = step_entries.attempt_lost(step.path, step.attempts, None, occurred_at)
        stops = NOTHING if plan is None else stopped_by([step.path], plan, occurred_at, "")
        world.runs.record_step(snapshot, outcome, [entry], stops=stops)


def _failure(steps: _Steps) -> StepsEnd:
    failed = steps.failed
    assert failed is not None  # noqa: S101 - `_stop` has recorded it
    step = next((step for step in steps.state.steps if step.path == failed.step), None)
    if step is None:
        message = f"The execution of the steps ended with {failed.error}."
        return StepsEnd(
            outcome=RunStatus.FAILED,
            failed_step=failed.step,
            reason=failed.error,
            status_reason={"message": message},
        )
    return StepsEnd(
        outcome=RunStatus.FAILED,
        failed_step=step.path,
        reason=None if step.reason is None else step.reason.value,
        status_reason=failure_reason(step),
    )
