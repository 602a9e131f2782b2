"""The worst case of a whole run, compared with the quotas of Step Functions before it starts.

An execution that hits its history limit half way fails, and cannot be continued. So a pack that
could is refused, with the step that breaks the limit. The quotas are those of the AWS Step
Functions Developer Guide, "Service quotas".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from taskrunner.compiler.budget.distribution import (
    MAX_PLANNED_EVENTS,
    QUOTA_EVENTS,
    SPARE_EVENTS,
    largest_history,
)
from taskrunner.compiler.budget.history import (
    BEFORE_STEPS,
    chain_history,
    child_executions,
    iterations,
    run_history,
    step_history,
)
from taskrunner.compiler.machine import frame
from taskrunner.compiler.problems import Problem
from taskrunner.model.canonical_json import size_bytes
from taskrunner.model.plan import Loop, MapStep, walk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from taskrunner.model.json_path import Path
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan

# A request may have 1 MiB. 16 KiB are left for its headers and the rest of CreateStateMachine.
MAX_DEFINITION_BYTES: Final = (1024 - 16) * 1024
# The function of a deployment with the longest names that AWS allows.
_LONGEST_ARN: Final = "arn:aws-us-gov:lambda:ap-southeast-1:123456789012:function:" + "f" * 64
# A state may be given 256 KiB. 64 KiB are left for what the run adds to its input: the numbers of
# 10,000 items that decide_flow answers, or an error with its cause.
MAX_INPUT_BYTES: Final = 192 * 1024
_STEPS: Final[Path] = ("spec", "steps")


@dataclass(frozen=True, slots=True)
class Budget:
    """The worst case of one run.

    *history_events* are those of the run's own execution, without its child executions.
    *definition_bytes* are those that creating the machine sends.
    """

    history_events: int
    state_transitions: int
    invocations: int
    definition_bytes: int
    input_bytes: int


def count(
    plan: Plan,
    distributed: Collection[str],
    definition: JsonObject,
    execution_input: JsonObject,
) -> Budget:
    """Return the worst case of a run of *plan*, of its machine and of its input."""
    run = run_history(plan, distributed)
    everything = run + child_executions(plan.steps, distributed)
    return Budget(
        history_events=run.events,
        state_transitions=everything.transitions,
        invocations=everything.invocations,
        definition_bytes=sent_bytes(definition),
        input_bytes=size_bytes(execution_input),
    )


def sent_bytes(definition: JsonObject) -> int:
    """Return the bytes of *definition* in CreateStateMachine, with functions of the longest names.

    It is a string of a JSON request there, so each of its quotes takes two bytes and, as boto3
    writes JSON, each character beyond ASCII six or more.
    """
    bound = frame.bind(definition, _longest_functions())
    text = json.dumps(bound, ensure_ascii=False, separators=(",", ":"))
    return len(json.dumps(text))


@cache
def _longest_functions() -> dict[str, str]:
    return dict.fromkeys(frame.bindings(frame.frame()), _LONGEST_ARN)


def problems(plan: Plan, distributed: Collection[str], budget: Budget) -> Iterator[Problem]:
    """Yield why the platform could not carry out the run, with the step that breaks a limit."""
    if (events := largest_history(plan, distributed)) > MAX_PLANNED_EVENTS:
        message = (
            f"with this step the run may take {events} history events in all, of at most "
            f"{MAX_PLANNED_EVENTS}: Step Functions ends a run at {QUOTA_EVENTS}, and the rest is "
            "kept for retries of what AWS refuses; use fewer steps, iterations or retries"
        )
        index = _breaking_step(plan, distributed)
        loops = [inner for inner in walk((plan.steps[index],)) if isinstance(inner, Loop)]
        if loops:
            loop = max(loops, key=iterations)
            message += f", such as a lower maxIterations of '{loop.id}', now {loop.max_iterations}"
        yield Problem((*_STEPS, index), message)
    if budget.definition_bytes > MAX_DEFINITION_BYTES:
        message = (
            f"the compiled machine has {budget.definition_bytes} bytes as it is sent, and Step "
            f"Functions takes {MAX_DEFINITION_BYTES}; split the pack"
        )
        yield Problem(_STEPS, message)
    if budget.input_bytes > MAX_INPUT_BYTES:
        message = (
            f"the execution's input has {budget.input_bytes} bytes and may have {MAX_INPUT_BYTES}, "
            "so that Step Functions can carry it; use fewer conditions or items"
        )
        yield Problem(_STEPS, message)


def _breaking_step(plan: Plan, distributed: Collection[str]) -> int:
    """Return the index of the first step that makes a history too long.

    It may be the history of the run or of a child execution.
    """
    events = BEFORE_STEPS.events + SPARE_EVENTS
    for index, step in enumerate(plan.steps):
        events += step_history(step, distributed).events
        maps = (inner for inner in walk((step,)) if isinstance(inner, MapStep))
        histories = [
            chain_history(inner.steps, distributed).events
            for inner in maps
            if inner.id in distributed
        ]
        if max([events, *histories]) > QUOTA_EVENTS:
            return index
    return len(plan.steps) - 1
