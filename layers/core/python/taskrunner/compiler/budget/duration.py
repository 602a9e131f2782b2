"""The longest time that a run can take."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.compiler.budget.history import iterations
from taskrunner.compiler.privileged import is_privileged
from taskrunner.model.job import LONGEST_WAIT, MAX_LOSSES, pool_of
from taskrunner.model.machine_call import machine_of
from taskrunner.model.plan import (
    MAX_TIMEOUT_S,
    ApprovalGate,
    Conditional,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
    children,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.plan import Plan, Step

MAX_DURATION_S: Final = 365 * 86400  # Step Functions ends an execution after a year
# Before `finally`, a step that runs beside a failure may finish. If the execution was stopped, the
# reconciler starts another one.
_MAX_BEFORE_FINAL_S: Final = 3600
# Until a lost worker is noticed, or the end of a time limit.
_MAX_LOOK_S: Final = 180
_MAX_CALL_S: Final = 910  # of a policy that asks a function; the machine gives up then


def longest_s(plan: Plan) -> int:
    """Return the seconds that a run of *plan* can take at most."""
    steps_s = _steps_s(plan, (*plan.steps, *plan.final_steps))
    return min(MAX_DURATION_S, steps_s + (_MAX_BEFORE_FINAL_S if plan.final_steps else 0))


def _steps_s(plan: Plan, steps: Iterable[Step]) -> int:
    return sum(_step_s(plan, step) for step in steps)


def _step_s(plan: Plan, step: Step) -> int:
    match step:
        case RunStep() if pool_of(step.uses) is not None:
            try_s = int(LONGEST_WAIT.total_seconds()) + step.timeout_s + _MAX_LOOK_S
            tries = step.retries.max_attempts * (MAX_LOSSES + 1)
            return tries * try_s + ceil(step.retries.pauses_s)
        case RunStep() if machine_of(step.uses) is not None:
            try_s = step.timeout_s + _MAX_LOOK_S
            return step.retries.max_attempts * try_s + ceil(step.retries.pauses_s)
        case RunStep():
            return step.retries.max_attempts * MAX_TIMEOUT_S + ceil(step.retries.pauses_s)
        case ApprovalGate():
            return plan.approval(step.approval_id).expires_after_s
        case PolicyGate():
            override_s = plan.approval(step.override).expires_after_s if step.override else 0
            evaluation_s = _MAX_CALL_S if is_privileged(step, plan) else MAX_TIMEOUT_S
            evaluations_s = step.retries.max_attempts * evaluation_s + ceil(step.retries.pauses_s)
            return evaluations_s + override_s + _steps_s(plan, step.branch)
        case Parallel():
            return _steps_s(plan, children(step))
        case MapStep() | Loop():
            return iterations(step) * _steps_s(plan, step.steps)
        case Conditional():
            return max(_steps_s(plan, arm) for arm in step.arms)
        case _:
            assert_never(step)
