"""End a run: evaluate its outputs, record how it ended, and seal the record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskrunner import expressions
from taskrunner.errors import (
    ConflictError,
    NotFoundError,
    StartRefusedError,
    StepsStillRunError,
)
from taskrunner.expressions import ExpressionError
from taskrunner.model import canonical_json, timestamp
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.entries import run_entries, step_entries
from taskrunner.model.failure import failures_of_the_run, reach
from taskrunner.model.plan import ObjectOutput, StepKind
from taskrunner.model.run import RunStatus, StepOutcome, StepStatus
from taskrunner.model.state.fold import fail_lost_steps, fold
from taskrunner.runtime.failures import cause_before, stopped_by
from taskrunner.runtime.run_result import run_result
from taskrunner.runtime.run_values import RunValues
from taskrunner.usecases.begin_finally import end_steps
from taskrunner.usecases.record_lost_attempts import record_passed_attempts
from taskrunner.usecases.seal_run import seal_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import FileOutput, Plan
    from taskrunner.model.run import Run
    from taskrunner.ports import RunSnapshot, World

NOT_STARTED: Final = "NOT_STARTED"
_REASON: Final = ": "
_UNKNOWN: Final = "UNKNOWN"
# The name of the execution that runs `finally` after the run's own was stopped.
_FINALLY: Final = "-finally"
_MAX_EXECUTION_NAME: Final = 80  # by Step Functions
# The answer about an execution whose end is not the end of its run. Its machine shows it.
_GOES_ON: Final[JsonObject] = {
    "status": "unknown",
    "error": "NotTheEnd",
    "cause": "this execution does not end the run",
}

_MAX_VALUE_BYTES: Final = 256 * 1024  # an item of the table has at most 400 KB


def settle_run(
    tenant: str, run_id: str, error: str | None, world: World, *, execution: str | None = None
) -> JsonObject:
    """Settle the run: as failed when *error* names a failure, else as succeeded. Idempotent.

    Return the run's `run_result`, or the status `unknown` for an execution that is not the run's.

    *error* is the name that Step Functions gave to what ended the pack's steps, such as
    `StepFailedError` or `States.Timeout`. If AWS refuses to start the run for good, the reconciler
    passes what `not_started` returns. A run that has ended before, like a cancelled one,
    keeps its outcome and gets the evidence that it lacks.

    *execution* is the execution that has ended, as `<machine>:<execution>`, or by its name from its
    own machine. One that is not the run's own ends nothing: an earlier run may have had this run's
    id, a run of another deployment may have it, or another execution runs `finally`.

    If the execution has ended before `finally`, the run goes on: the reconciler starts another one.

    Evidence is about what can no longer change, so the end is recorded first. Between the two the
    run stays on the reconciler's list. A failed run has usually been ended by the write that
    recorded its failure, and gets its outputs here.

    When retention has deleted the plan of a run, the run ends without outputs and evidence, and
    the reconciler removes it from that list.

    Raises:
        NotFoundError: there is no such run.
        TryAgainError: AWS was busy; the same call goes on from there.
    """
    snapshot = world.runs.snapshot(tenant, run_id)
    run = snapshot.run
    own_execution = f"{run.machine}:{run.execution}"
    if run.outcome is None and execution not in (None, own_execution, run.execution):
        return {"status": "unknown"} if ":" in str(execution) else _GOES_ON
    try:
        plan = world.plans.get(tenant, run.plan_hash)
    except NotFoundError:
        outcome = run.outcome or _end_without_plan(snapshot, world)
        return run_result(run, outcome, None, world)
    if _is_before_finally(run, plan, error):
        return _go_on(snapshot, plan, error, world)
    outcome = run.outcome or _end(snapshot, plan, error, world)
    if not run.sealed or run.outcome is None:
        if outcome is RunStatus.FAILED:
            _settle_failed(run, plan, world)
        seal_run(run, plan, world)
    return run_result(run, outcome, plan, world)


def not_started(error: Exception) -> str:
    """Return what `settle_run` is given for a run whose start failed with *error*."""
    if isinstance(error, StartRefusedError):
        return f"{NOT_STARTED}{_REASON}{error.reason}"
    return NOT_STARTED


def _is_before_finally(run: Run, plan: Plan, error: str | None) -> bool:
    """Return whether the run's execution has ended, and `finally` has not begun."""
    is_started = not (error or "").startswith(NOT_STARTED)
    return bool(plan.final_steps) and run.outcome is None and run.steps_end is None and is_started


def _go_on(snapshot: RunSnapshot, plan: Plan, error: str | None, world: World) -> JsonObject:
    """Record that the steps have ended, and that another execution runs `finally`.

    While a step may still finish nothing is recorded; the reconciler asks again.
    """
    run = snapshot.run
    execution = run.execution[: _MAX_EXECUTION_NAME - len(_FINALLY)] + _FINALLY
    try:
        end_steps(snapshot, plan, error or _UNKNOWN, execution, world)
    except ConflictError:  # the run has ended meanwhile
        return settle_run(run.tenant, run.run_id, error, world)
    except StepsStillRunError:
        pass
    return _GOES_ON


def _end_without_plan(snapshot: RunSnapshot, world: World) -> RunStatus:
    now = timestamp.to_text(world.clock.now())
    entry = run_entries.run_failed("its plan has expired", now)
    return world.runs.end(snapshot, RunStatus.FAILED, [entry])


def _end(snapshot: RunSnapshot, plan: Plan, error: str | None, world: World) -> RunStatus:
    now = timestamp.to_text(world.clock.now())
    steps = snapshot.run.steps_end
    if error is None:
        record_passed_attempts(snapshot, plan, world)
    if error is None and steps is not None and steps.outcome is RunStatus.FAILED:
        return world.runs.end(
            snapshot, RunStatus.FAILED, [run_entries.run_failed(cause_before(steps), now)]
        )
    if error is None:
        artifacts = _outputs(plan, snapshot, RunStatus.SUCCEEDED, now, world)
        entries = [run_entries.run_completed(now)]
        return world.runs.end(
            snapshot, RunStatus.SUCCEEDED, entries, artifacts, has_approvals=bool(plan.approvals)
        )
    if error.startswith(NOT_STARTED):
        entry = run_entries.run_not_scheduled(now, error.partition(_REASON)[2])
        return world.runs.end(snapshot, RunStatus.FAILED, [entry])
    journal = world.runs.journal(snapshot.run.tenant, snapshot.run.run_id)
    entries = [placed.entry for placed in journal]
    _end_lost_steps(snapshot, plan, entries, error, world)
    cause = _cause(snapshot, plan, entries, error)
    return world.runs.end(
        snapshot, RunStatus.FAILED, [run_entries.run_failed(cause, now, error=error)]
    )


def _end_lost_steps(
    snapshot: RunSnapshot, plan: Plan, entries: Sequence[Entry], error: str, world: World
) -> None:
    """Record the failure of each step whose function died, and which ended the run by that.

    A step that runs beside others may finish, for as long as a function can run.
    """
    now = world.clock.now()
    occurred_at = timestamp.to_text(now)
    created_at = snapshot.run.created_at
    ended = [*entries, run_entries.run_failed("", occurred_at)]
    after = fail_lost_steps(fold(plan, ended, created_at), now)
    failed = {step.path for step in after.steps if step.status is StepStatus.FAILED}
    before = fold(plan, entries, created_at)
    lost = [
        step
        for step in before.steps
        if step.kind is StepKind.RUN and step.status is StepStatus.RUNNING and step.path in failed
    ]
    # The failure that ends the run comes last, because nothing is recorded after it.
    for step in sorted(lost, key=lambda step: reach(plan, step.path).run):
        outcome = StepOutcome(path=step.path, attempt=step.attempts, status=StepStatus.FAILED)
        entry = step_entries.attempt_lost(step.path, step.attempts, None, occurred_at)
        stops = stopped_by([step.path], plan, occurred_at, error, before=snapshot.run.steps_end)
        world.runs.record_step(snapshot, outcome, [entry], stops=stops)


def _cause(snapshot: RunSnapshot, plan: Plan, entries: Sequence[Entry], error: str) -> str:
    """The step that failed the run, if one did, and else how its execution ended.

    If the steps before `finally` had failed, that is why the run fails.

    A failure that fails the run ends it in the same write. So there is such a step only where an
    earlier release recorded the failure.
    """
    steps = snapshot.run.steps_end
    if steps is not None and steps.outcome is RunStatus.FAILED:
        return cause_before(steps)
    state = fold(plan, entries, snapshot.run.created_at)
    for step in failures_of_the_run(plan, state.steps):
        return f"step {step.path} failed"
    return f"its execution ended with {error}"


def _settle_failed(run: Run, plan: Plan, world: World) -> None:
    """Record the outputs of a failed run as far as they can be known.

    From the first call on, a step that still runs adds no artifact, so the outputs do not depend on
    when the run is settled again.
    """
    world.runs.settle(run)
    if plan.outputs:
        snapshot = world.runs.snapshot(run.tenant, run.run_id)
        journal = world.runs.journal(run.tenant, run.run_id)
        state = fold(plan, (placed.entry for placed in journal), run.created_at)
        ended_at = state.ended_at or state.updated_at
        world.runs.record_outputs(run, _outputs(plan, snapshot, RunStatus.FAILED, ended_at, world))


# --- outputs ----------------------------------------------------------------------------------


def _outputs(
    plan: Plan, snapshot: RunSnapshot, outcome: RunStatus, now: str, world: World
) -> list[Artifact]:
    """The pack's outputs that are not captured: values as of now, and files as missing."""
    if not plan.outputs:
        return []
    captured = {
        item.name for item in world.artifacts.list(snapshot.run.tenant, snapshot.run.run_id)
    }
    values = RunValues(plan, snapshot, world)
    artifacts = []
    for output in plan.outputs:
        if isinstance(output, ObjectOutput):
            evaluated = _evaluated(output, values, outcome, now)
            if (text := evaluated.expression_json) is not None:
                evaluated = world.artifacts.store_value(snapshot.run, evaluated, text)
            artifacts.append(evaluated)
        elif output.name not in captured:
            artifacts.append(_missing(output))
    return artifacts


def _missing(output: FileOutput) -> Artifact:
    return Artifact(
        name=output.name,
        type=ArtifactType.FILE,
        status=ArtifactStatus.FAILED,
        source_path=output.path,
        notes=f"no step wrote {output.path}",
    )


def _evaluated(output: ObjectOutput, values: RunValues, outcome: RunStatus, now: str) -> Artifact:
    artifact = Artifact(name=output.name, type=ArtifactType.OBJECT, status=ArtifactStatus.FAILED)
    expression = expressions.parse(output.expression)
    try:
        value = expression.evaluate(values.context(expression.references, now=now))
    except ExpressionError as error:
        return replace(artifact, notes=str(error))
    if value is None and outcome is RunStatus.FAILED:
        return replace(artifact, notes="the run failed before there was a value")
    text = canonical_json.canonical_text(value)
    if (size_bytes := len(text.encode())) > _MAX_VALUE_BYTES:
        notes = f"the value has {size_bytes} bytes, at most {_MAX_VALUE_BYTES}; write a file"
        return replace(artifact, notes=notes)
    return replace(artifact, status=ArtifactStatus.CAPTURED, captured_at=now, expression_json=text)
