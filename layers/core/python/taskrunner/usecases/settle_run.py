"""End a run: evaluate its outputs, record how it ended, and seal the record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskrunner import expressions
from taskrunner.errors import NotFoundError
from taskrunner.expressions import ExpressionError
from taskrunner.model import canonical_json, timestamp
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.entries import run_entries
from taskrunner.model.plan import ObjectOutput
from taskrunner.model.run import RunStatus
from taskrunner.model.state.fold import fold
from taskrunner.runtime.run_values import RunValues
from taskrunner.usecases.seal_run import seal_run

if TYPE_CHECKING:
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import FileOutput, Plan
    from taskrunner.ports import Head, World

NOT_STARTED: Final = "NOT_STARTED"

_MAX_VALUE_BYTES: Final = 256 * 1024  # an item of the table has at most 400 KB


def settle_run(
    tenant: str, run_id: str, error: str | None, world: World, *, execution: str | None = None
) -> JsonObject:
    """Settle the run: as failed when *error* names a failure, else as succeeded. Twice is once.

    *error* is the name that Step Functions gave to what ended the pack's steps, such as
    `StepFailedError` or `States.Timeout`. The reconciler gives `NOT_STARTED` for a run that has no
    execution and cannot get one. A run that has ended before, like a cancelled one, keeps its
    outcome and gets the evidence that it lacks.

    *execution* is `<machine>:<execution>`, for a caller that knows only which execution has ended.
    One that is not the run's own ends nothing: an earlier run may have had this run's id, and a run
    of another deployment may have it.

    Evidence is about what can no longer change, so the end is recorded first. Between the two the
    run stays on the reconciler's list.

    When retention has deleted the plan of a run, the run ends without outputs and evidence. It
    stays on that list until the table forgets it too.

    Raises:
        NotFoundError: there is no such run.
        TryAgainError: AWS was busy; the same call goes on from there.
    """
    head = world.runs.head(tenant, run_id)
    run = head.run
    if run.outcome is not None and run.sealed:
        return {"status": run.outcome.value}
    own_execution = f"{run.machine}:{run.execution}"
    if run.outcome is None and execution not in (None, own_execution):
        return {"status": "unknown"}
    try:
        plan = world.plans.get(tenant, run.plan_hash)
    except NotFoundError:
        return {"status": (run.outcome or _end_without_plan(head, world)).value}
    outcome = run.outcome or _end(head, plan, error, world)
    seal_run(run, plan, world)
    return {"status": outcome.value}


def _end_without_plan(head: Head, world: World) -> RunStatus:
    now = timestamp.to_text(world.clock.now())
    entry = run_entries.run_failed("its plan has expired", now)
    return world.runs.end(head, RunStatus.FAILED, [entry])


def _end(head: Head, plan: Plan, error: str | None, world: World) -> RunStatus:
    now = timestamp.to_text(world.clock.now())
    outcome = RunStatus.SUCCEEDED if error is None else RunStatus.FAILED
    artifacts = _outputs(plan, head, outcome, now, world)
    entry = run_entries.run_completed(now)
    if error is not None:
        entry = _failure(plan, head, error, now, world)
    return world.runs.end(head, outcome, [entry], artifacts)


def _failure(plan: Plan, head: Head, error: str, now: str, world: World) -> Entry:
    """The entry of a failure, which names the step that failed the run."""
    run = head.run
    if error == NOT_STARTED:
        return run_entries.run_not_scheduled(now)
    journal = world.runs.journal(run.tenant, run.run_id)
    state = fold(plan, (placed.entry for placed in journal), run.created_at)
    failed = next((step.path for step in state.steps if step.is_fatal), None)
    cause = f"its execution ended with {error}" if failed is None else f"step {failed} failed"
    return run_entries.run_failed(cause, now, error=error)


# --- outputs ----------------------------------------------------------------------------------


def _outputs(plan: Plan, head: Head, outcome: RunStatus, now: str, world: World) -> list[Artifact]:
    """The pack's outputs that are not captured: values as of now, and files as missing."""
    if not plan.outputs:
        return []
    captured = {item.name for item in world.artifacts.list(head.run.tenant, head.run.run_id)}
    values = RunValues(plan, head, world)
    artifacts = []
    for output in plan.outputs:
        if isinstance(output, ObjectOutput):
            evaluated = _evaluated(output, values, outcome, now)
            if (text := evaluated.expression_json) is not None:
                evaluated = world.artifacts.store_value(head.run, evaluated, text)
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
        value = expression.evaluate(values.context(expression.references))
    except ExpressionError as error:
        return replace(artifact, notes=str(error))
    if value is None and outcome is RunStatus.FAILED:
        return replace(artifact, notes="the run failed before there was a value")
    text = canonical_json.canonical_text(value)
    if (size_bytes := len(text.encode())) > _MAX_VALUE_BYTES:
        notes = f"the value has {size_bytes} bytes, at most {_MAX_VALUE_BYTES}; write a file"
        return replace(artifact, notes=notes)
    return replace(artifact, status=ArtifactStatus.CAPTURED, captured_at=now, expression_json=text)
