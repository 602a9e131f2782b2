"""The result of a run, as its execution shows it in Step Functions.

It has the id of the step that failed and the reason, which is one of the language's list. It has no
message of an executor and no output, because everybody who may see executions sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.model.failure import failures_of_the_run
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus
from taskrunner.model.state.fold import fold

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import Run, RunState, StepState
    from taskrunner.ports import World

_ENDS: Final = frozenset({Event.RUN_FAILED, Event.RUN_SCHEDULE_FAILED})
_FAILED: Final = "RunFailed"
_CANCELLED: Final = "RunCancelled"


def run_result(run: Run, outcome: RunStatus, plan: Plan | None, world: World) -> JsonObject:
    """Return `{status, error, cause}` of an ended run; a succeeded one has only a status.

    *plan* is None when retention has deleted it.
    """
    if outcome is RunStatus.SUCCEEDED:
        return {"status": outcome.value}
    if outcome is RunStatus.CANCELLED:
        cause = "the run was cancelled"
        return {"status": outcome.value, "error": _CANCELLED, "cause": cause}
    error, cause = _failure(run, plan, world)
    return {"status": outcome.value, "error": error, "cause": cause}


def _failure(run: Run, plan: Plan | None, world: World) -> tuple[str, str]:
    steps = run.steps_end
    if steps is not None and steps.failed_step is not None and steps.reason is not None:
        return steps.reason, f"step {steps.failed_step} failed: {steps.reason}"
    entries = [placed.entry for placed in world.runs.journal(run.tenant, run.run_id)]
    step = None if plan is None else _failed_step(fold(plan, entries, run.created_at), plan)
    if step is None or step.reason is None:
        ends = (entry.message for entry in entries if entry.event in _ENDS)
        return _FAILED, next(ends, "the run failed")
    return step.reason.value, f"step {step.path} failed: {step.reason.value}"


def _failed_step(state: RunState, plan: Plan) -> StepState | None:
    """Return the step that failed the run, and not a block around it."""
    return next(failures_of_the_run(plan, state.steps), None)
