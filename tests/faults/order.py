"""The gates that must be passed before a step begins, found by walking the plan."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from taskrunner.model import step_path
from taskrunner.model.plan import (
    ApprovalGate,
    Conditional,
    FailureAction,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    Step,
    children,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from taskrunner.model.plan import Plan

Guards = tuple[tuple[str, bool], ...]


def guards(plan: Plan, paths: Collection[str]) -> dict[str, Guards]:
    """Return the gates before each step, by the steps' paths.

    A gate is its path, and whether the run may go on past it when it has failed. Iterations are
    those that occur in *paths*.
    """
    walk = _Walk(paths)
    # Nothing guards `finally`.
    return dict([*walk.chain(plan.steps, "", ()), *walk.chain(plan.final_steps, "", ())])


class _Walk:
    def __init__(self, paths: Collection[str]) -> None:
        self._paths = paths

    def chain(
        self, steps: Sequence[Step], prefix: str, before: Guards
    ) -> Iterator[tuple[str, Guards]]:
        for step in steps:
            path = step_path.join(prefix, step.id)
            yield path, before
            inside = list(self._inside(step, prefix, before))
            yield from inside
            before += self._passed(step, prefix)

    def _inside(self, step: Step, prefix: str, before: Guards) -> Iterator[tuple[str, Guards]]:
        """The steps in a block."""
        match step:
            case Parallel():
                for lane in step.lanes:
                    yield from self.chain(lane.steps, prefix, before)
            case Conditional():
                for arm in step.arms:
                    yield from self.chain(arm, prefix, before)
            case PolicyGate():
                yield from self.chain(step.branch, prefix, before)
            case MapStep() | Loop():
                for inner in self._prefixes(step_path.join(prefix, step.id)):
                    yield from self.chain(step.steps, inner, before)
                    if isinstance(step, Loop):
                        may_fail = not step.stops_at_failure
                        before += self._of(step.steps, inner, may_fail=may_fail)

    def _passed(self, step: Step, prefix: str, *, may_fail: bool = False) -> Guards:
        """The gates that have been passed once *step* has been."""
        may_fail = may_fail or step.continue_on_error
        path = step_path.join(prefix, step.id)
        match step:
            case ApprovalGate():
                return ((path, may_fail),)
            case PolicyGate():
                own = step.failure_action is FailureAction.REQUEST_OVERRIDE
                return ((path, may_fail),) * own + self._of(step.branch, prefix, may_fail=may_fail)
            case Parallel():
                return self._of(children(step), prefix, may_fail=may_fail)
            case Conditional():
                arms = [child for arm in step.arms for child in arm]
                return self._of(arms, prefix, may_fail=may_fail)
            case MapStep() | Loop():
                passed: Guards = ()
                for inner in self._prefixes(path):
                    passed += self._of(step.steps, inner, may_fail=may_fail)
                return passed
            case _:
                return ()

    def _of(self, steps: Sequence[Step], prefix: str, *, may_fail: bool) -> Guards:
        return tuple(
            gate for step in steps for gate in self._passed(step, prefix, may_fail=may_fail)
        )

    def _prefixes(self, block: str) -> list[str]:
        beginning = re.compile(re.escape(step_path.below(block)) + r"(\d+)\]::")
        found = {int(match[1]) for path in self._paths if (match := beginning.match(path))}
        return [step_path.iteration_prefix(block, number) for number in sorted(found)]
