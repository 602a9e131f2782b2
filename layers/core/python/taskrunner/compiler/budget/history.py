"""The worst case of each kind of step: history events, state transitions and Lambda invocations.

*distributed* is everywhere the ids of the maps whose iterations are executions of their own, with
histories of their own (see distribution).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.compiler.beginnings import (
    begins_with_call,
    ended_by_the_next,
    needs_condition_state,
)
from taskrunner.model.endings import is_checked_at_its_end
from taskrunner.model.machine_call import has_job
from taskrunner.model.plan import (
    MAX_ITERATIONS,
    ApprovalGate,
    Conditional,
    FailureAction,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
    children,
)
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from taskrunner.model.plan import Iterated, Plan, Step


@dataclass(frozen=True, slots=True)
class WorstCase:
    """History events, state transitions and Lambda invocations, at most."""

    events: int = 0
    transitions: int = 0
    invocations: int = 0

    def __add__(self, other: WorstCase) -> WorstCase:
        """Return the worst case of one after the other."""
        return WorstCase(
            self.events + other.events,
            self.transitions + other.transitions,
            self.invocations + other.invocations,
        )

    def times(self, count: int) -> WorstCase:
        """Return the worst case of *count* of them."""
        return WorstCase(self.events * count, self.transitions * count, self.invocations * count)


_STATE: Final = WorstCase(events=2, transitions=1)  # Choice, Pass, Wait, Succeed
_TASK: Final = WorstCase(events=5, transitions=1, invocations=1)
RETRY: Final = WorstCase(events=3, transitions=1, invocations=1)
PLATFORM_RETRIES: Final = 28  # of each task, as statemachine/pack_run.asl.yaml says
STEPS_STILL_RUN_RETRIES: Final = 40  # of the Task before `finally`, as written there
_TOKEN_TASK: Final = WorstCase(events=6, transitions=1, invocations=1)
_TOKEN_RETRY: Final = WorstCase(events=4, transitions=1, invocations=1)
_WAITING_GATE: Final = _TOKEN_TASK.times(2)  # its timeout leads back to it
# run_step hands a gate on to open_gate, after a slow policy in a call of its own.
_HANDED_ON: Final = _TOKEN_RETRY + WorstCase(invocations=2)
_BLOCK: Final = WorstCase(events=4, transitions=1)  # a Parallel, or a Map without its iterations
_ITERATION: Final = WorstCase(events=2)
# Started and succeeded; the frame's Parallel; settling; the outcome.
_FRAME: Final = WorstCase(events=2) + _BLOCK + _STATE + _TASK + _STATE + _STATE
# The Choice, the Parallel, and the Task with its waits for steps that still run.
BEFORE_FINAL: Final = _STATE + _BLOCK + _TASK + RETRY.times(STEPS_STILL_RUN_RETRIES)
BEFORE_STEPS: Final = _FRAME + _STATE


def run_history(plan: Plan, distributed: Collection[str]) -> WorstCase:
    """Return the worst case of a run's own execution, without its child executions."""
    steps = chain_history(plan.steps, distributed)
    if not plan.final_steps:
        return _FRAME + steps
    return _FRAME + steps + BEFORE_FINAL + chain_history(plan.final_steps, distributed)


def chain_history(steps: Sequence[Step], distributed: Collection[str]) -> WorstCase:
    """Return the worst case of *steps*, one after another, and of the state they lead to."""
    return sum(chain_histories(steps, distributed), _STATE)


def chain_histories(steps: Sequence[Step], distributed: Collection[str]) -> list[WorstCase]:
    """Return the worst case of each of *steps*, one after another."""
    ended_later = {step.id for _, step in ended_by_the_next(steps)}
    return [
        _condition(step)
        + body_history(step, distributed)
        + (WorstCase() if step.id in ended_later else _ending(step))
        for step in steps
    ]


def _ending(step: Step) -> WorstCase:
    return _TASK if is_checked_at_its_end(step) else WorstCase()


def body_history(step: Step, distributed: Collection[str]) -> WorstCase:
    """Return the worst case of *step* without its condition."""
    match step:
        case RunStep() if has_job(step.uses):
            return _TOKEN_TASK + _TOKEN_RETRY.times(step.retries.max_attempts - 1)
        case RunStep():
            return _TASK + RETRY.times(step.retries.max_attempts - 1)
        case ApprovalGate():
            return _WAITING_GATE
        case PolicyGate():
            return _policy(step, distributed)
        case Parallel():
            limited = _ITERATION + _STATE if step.max_parallel is not None else WorstCase()
            lanes = (chain_history(lane.steps, distributed) + limited for lane in step.lanes)
            return sum(lanes, _BLOCK + _asked(step))
        case MapStep() if step.id in distributed:
            return _BLOCK + _asked(step)
        case MapStep() | Loop():
            return _iterated(step, distributed)
        case Conditional():
            return _conditional(step, distributed)
        case _:
            assert_never(step)


def child_executions(steps: Iterable[Step], distributed: Collection[str]) -> WorstCase:
    """Return what the executions of Distributed Maps cost beside the run's own."""
    total = WorstCase()
    for step in steps:
        inner = child_executions(children(step), distributed)
        if isinstance(step, MapStep | Loop):
            if step.id in distributed:
                inner += _ITERATION + chain_history(step.steps, distributed)
            inner = inner.times(iterations(step))
        total += inner
    return total


def iterations(step: Iterated) -> int:
    """Return how many iterations *step* has at most."""
    if step.items.values is not None:
        return len(step.items.values)
    return step.max_iterations if isinstance(step, Loop) else MAX_ITERATIONS


def _condition(step: Step) -> WorstCase:
    if not needs_condition_state(step):
        return WorstCase()
    return _STATE if step.enabled is not None else _TASK + _STATE


def _policy(step: PolicyGate, distributed: Collection[str]) -> WorstCase:
    attempts = step.retries.max_attempts
    evaluations = (_TASK + _STATE).times(attempts) + _STATE.times(attempts - 1)
    match step.failure_action:
        case FailureAction.REQUEST_OVERRIDE:
            # One state. Not every policy is handed on, but it is counted for all.
            return _TOKEN_RETRY.times(attempts - 1) + _HANDED_ON + _WAITING_GATE
        case FailureAction.BRANCH:
            return evaluations + chain_history(step.branch, distributed)
        case FailureAction.ABORT | FailureAction.WARN:
            return evaluations
        case _:
            assert_never(step.failure_action)


def _conditional(step: Conditional, distributed: Collection[str]) -> WorstCase:
    arms = step.arms if step.taken is None else (step.arm(step.taken),)
    histories = (chain_history(arm, distributed) for arm in arms)
    costliest = max(histories, key=lambda worst: worst.events)
    return costliest + _STATE + (_TASK if begins_with_call(step) else WorstCase())


def _iterated(step: Iterated, distributed: Collection[str]) -> WorstCase:
    body, count = chain_history(step.steps, distributed), iterations(step)
    if isinstance(step, Loop) and step.takes_turns:
        turn = _TASK + _STATE
        leave_failed = turn.times(2) + _STATE  # a turn that fails, the next one, and a Pass
        return turn.times(count + 1) + body.times(count) + leave_failed
    return _BLOCK + _asked(step) + (_ITERATION + body).times(count)


def _asked(step: Iterated | Parallel) -> WorstCase:
    return _TASK if begins_with_call(step) else WorstCase()
