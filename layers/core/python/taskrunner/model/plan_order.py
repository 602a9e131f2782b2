"""The order of a plan's steps: in which they are written, and in which they certainly run.

Steps of different lanes, items or branches run in any order. A result of several steps must not
depend on it, so such results are put into the order of the plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

from taskrunner.model import step_path
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

    from taskrunner.model.plan import Plan, Step


class _Level(NamedTuple):
    """One level of a step's place: its number in a list of steps, lanes, branches or iterations.

    *number* is None for an iteration, which the step path has. In a list that is *sequential*, each
    member ends before the next one starts.
    """

    number: int | None
    sequential: bool


class PlanOrder:
    """The order of the steps of one plan, by their step paths."""

    def __init__(self, plan: Plan) -> None:
        """Look at each step once."""
        self._levels = dict(_levels((*plan.steps, *plan.final_steps), ()))

    def place(self, path: str) -> tuple[int, ...]:
        """Return a value that sorts as the steps of the plan are written, item after item."""
        _, step_id = parsed = step_path.parse(path)
        iterations = iter(parsed.iterations)
        return tuple(
            next(iterations).number if level.number is None else level.number
            for level in self._levels[step_id]
        )

    def precedes(self, earlier: str, later: str) -> bool:
        """Return whether the step at *earlier* certainly ends before the one at *later* starts."""
        _, step_id = step_path.parse(earlier)
        places = zip(self._levels[step_id], self.place(earlier), self.place(later), strict=False)
        # Down to the first difference both are in the same lists.
        for level, number, other in places:
            if number != other:
                return level.sequential and number < other
        return False


def _levels(
    steps: Sequence[Step], around: tuple[_Level, ...], *, sequential: bool = True
) -> Iterator[tuple[str, tuple[_Level, ...]]]:
    """Each of *steps*, and each step in them, by its id with the levels of its place."""
    for number, step in enumerate(steps):
        levels = (*around, _Level(number, sequential))
        yield step.id, levels
        match step:
            case RunStep() | ApprovalGate():
                pass
            case PolicyGate():
                yield from _levels(step.branch, levels)
            case Parallel():
                for index, lane in enumerate(step.lanes):
                    yield from _levels(lane.steps, (*levels, _Level(index, sequential=False)))
            case MapStep():
                yield from _levels(step.steps, (*levels, _Level(None, sequential=False)))
            case Loop():
                yield from _levels(step.steps, (*levels, _Level(None, sequential=True)))
            case Conditional():
                for branch, arm in enumerate(step.arms):
                    yield from _levels(arm, (*levels, _Level(branch, sequential=False)))
            case _:
                assert_never(step)
