"""End a run: evaluate its outputs, record how it came out, and seal the record."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskrunner import expressions
from taskrunner.errors import NotFoundError
from taskrunner.expressions import ExpressionError
from taskrunner.model import moment, plan_document
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.fold import fold
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.plan import FileOutput, ObjectOutput
from taskrunner.model.run import RunStatus, StepStatus
from taskrunner.runtime.values import Values
from taskrunner.usecases.seal_run import seal_run

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.ports import Head
    from taskrunner.ports.world import World

NOT_STARTED: Final = "NOT_STARTED"

_MAX_VALUE_BYTES: Final = 256 * 1024  # an item of the table has at most 400 KB


def settle_run(
    tenant: str, run_id: str, error: str | None, world: World, *, execution: str | None = None
) -> JsonObject:
    """Settle the run as failed when *error* names one, else as succeeded; settling twice is once.

    *error* is the name that Step Functions gave what ended the pack's steps, such as
    `StepFailedError` or `States.Timeout`; `NOT_STARTED` is the reconciler's for a run that has no
    execution and cannot be given one. A run that has ended already, as a cancelled one has, keeps
    its outcome and gets the evidence that it lacks.

    *execution*, `<machine>:<execution>`, is what ended where somebody tells of executions alone.
    One that is not the run's own ends nothing: an earlier run may have had this id, or a run of
    another deployment may have it.

    The end comes first, because evidence is about what can no longer change. Between the two the
    run stays on the reconciler's list.

    A run whose plan retention has taken has no outputs and gets no evidence, and there is nothing
    to try again: it stays on that list until the table forgets it as well.

    Raises:
        NotFoundError: there is no such run.
        TryAgainError: AWS had no room; what is done is done, and the same call does the rest.
    """
    head = world.runs.head(tenant, run_id)
    if head.run.outcome is not None and head.run.sealed:
        return {"status": head.run.outcome.value}
    own = f"{head.run.machine}:{head.run.execution}"
    if head.run.outcome is None and execution not in (None, own):
        return {"status": "unknown"}
    try:
        plan = plan_document.from_document(world.plans.get(tenant, head.run.plan_hash))
    except NotFoundError:
        return {"status": (head.run.outcome or _end_without_plan(head, world)).value}
    outcome = head.run.outcome or _end(head, plan, error, world)
    seal_run(head.run, plan, world)
    return {"status": outcome.value}


def _end_without_plan(head: Head, world: World) -> RunStatus:
    entry = Entry(
        id="run.ended",
        at=moment.to_text(world.clock.now()),
        event=Event.RUN_FAILED,
        level=Level.ERROR,
        message="Run failed: its plan has expired.",
    )
    return world.runs.end(head, RunStatus.FAILED, [entry])


def _end(head: Head, plan: Plan, error: str | None, world: World) -> RunStatus:
    at = moment.to_text(world.clock.now())
    outcome = RunStatus.SUCCEEDED if error is None else RunStatus.FAILED
    artifacts = _outputs(plan, head, at, world, succeeded=error is None)
    entry = _completed(at) if error is None else _failed(plan, head, error, at, world)
    return world.runs.end(head, outcome, [entry], artifacts)


def _completed(at: str) -> Entry:
    return Entry(id="run.ended", at=at, event=Event.RUN_COMPLETED, message="Run completed.")


def _failed(plan: Plan, head: Head, error: str, at: str, world: World) -> Entry:
    if error == NOT_STARTED:
        return Entry(
            id="run.ended",
            at=at,
            event=Event.RUN_SCHEDULE_FAILED,
            level=Level.ERROR,
            message="Run failed: its execution could not be started.",
        )
    journal = world.runs.journal(head.run.tenant, head.run.run_id)
    state = fold(plan, (placed.entry for placed in journal), head.run.created_at)
    failed = [
        step.step_id
        for step in state.steps
        if step.status is StepStatus.FAILED and not step.continue_on_error
    ]
    why = f"step {failed[0]} failed" if failed else f"its execution ended with {error}"
    return Entry(
        id="run.ended",
        at=at,
        event=Event.RUN_FAILED,
        level=Level.ERROR,
        message=f"Run failed: {why}.",
        metadata={"error": error},
    )


def _outputs(plan: Plan, head: Head, at: str, world: World, *, succeeded: bool) -> list[Artifact]:
    """The pack's outputs that are not captured yet: values now, files as missing."""
    run = head.run
    captured = (
        {one.name for one in world.artifacts.list(run.tenant, run.run_id)}
        if plan.outputs
        else set()
    )
    artifacts = []
    for output in plan.outputs:
        if isinstance(output, ObjectOutput):
            artifacts.append(_evaluated(output, plan, head, at, world, succeeded=succeeded))
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


def _evaluated(  # noqa: PLR0913 - what is known already is passed on, not read again
    output: ObjectOutput, plan: Plan, head: Head, at: str, world: World, *, succeeded: bool
) -> Artifact:
    artifact = Artifact(name=output.name, type=ArtifactType.OBJECT, status=ArtifactStatus.FAILED)
    expression = expressions.parse(output.expression)
    try:
        value = expression.evaluate(Values(plan, head, world).context(expression.references))
    except ExpressionError as error:
        return replace(artifact, notes=str(error))
    if value is None and not succeeded:
        return replace(artifact, notes="the run failed before there was a value")
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if (size := len(text.encode())) > _MAX_VALUE_BYTES:
        notes = f"the value has {size} bytes, at most {_MAX_VALUE_BYTES}; write a file"
        return replace(artifact, notes=notes)
    return replace(artifact, status=ArtifactStatus.CAPTURED, captured_at=at, expression_json=text)
