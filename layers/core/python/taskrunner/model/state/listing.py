"""List every step of a run in the plan's order, each block before the steps in it."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from taskrunner.model import step_path
from taskrunner.model.endings import is_checked_at_its_end
from taskrunner.model.entries.flow_entries import DecisionKind
from taskrunner.model.plan import (
    ApprovalGate,
    Conditional,
    Iterated,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
    Step,
    children,
    walk,
)
from taskrunner.model.run import Reason, StepStatus, UnlistedIterations
from taskrunner.model.state import rules
from taskrunner.model.state.facts import initial
from taskrunner.model.state.rules import Block, Scope, Skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskrunner.model.run import StepState
    from taskrunner.model.state.facts import Facts

# A map or loop of more steps than this lists the iterations that have begun, and none to come.
MAX_LISTED_STEPS: Final = 1000


class _Listed(NamedTuple):
    """A list of steps: the states of all steps in it, and those of its direct steps alone."""

    states: list[StepState]
    direct: list[StepState]


class Listing(NamedTuple):
    """The steps of a run, and the iterations of too many that are not among them, by block."""

    steps: list[StepState]
    unlisted: dict[str, UnlistedIterations]


def list_steps(facts: Facts) -> Listing:
    """Return the states of all steps of a run."""
    plan = facts.plan
    lister = _Lister(facts.of_steps())
    steps = lister.list_in(plan.steps, Scope()).states
    last = _Lister(facts)
    steps += last.list_in(plan.final_steps, Scope(is_reached=facts.steps_ended)).states
    return Listing(steps, lister.unlisted | last.unlisted)


class _Lister:
    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.unlisted: dict[str, UnlistedIterations] = {}

    def list_in(self, steps: Sequence[Step], scope: Scope) -> _Listed:
        """List *steps*, one after another."""
        listed = _Listed([], [])
        for step in steps:
            states = self._step(step, scope)
            listed.states.extend(states)
            listed.direct.append(states[0])
            scope = _scope_after(states[0], scope)
        return listed

    def _step(self, step: Step, scope: Scope) -> list[StepState]:
        """List one step: its own state, and then those of the steps in it."""
        path = step_path.join(scope.prefix, step.id)
        state = self._facts.steps.get(path) or initial(step, path)
        state = replace(state, parent_path=scope.parent)
        if (skip := self._skip(step, state, scope)) is not None:
            return self._skipped(step, state, skip, scope)
        if isinstance(step, RunStep | ApprovalGate):
            return [rules.step_state(state, scope, self._facts)]
        inside = _scope_inside(step, state, scope)
        match step:
            case PolicyGate():
                return self._policy(step, state, inside)
            case Parallel():
                lanes = self._lanes(step, [(lane.steps, inside) for lane in step.lanes])
                return self._block(step, state, lanes, scope, is_complete=True)
            case MapStep() | Loop():
                return self._iterated(step, state, inside, scope)
            case Conditional():
                return self._conditional(step, state, inside, scope)
            case _:
                assert_never(step)

    # --- skipped steps ------------------------------------------------------------------------

    def _skip(self, step: Step, state: StepState, scope: Scope) -> Skip | None:
        """The reason to skip a step: from planning, from around the step, or from its own entry."""
        if step.enabled is False:
            return Skip(Reason.CONDITION_FALSE, self._facts.created_at, planned=True)
        if scope.skip is not None:
            # A real run has no entries of a branch that was not taken.
            is_not_taken = scope.skip.reason is Reason.BRANCH_NOT_TAKEN
            if is_not_taken or state.status is StepStatus.PENDING:
                return scope.skip
        if state.status is StepStatus.SKIPPED:
            planned = scope.skip is not None and scope.skip.planned
            return Skip(state.reason, state.last_transition_at, planned)
        return None

    def _skipped(self, step: Step, state: StepState, skip: Skip, scope: Scope) -> list[StepState]:
        """List a skipped step; what is in it is skipped with it."""
        inside = _scope_inside(step, state, scope)
        inside = replace(inside, skip=skip._replace(reason=Reason.PARENT_SKIPPED))
        state = replace(
            state,
            status=StepStatus.SKIPPED,
            reason=skip.reason,
            last_transition_at=skip.since,
            attempts=0,
        )
        lists: list[tuple[Sequence[Step], Scope]]
        if isinstance(step, Conditional):
            arms = enumerate(step.arms)
            lists = [(arm, self._unless_not_taken(step, number, inside)) for number, arm in arms]
        elif isinstance(step, MapStep | Loop):
            count, _ = self._count(step, state.path)
            known = [] if skip.planned else self._iterations(step, state.path, count, inside)
            unlisted = [] if skip.planned else self._unlisted(state.path, count, known, inside)
            for scope_of_one in unlisted:
                self._keep_unlisted(
                    state.path, count, known, self.list_in(step.steps, scope_of_one)
                )
            lists = [(step.steps, iteration) for iteration in known]
        else:
            lists = [(children(step), inside)]
        inner = [self.list_in(steps, within).states for steps, within in lists]
        return [state, *chain.from_iterable(inner)]

    def _unless_not_taken(self, step: Conditional, number: int, scope: Scope) -> Scope:
        """Skip an arm that planning did not take, for that reason before any other."""
        if step.taken in {None, number}:
            return scope
        since = self._facts.created_at
        return replace(scope, skip=Skip(Reason.BRANCH_NOT_TAKEN, since, planned=True))

    # --- blocks -------------------------------------------------------------------------------

    def _block(
        self,
        step: Step,
        state: StepState,
        lists: Sequence[_Listed],
        scope: Scope,
        *,
        is_complete: bool,
    ) -> list[StepState]:
        """List a block whose steps are *lists*, which make its state."""
        direct = [child for listed in lists for child in listed.direct]
        is_checked = bool(direct) and is_checked_at_its_end(step)
        block = Block(
            state,
            direct,
            is_complete,
            is_checked,
            stops_at_failure=step.stops_at_failure,
            fails_at_its_end=step.fails_at_its_end,
        )
        derived = rules.derived(block, scope, self._facts)
        return [derived, *chain.from_iterable(listed.states for listed in lists)]

    def _lanes(
        self, step: Parallel | MapStep, lanes: Sequence[tuple[Sequence[Step], Scope]]
    ) -> list[_Listed]:
        """List what runs at the same time: a failure in one lane stops the others.

        A failure that no block around contains ends the run itself, and so needs no rule here.
        """
        lists = [self.list_in(steps, scope) for steps, scope in lanes]
        failed = [state for listed in lists for state in listed.direct if state.is_fatal]
        times = [state.last_transition_at for state in failed if state.last_transition_at]
        if not times or not step.stops_at_failure:
            return lists
        return [
            self.list_in(steps, replace(scope, stopped_at=min(times)))
            if scope.is_contained and scope.stopped_at is None
            else listed
            for (steps, scope), listed in zip(lanes, lists, strict=True)
        ]

    def _policy(self, step: PolicyGate, state: StepState, inside: Scope) -> list[StepState]:
        """List a policy gate and its branch, which runs when the policy does not hold."""
        if not step.branch:
            return [rules.step_state(state, inside, self._facts)]
        if state.path in self._facts.branching:
            reached = replace(inside, is_reached=True)
            branch = self.list_in(step.branch, reached)
            gate, *rest = self._block(step, state, [branch], reached, is_complete=True)
            if gate.status is StepStatus.SUCCEEDED:
                gate = replace(gate, reason=Reason.POLICY_FAILED)
            return [gate, *rest]
        gate = rules.step_state(state, inside, self._facts)
        if gate.status in {StepStatus.SUCCEEDED, StepStatus.FAILED}:
            inside = replace(inside, skip=Skip(Reason.BRANCH_NOT_TAKEN, gate.last_transition_at))
        return [gate, *self.list_in(step.branch, replace(inside, is_reached=False)).states]

    def _conditional(
        self, step: Conditional, state: StepState, inside: Scope, scope: Scope
    ) -> list[StepState]:
        taken, since = step.taken, self._facts.created_at
        if taken is None:
            taken = self._facts.number(state.path, DecisionKind.BRANCH)
            since = state.last_transition_at or since
        lists = []
        for number, arm in enumerate(step.arms):
            if taken is None:
                arm_scope = replace(inside, is_reached=False)
            elif number == taken:
                arm_scope = inside
            else:
                skipped = replace(inside, skip=Skip(Reason.BRANCH_NOT_TAKEN, since))
                arm_scope = self._unless_not_taken(step, number, skipped)
            listed = self.list_in(arm, arm_scope)
            # Only the arm that is taken makes the state of the block.
            lists.append(listed if number == taken else listed._replace(direct=[]))
        return self._block(step, state, lists, scope, is_complete=taken is not None)

    # --- maps and loops -----------------------------------------------------------------------

    def _iterated(
        self, step: Iterated, state: StepState, inside: Scope, scope: Scope
    ) -> list[StepState]:
        count, is_final = self._count(step, state.path)
        iterations = self._iterations(step, state.path, count, inside)
        unlisted = self._unlisted(state.path, count, iterations, inside)
        scopes = [*iterations, *unlisted]
        if isinstance(step, MapStep):
            lists = self._lanes(step, [(step.steps, iteration) for iteration in scopes])
        else:
            lists = self._one_after_another(step, scopes)
        if unlisted:
            self._keep_unlisted(state.path, count, iterations, lists.pop())
        return self._block(step, state, lists, scope, is_complete=is_final and len(lists) == count)

    def _count(self, step: Iterated, path: str) -> tuple[int | None, bool]:
        """The number of iterations that are known, and whether it is final."""
        ended_after = self._facts.number(path, DecisionKind.END)
        if isinstance(step, Loop) and step.until is not None:
            if ended_after is not None:
                return ended_after, True
            return max(self._facts.iterations.get(path, {-1})) + 1, False
        # After its last iteration, a loop that takes turns may still fail.
        is_open = isinstance(step, Loop) and step.takes_turns and ended_after is None
        if step.items.values is not None:
            return len(step.items.values), not is_open
        count = self._facts.number(path, DecisionKind.ITEMS)
        return count, count is not None and not is_open

    def _iterations(
        self, step: Iterated, path: str, count: int | None, inside: Scope
    ) -> list[Scope]:
        """The iterations to list: all that are known, or of too many those that have begun."""
        numbers: Iterable[int] = range(count or 0)
        if count is None or count * sum(1 for _ in walk(step.steps)) > MAX_LISTED_STEPS:
            numbers = sorted(self._facts.iterations.get(path, set()))
        return [
            replace(inside, prefix=step_path.iteration_prefix(path, number)) for number in numbers
        ]

    @staticmethod
    def _unlisted(
        path: str, count: int | None, listed: Sequence[Scope], inside: Scope
    ) -> list[Scope]:
        """One of the iterations that are not listed, for all of them; none if all are listed."""
        if count is None or len(listed) >= count:
            return []
        prefixes = {scope.prefix for scope in listed}
        possible = (step_path.iteration_prefix(path, number) for number in range(count))
        return [replace(inside, prefix=next(p for p in possible if p not in prefixes))]

    def _keep_unlisted(
        self, path: str, count: int | None, listed: Sequence[Scope], sample: _Listed
    ) -> None:
        steps = tuple(sample.direct)
        self.unlisted[path] = UnlistedIterations((count or 0) - len(listed), steps)

    def _one_after_another(self, step: Loop, iterations: Iterable[Scope]) -> list[_Listed]:
        """List a loop's iterations: one that fails is the last, unless the loop lets it pass."""
        lists: list[_Listed] = []
        is_reached, skip = True, None
        for iteration in iterations:
            scope = iteration if is_reached else replace(iteration, is_reached=False)
            if scope.skip is None and skip is not None:
                scope = replace(scope, skip=skip)
            listed = self.list_in(step.steps, scope)
            lists.append(listed)
            passed = all(map(rules.lets_next_start, listed.direct))
            is_reached = is_reached and (passed or not step.stops_at_failure)
            fatal = next((child for child in listed.direct if child.is_fatal), None)
            if fatal is not None and iteration.is_contained and step.stops_at_failure:
                skip = skip or Skip(Reason.PARENT_SKIPPED, fatal.last_transition_at)
        return lists


def _scope_inside(step: Step, state: StepState, scope: Scope) -> Scope:
    """The scope of the steps that *step* holds."""
    is_contained = scope.is_contained or step.continue_on_error or not step.stops_at_failure
    stopped_at = scope.stopped_at
    if state.status is StepStatus.FAILED and is_contained:
        stopped_at = stopped_at or state.last_transition_at
    return replace(
        scope,
        parent=state.path,
        is_contained=is_contained,
        stopped_at=stopped_at,
    )


def _scope_after(step: StepState, scope: Scope) -> Scope:
    """The scope of the steps after *step* in its list."""
    if step.is_fatal and scope.is_contained:
        scope = replace(scope, skip=Skip(Reason.PARENT_SKIPPED, step.last_transition_at))
    if scope.is_reached and not rules.lets_next_start(step):
        scope = replace(scope, is_reached=False)
    return scope
