"""The worst case of a whole run, compared with the quotas of Step Functions before it starts.

An execution that hits its history limit half way fails, and cannot be continued. So a pack that
could is refused, with the step that breaks the limit. The quotas are those of the AWS Step
Functions Developer Guide, "Service quotas".
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Final

from taskrunner.compiler.budget.distribution import (
    MAX_PLANNED_EVENTS,
    QUOTA_EVENTS,
    SPARE_EVENTS,
    largest_history,
)
from taskrunner.compiler.budget.history import (
    BEFORE_FINAL,
    BEFORE_STEPS,
    chain_histories,
    chain_history,
    child_executions,
    iterations,
    run_history,
)
from taskrunner.compiler.machine import frame, names
from taskrunner.compiler.machine.creation import Deployment, unnamed_creation
from taskrunner.compiler.problems import Problem
from taskrunner.model.canonical_json import size_bytes
from taskrunner.model.plan import Loop, MapStep, walk
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan, Step

# A request may have 1 MB with its headers, for which 8 KiB are left. AWS's documentation does not
# say how many bytes that is; its API takes a definition of 1,048,576 characters.
MAX_REQUEST_BYTES: Final = (1024 - 8) * 1024
# The longest names that AWS allows, so that planning depends on no deployment: a function with an
# alias or version, a stack, a role, and a log group.
_LONGEST_ARN: Final = (
    f"arn:aws-us-gov:lambda:ap-southeast-1:{'1' * 12}:function:{'f' * 64}:{'v' * 128}"
)
_LONGEST_STACK: Final = "s" * 128
_LONGEST_PARTITION: Final = "aws-us-gov"
_LOG_GROUP: Final = {"cloudWatchLogsLogGroup": {"logGroupArn": "g" * 256}}
# A state may be given 256 KiB. 64 KiB are left for what the run adds to its input: the numbers of
# 10,000 items that decide_flow answers, or an error with its cause.
MAX_INPUT_BYTES: Final = 192 * 1024
_STEPS: Final[JsonPath] = ("spec", "steps")
_FINALLY: Final[JsonPath] = ("spec", "finally")


@dataclass(frozen=True, slots=True)
class Budget:
    """The worst case of one run.

    *history_events* are those of the run's own execution, without its child executions.
    *definition_bytes* are those of the request that creates the machine.
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
    everything = run + child_executions((*plan.steps, *plan.final_steps), distributed)
    return Budget(
        history_events=run.events,
        state_transitions=everything.transitions,
        invocations=everything.invocations,
        definition_bytes=sent_bytes(plan, definition),
        input_bytes=size_bytes(execution_input),
    )


def sent_bytes(plan: Plan, definition: JsonObject) -> int:
    """Return the bytes of the request that creates the machine, with the longest names.

    The definition is a string of a JSON request there, so each of its quotes takes two bytes and,
    as boto3 writes JSON, each character beyond ASCII six or more.
    """
    deployment = _longest_deployment()
    request = unnamed_creation(plan.pack_name, plan.pack_version, definition, deployment)
    return len(json.dumps({"name": "n" * names.MAX_LENGTH, **request}))


@cache
def _longest_deployment() -> Deployment:
    values = dict.fromkeys(frame.bindings(frame.frame()), _LONGEST_ARN)
    return Deployment(
        stack=_LONGEST_STACK,
        values=values | {frame.PARTITION: _LONGEST_PARTITION},
        role_arn="r" * 256,
        logging={"level": "ERROR", "includeExecutionData": False, "destinations": [_LOG_GROUP]},
        tracing={"enabled": False},
    )


def problems(plan: Plan, distributed: Collection[str], budget: Budget) -> Iterator[Problem]:
    """Yield why the platform could not carry out the run, with the step that breaks a limit."""
    if (events := largest_history(plan, distributed)) > MAX_PLANNED_EVENTS:
        message = (
            f"with this step the run may take {events} history events in all, of at most "
            f"{MAX_PLANNED_EVENTS}: Step Functions ends a run at {QUOTA_EVENTS}, and the rest is "
            "kept for retries of what AWS refuses; use fewer steps, iterations or retries"
        )
        index, step = _breaking_step(plan, distributed)
        loops = [inner for inner in walk((step,)) if isinstance(inner, Loop)]
        if loops:
            loop = max(loops, key=iterations)
            message += f", such as a lower maxIterations of '{loop.id}', now {loop.max_iterations}"
        is_final = index >= len(plan.steps)
        place = (*_FINALLY, index - len(plan.steps)) if is_final else (*_STEPS, index)
        yield Problem(place, message)
    if budget.definition_bytes > MAX_REQUEST_BYTES:
        message = (
            f"the compiled machine has {budget.definition_bytes} bytes as it is sent, and Step "
            f"Functions takes {MAX_REQUEST_BYTES}; split the pack"
        )
        yield Problem(_STEPS, message)
    if budget.input_bytes > MAX_INPUT_BYTES:
        message = (
            f"the execution's input has {budget.input_bytes} bytes and may have {MAX_INPUT_BYTES}, "
            "so that Step Functions can carry it; use fewer conditions or items"
        )
        yield Problem(_STEPS, message)


def _breaking_step(plan: Plan, distributed: Collection[str]) -> tuple[int, Step]:
    """Return the index of the first step that makes a history too long, and the step.

    It may be the history of the run or of a child execution. The steps of `finally` follow the
    others.
    """
    events = BEFORE_STEPS.events + SPARE_EVENTS
    steps = (*plan.steps, *plan.final_steps)
    worst_cases = [
        *chain_histories(plan.steps, distributed),
        *chain_histories(plan.final_steps, distributed),
    ]
    for index, (step, worst) in enumerate(zip(steps, worst_cases, strict=True)):
        if index == len(plan.steps):
            events += BEFORE_FINAL.events
        events += worst.events
        maps = (inner for inner in walk((step,)) if isinstance(inner, MapStep))
        histories = [
            chain_history(inner.steps, distributed).events
            for inner in maps
            if inner.id in distributed
        ]
        if max([events, *histories]) > QUOTA_EVENTS:
            return index, step
    return len(steps) - 1, steps[-1]
