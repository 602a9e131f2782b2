"""What a run costs Step Functions at worst, and whether that fits under the platform's limits.

Counted on the plan before anything is started, because an execution that hits its history limit
half way fails with no way to go on. Figures: AWS Step Functions Developer Guide, "Service quotas".

A map over so many items that one history would not hold them becomes a Distributed Map, whose
iterations are executions of their own, each with a history of its own.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.expressions import templates
from taskrunner.model.plan import (
    MAX_ITERATIONS,
    MAX_TIMEOUT_S,
    ApprovalGate,
    Conditional,
    FailureAction,
    Iterated,
    Loop,
    MapStep,
    Parallel,
    Plan,
    PolicyGate,
    RunStep,
    Step,
    children,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from taskrunner.model.json_path import Path
    from taskrunner.model.json_types import JsonObject

MAX_HISTORY_EVENTS: Final = 25_000
MAX_DEFINITION_BYTES: Final = 1024 * 1024
# Of the 256 KiB that a state may be given, 64 are left to what the run adds to its input: the
# numbers of 10,000 items that decide_flow answers, or an error with its cause.
MAX_INPUT_BYTES: Final = 192 * 1024
MAX_DURATION_S: Final = 365 * 86400
MAX_INLINE_CONCURRENCY: Final = 40
_CALL_S: Final = 910  # that a policy may take which asks a function; the machine gives up then
# A throttled step may be tried eight times more; that all of them are is not planned for.
_SPARE_EVENTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Worst:
    """History events, state transitions and Lambda invocations, at most."""

    events: int = 0
    transitions: int = 0
    invocations: int = 0

    def __add__(self, other: Worst) -> Worst:
        """One after the other."""
        return Worst(
            self.events + other.events,
            self.transitions + other.transitions,
            self.invocations + other.invocations,
        )

    def times(self, count: int) -> Worst:
        """*count* times."""
        return Worst(self.events * count, self.transitions * count, self.invocations * count)


_STATE: Final = Worst(events=2, transitions=1)  # Choice, Pass, Wait, Succeed
_TASK: Final = Worst(events=5, transitions=1, invocations=1)
_RETRY: Final = Worst(events=3, transitions=1, invocations=1)
_TOKEN_TASK: Final = Worst(events=6, transitions=1, invocations=1)
_BLOCK: Final = Worst(events=4, transitions=1)  # a Parallel, or a Map without its iterations
_ITERATION: Final = Worst(events=2)
# Started and succeeded; the frame's Parallel; settling with its retries; the outcome.
_FRAME: Final = (
    Worst(events=2) + _BLOCK + _STATE + _TASK + _RETRY.times(8) + _STATE + _STATE
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Budget:
    """The worst case of one run; *history_events* are its own, without child executions."""

    history_events: int
    state_transitions: int
    invocations: int
    definition_bytes: int
    input_bytes: int


def count(plan: Plan, definition: JsonObject, execution_input: JsonObject) -> Budget:
    """Count *plan*, its machine and its input."""
    apart = distributed(plan)
    own = _FRAME + _chain(plan.steps, apart)
    everything = own + _children(plan.steps, apart)
    return Budget(
        history_events=own.events,
        state_transitions=everything.transitions,
        invocations=everything.invocations,
        definition_bytes=len(json.dumps(definition, ensure_ascii=False).encode()),
        input_bytes=len(json.dumps(execution_input, ensure_ascii=False).encode()),
    )


def iterations(step: Iterated) -> int:
    """How many iterations *step* has at most."""
    if step.items.values is not None:
        return len(step.items.values)
    return step.max_iterations if isinstance(step, Loop) else MAX_ITERATIONS


def distributed(plan: Plan) -> frozenset[str]:
    """The maps whose iterations must be executions of their own, by id.

    Those that want more at a time than an inline Map can, and then the costliest ones, until every
    history is within its limit or nothing is left to move out of it. What these inputs leave out
    is in no history, and stays where it is.
    """
    maps = [step for step in plan.all_steps() if isinstance(step, MapStep)]
    apart = {
        step.id
        for step in maps
        if step.max_parallel is not None and step.max_parallel > MAX_INLINE_CONCURRENCY
    }
    inline = [
        step
        for step in _that_may_run(plan.steps)
        if isinstance(step, MapStep) and step.id not in apart and iterations(step) > 1
    ]
    # A map costs more than one that it holds, so that none changes what a costlier one costs; and
    # whatever is moved was counted more often before, so that no history grows by it.
    inline.sort(key=lambda step: (_body(step, apart).events, step.id), reverse=True)
    moved = [step.id for step in inline]

    def is_enough(count: int) -> bool:
        history = _largest_history(plan, apart | set(moved[:count]))
        return history <= MAX_HISTORY_EVENTS - _SPARE_EVENTS

    return frozenset(apart | set(moved[: bisect_left(range(len(moved)), x=True, key=is_enough)]))


def _that_may_run(steps: Iterable[Step]) -> Iterator[Step]:
    """All of *steps* and what they hold, except what no item or no branch leads to."""
    for step in steps:
        yield step
        if isinstance(step, Conditional) and step.taken is not None:
            yield from _that_may_run(step.arm(step.taken))
        elif not isinstance(step, MapStep | Loop) or iterations(step):
            yield from _that_may_run(children(step))


def _largest_history(plan: Plan, apart: Collection[str]) -> int:
    own = _FRAME + _chain(plan.steps, apart)
    iterated = (step for step in plan.all_steps() if isinstance(step, MapStep) and step.id in apart)
    return max([own.events, *(_chain(step.steps, apart).events for step in iterated)])


def _chain(steps: Iterable[Step], apart: Collection[str]) -> Worst:
    total = _STATE  # where the last one leads
    for step in steps:
        total += history(step, apart)
    return total


def history(step: Step, apart: Collection[str]) -> Worst:
    """What *step* costs in the history that it stands in."""
    return _condition(step) + _body(step, apart)


def _condition(step: Step) -> Worst:
    if step.when is None:
        return Worst()
    return _STATE if step.enabled is not None else _TASK + _STATE


def _body(step: Step, apart: Collection[str]) -> Worst:
    match step:
        case RunStep():
            return _TASK + _RETRY.times(step.retries.max_attempts - 1)
        case ApprovalGate():
            return _TOKEN_TASK + _TASK
        case PolicyGate():
            return _policy(step, apart)
        case Parallel():
            limited = _ITERATION + _STATE if step.max_parallel is not None else Worst()
            lanes = (_chain((child,), apart) + limited for child in step.steps)
            return sum(lanes, _BLOCK)
        case MapStep() if step.id in apart:
            return _BLOCK + _asked(step)
        case MapStep() | Loop():
            return _iterated(step, apart)
        case Conditional():
            arms = step.arms if step.taken is None else (step.arm(step.taken),)
            costliest = max((_chain(arm, apart) for arm in arms), key=lambda worst: worst.events)
            return costliest + _STATE + (_TASK if step.taken is None else Worst())
        case _:
            assert_never(step)


def _policy(step: PolicyGate, apart: Collection[str]) -> Worst:
    attempts = step.retries.max_attempts
    asked = (_TASK + _STATE).times(attempts) + _STATE.times(attempts - 1)
    match step.failure_action:
        case FailureAction.REQUEST_OVERRIDE:
            return asked + _TOKEN_TASK + _TASK
        case FailureAction.BRANCH:
            return asked + _chain(step.branch, apart)
        case _:
            return asked


def _iterated(step: Iterated, apart: Collection[str]) -> Worst:
    body, times = _chain(step.steps, apart), iterations(step)
    if isinstance(step, Loop) and step.until is not None:
        turn = _TASK + _STATE + _STATE
        broken = _TASK + _STATE  # what leaves an iteration that has failed
        return turn.times(times + 1) + body.times(times) + broken
    return _BLOCK + _asked(step) + (_ITERATION + body).times(times)


def _asked(step: Iterated) -> Worst:
    return _TASK if step.items.values is None else Worst()


def _children(steps: Iterable[Step], apart: Collection[str]) -> Worst:
    """What the executions of Distributed Maps cost beside the run's own."""
    total = Worst()
    for step in steps:
        inner = _children(children(step), apart)
        if isinstance(step, MapStep | Loop):
            if step.id in apart:
                inner += _ITERATION + _chain(step.steps, apart)
            inner = inner.times(iterations(step))
        total += inner
    return total


def longest_s(plan: Plan) -> int:
    """The seconds that a run of *plan* can take at most; Step Functions allows a year."""
    return min(MAX_DURATION_S, sum(_longest_s(plan, step) for step in plan.steps))


def _longest_s(plan: Plan, step: Step) -> int:
    match step:
        case RunStep():
            return step.retries.max_attempts * (MAX_TIMEOUT_S + step.retries.backoff_s)
        case ApprovalGate():
            return plan.approval(step.approval_id).expires_after_s
        case PolicyGate():
            override = plan.approval(step.override).expires_after_s if step.override else 0
            evaluation_s = _CALL_S if templates.is_privileged(step, plan) else MAX_TIMEOUT_S
            pauses = step.retries.max_attempts * (evaluation_s + step.retries.backoff_s)
            return pauses + override + sum(_longest_s(plan, child) for child in step.branch)
        case Parallel():
            return sum(_longest_s(plan, child) for child in step.steps)
        case MapStep() | Loop():
            return iterations(step) * sum(_longest_s(plan, child) for child in step.steps)
        case Conditional():
            return max(sum(_longest_s(plan, child) for child in arm) for arm in step.arms)
        case _:
            assert_never(step)


def problems(plan: Plan, budget: Budget) -> list[tuple[Path, str]]:
    """Why the run could not be carried out, naming the step that breaks a limit."""
    found: list[tuple[Path, str]] = []
    steps: Path = ("spec", "steps")
    apart = distributed(plan)
    if (events := _largest_history(plan, apart)) > MAX_HISTORY_EVENTS - _SPARE_EVENTS:
        message = (
            f"with this step the run may take {events} history events in all, and Step Functions "
            f"ends a run at {MAX_HISTORY_EVENTS}; use fewer steps, iterations or retries"
        )
        found.append(((*steps, _breaking_step(plan, apart)), message))
    if budget.definition_bytes > MAX_DEFINITION_BYTES:
        message = (
            f"the compiled machine has {budget.definition_bytes} bytes and Step Functions takes "
            f"{MAX_DEFINITION_BYTES}; split the pack"
        )
        found.append((steps, message))
    if budget.input_bytes > MAX_INPUT_BYTES:
        message = (
            f"the execution's input has {budget.input_bytes} bytes and may have {MAX_INPUT_BYTES}, "
            "so that Step Functions can carry it; use fewer conditions or items"
        )
        found.append((steps, message))
    return found


def _breaking_step(plan: Plan, apart: Collection[str]) -> int:
    """The index of the first step that may not be reached, or not be done, within the limit."""
    events = (_FRAME + _STATE).events + _SPARE_EVENTS
    for index, step in enumerate(plan.steps):
        events += history(step, apart).events
        inner = [one for one in walk((step,)) if isinstance(one, MapStep) and one.id in apart]
        largest = max([events, *(_chain(one.steps, apart).events for one in inner)])
        if largest > MAX_HISTORY_EVENTS:
            return index
    return len(plan.steps) - 1
