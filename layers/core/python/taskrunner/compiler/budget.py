"""What a run costs Step Functions at worst, and whether that fits under the platform's limits.

Counted on the plan before anything is started, because an execution that hits its history limit
half way fails with no way to go on. Figures: AWS Step Functions Developer Guide, "Service quotas".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.model.plan import MAX_TIMEOUT_S, ApprovalGate, Plan, RunStep, Step

if TYPE_CHECKING:
    from taskrunner.model.json_path import Path
    from taskrunner.model.json_types import JsonObject

MAX_HISTORY_EVENTS: Final = 25_000
MAX_DEFINITION_BYTES: Final = 1024 * 1024
MAX_INPUT_BYTES: Final = 256 * 1024
MAX_DURATION_S: Final = 365 * 86400

# Started, succeeded; the frame's Parallel 4; settling a task 5, a Choice 2, the outcome 2.
_FRAME_EVENTS: Final = 2 + 4 + 5 + 2 + 2
_SETTLE_RETRY_EVENTS: Final = 8 * 3
_DONE_EVENTS: Final = 2
_CHOICE_EVENTS: Final = 2
_TASK_EVENTS: Final = 5
_TOKEN_TASK_EVENTS: Final = 6
_RETRY_EVENTS: Final = 3
# A throttled step may be tried eight times more; that all of them are is not planned for.
_SPARE_EVENTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Budget:
    """The worst case of one run."""

    history_events: int
    definition_bytes: int
    input_bytes: int


def count(plan: Plan, definition: JsonObject, execution_input: JsonObject) -> Budget:
    """Count *plan*, its machine and its input."""
    return Budget(
        history_events=_FRAME_EVENTS
        + _SETTLE_RETRY_EVENTS
        + _DONE_EVENTS
        + sum(history_events(step) for step in plan.steps),
        definition_bytes=len(json.dumps(definition, ensure_ascii=False).encode()),
        input_bytes=len(json.dumps(execution_input, ensure_ascii=False).encode()),
    )


def history_events(step: Step) -> int:
    """The most events that *step* can leave in the history."""
    choice = _CHOICE_EVENTS if step.when is not None else 0
    match step:
        case RunStep():
            return choice + _TASK_EVENTS + _RETRY_EVENTS * (step.retries.max_attempts - 1)
        case ApprovalGate():
            return choice + _TOKEN_TASK_EVENTS + _TASK_EVENTS
        case _:
            assert_never(step)


def longest_s(plan: Plan) -> int:
    """The seconds that a run of *plan* can take at most; Step Functions allows a year."""
    return min(MAX_DURATION_S, sum(_longest_step_s(plan, step) for step in plan.steps))


def _longest_step_s(plan: Plan, step: Step) -> int:
    match step:
        case RunStep():
            retries = step.retries
            return retries.max_attempts * (MAX_TIMEOUT_S + retries.backoff_s)
        case ApprovalGate():
            return plan.approval(step.approval_id).expires_after_s
        case _:
            assert_never(step)


def problems(plan: Plan, budget: Budget) -> list[tuple[Path, str]]:
    """Why the run could not be carried out, naming the step that breaks a limit."""
    found: list[tuple[Path, str]] = []
    steps: Path = ("spec", "steps")
    if budget.history_events > MAX_HISTORY_EVENTS - _SPARE_EVENTS:
        message = (
            f"with this step the run may take {budget.history_events} history events in all, and "
            f"Step Functions ends a run at {MAX_HISTORY_EVENTS}; use fewer steps or retries"
        )
        found.append(((*steps, _breaking_step(plan)), message))
    if budget.definition_bytes > MAX_DEFINITION_BYTES:
        message = (
            f"the compiled machine has {budget.definition_bytes} bytes and Step Functions takes "
            f"{MAX_DEFINITION_BYTES}; split the pack"
        )
        found.append((steps, message))
    if budget.input_bytes > MAX_INPUT_BYTES:
        message = (
            f"the execution's input has {budget.input_bytes} bytes and Step Functions takes "
            f"{MAX_INPUT_BYTES}; use fewer conditions"
        )
        found.append((steps, message))
    return found


def _breaking_step(plan: Plan) -> int:
    """The index of the first step that may not be reached within the limit."""
    events = _FRAME_EVENTS + _SETTLE_RETRY_EVENTS + _DONE_EVENTS + _SPARE_EVENTS
    for index, step in enumerate(plan.steps):
        events += history_events(step)
        if events > MAX_HISTORY_EVENTS:
            return index
    return len(plan.steps) - 1
