"""The steps whose first state calls a function.

Such a function decides the step's `when` too, so these steps need no state for their condition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from taskrunner.model.plan import (
    ApprovalGate,
    Conditional,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
)

if TYPE_CHECKING:
    from taskrunner.model.plan import Step


def begins_with_call(step: Step) -> bool:
    """Return whether the first state of *step* calls a function, which then decides its `when`.

    The answer depends on the pack's structure alone.
    """
    match step:
        case RunStep() | ApprovalGate() | PolicyGate():
            return True
        case Parallel():
            # A Parallel always runs its lanes. A Map over no lanes runs nothing.
            return step.max_parallel is not None and _is_condition_open(step)
        case Loop() if step.takes_turns:
            return True
        case MapStep() | Loop():
            return step.items.values is None or _is_condition_open(step)
        case Conditional():
            return step.taken is None or _is_condition_open(step)
        case _:
            assert_never(step)


def _is_condition_open(step: Step) -> bool:
    """Return whether only the run can decide the step's `when`."""
    return step.when is not None and step.enabled is None
