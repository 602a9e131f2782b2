"""The steps whose first state calls a function, and what this function decides beside the step.

Such a function decides the step's `when` too. If it decides the items of a block, it also ends the
block before this one, so that two blocks side by side share a state.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, assert_never

from taskrunner.model.endings import is_checked_at_its_end
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
    from collections.abc import Iterator, Sequence

    from taskrunner.model.plan import Step


def begins_with_call(step: Step) -> bool:
    """Return whether the first state of *step* calls a function, which then decides its `when`.

    The answer depends on the pack's structure alone.
    """
    match step:
        case RunStep() | ApprovalGate() | PolicyGate():
            return True
        case Parallel():
            return step.max_parallel is not None and _is_condition_open(step)
        case Loop() if step.takes_turns:
            return True
        case MapStep() | Loop():
            return step.items.values is None or _is_condition_open(step)
        case Conditional():
            return step.taken is None or _is_condition_open(step)
        case _:
            assert_never(step)


def needs_condition_state(step: Step) -> bool:
    """Return whether a state of its own decides the `when` of *step*.

    A Parallel always runs its lanes. Other steps begin with a call, or with what planning decided:
    a skipped block has no items, and a skipped conditional has no branch.
    """
    return step.when is not None and isinstance(step, Parallel) and step.max_parallel is None


def begins_with_items(step: Step) -> bool:
    """Return whether the first state of *step* asks for its items, or for its lanes."""
    is_map = isinstance(step, Parallel | MapStep) or (
        isinstance(step, Loop) and not step.takes_turns
    )
    return is_map and begins_with_call(step)


def ended_by_the_next(steps: Sequence[Step]) -> Iterator[tuple[Step, Step]]:
    """Yield each of *steps*, which follow one another, that ends the one before it, and that one.

    This is so if a map or loop is checked at its end, and the next step asks for its items.
    """
    for step, following in pairwise(steps):
        is_checked = isinstance(step, MapStep | Loop) and is_checked_at_its_end(step)
        if is_checked and begins_with_items(following):
            yield following, step


def _is_condition_open(step: Step) -> bool:
    """Return whether only the run can decide the step's `when`."""
    return step.when is not None and step.enabled is None
