"""The facts that a journal states, by the paths of the run's steps."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from taskrunner.model import step_path
from taskrunner.model.entries.flow_entries import DecisionKind, FlowDecided, PolicyEvaluated
from taskrunner.model.entries.reading import AboutTheRun, read
from taskrunner.model.entries.run_entries import RunEnded, RunStarted, StepsEnded, StepsFailed
from taskrunner.model.entries.step_entries import AttemptDeferred, StepCompleted, StepFailed
from taskrunner.model.flow import PolicyVerdict
from taskrunner.model.job import pool_of
from taskrunner.model.machine_call import has_job
from taskrunner.model.plan import (
    Loop,
    MapStep,
    Parallel,
    RunStep,
    Step,
    StepKind,
    children,
    walk,
)
from taskrunner.model.run import Reason, RunStatus, StepState, StepStatus
from taskrunner.model.state import transitions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.entries.reading import AboutAStep, Fact
    from taskrunner.model.journal import Entry
    from taskrunner.model.plan import Plan
    from taskrunner.model.step_path import Iteration


class Facts:
    """All that the journal of a run has stated so far.

    *steps* has every step that has entries of its own, *decisions* the numbers that the run has
    decided, *branching* the policy gates whose branch runs, and *iterations* which iterations of a
    map or loop have entries. All are by step path.

    *outcome* and *ended_at* are those of the run. *cancelled_at* is set when it was cancelled. In
    the facts that `of_steps` returns, they are those of the steps before `finally`.
    """

    def __init__(self, plan: Plan, created_at: str) -> None:
        """Begin with an empty journal."""
        self.plan = plan
        self.created_at = created_at
        self.outcome: RunStatus | None = None
        self.started_at: str | None = None
        self.ended_at: str | None = None
        self.cancelled_at: str | None = None
        self.steps_ended = False
        self._steps_outcome: RunStatus | None = None
        self._steps_ended_at: str | None = None
        self.updated_at = created_at
        self.steps: dict[str, StepState] = {}
        self.decisions: dict[tuple[str, DecisionKind], int] = {}
        self.branching: set[str] = set()
        self.iterations: dict[str, set[int]] = {}
        self._templates = {step.id: step for step in plan.all_steps()}
        self._enclosing = dict(_enclosing_iterated((*plan.steps, *plan.final_steps), ()))
        self._final = frozenset(step.id for step in walk(plan.final_steps))
        self._concurrent = _concurrent(plan)

    def add(self, entry: Entry) -> None:
        """Take in the next entry."""
        fact = read(entry)
        outcome = self._outcome_around(entry.step_path)
        if outcome is not None and not self._may_finish(entry.step_path, fact, outcome):
            return
        if isinstance(fact, AboutTheRun):
            self._add_of_run(fact)
        elif entry.step_path is not None:
            self._add_of_step(entry.step_path, fact, entry.occurred_at)

    def of_steps(self) -> Facts:
        """Return the facts as the steps before `finally` see them: they may have ended before."""
        if self._steps_outcome is None:
            return self
        facts = copy(self)
        facts.outcome, facts.ended_at = self._steps_outcome, self._steps_ended_at
        return facts

    def number(self, path: str, kind: DecisionKind) -> int | None:
        """The number that was decided for a step, if it was."""
        return self.decisions.get((path, kind))

    def leaves_running(self, step: StepState) -> bool:
        """Return whether the end of the run lets *step* finish, and its result is recorded.

        A failure of the run leaves the steps beside it running. A failure that stopped only a block
        does so too, and the run may have succeeded before they finish. A cancellation does not.
        """
        return self.cancelled_at is None and self._leaves_running(step, self.outcome)

    def _leaves_running(self, step: StepState, outcome: RunStatus | None) -> bool:
        if step.status is not StepStatus.RUNNING or step.template_id not in self._concurrent:
            return False
        if outcome is RunStatus.SUCCEEDED:
            return step.kind is StepKind.RUN
        return outcome is RunStatus.FAILED

    def _outcome_around(self, path: str | None) -> RunStatus | None:
        """The outcome of the run, or of the steps before `finally` if the step at *path* is one."""
        if self.outcome is not None or path is None or self._steps_outcome is None:
            return self.outcome
        try:
            is_final = step_path.parse(path).step_id in self._final
        except ValueError:
            return self.outcome
        return None if is_final else self._steps_outcome

    def _may_finish(self, path: str | None, fact: Fact, outcome: RunStatus) -> bool:
        step = self.steps.get(path or "")
        if step is None or not _ends_an_attempt(fact):
            return False
        return self._leaves_running(step, outcome)

    def _add_of_run(self, fact: AboutTheRun) -> None:
        if isinstance(fact, RunEnded):
            self.outcome = fact.status
            self.ended_at = self.updated_at = fact.ended_at
            if fact.status is RunStatus.CANCELLED:
                self.cancelled_at = fact.ended_at
        elif isinstance(fact, RunStarted):
            self._add_activity(fact.started_at)
        elif isinstance(fact, StepsFailed):
            self._end_steps(RunStatus.FAILED, fact.failed_at)
        elif isinstance(fact, StepsEnded):
            self.steps_ended = True
            self._end_steps(fact.status, fact.ended_at)

    def _end_steps(self, outcome: RunStatus, ended_at: str) -> None:
        if self._steps_outcome is None:
            self._steps_outcome, self._steps_ended_at = outcome, ended_at
        self._add_activity(ended_at)

    def _add_activity(self, occurred_at: str) -> None:
        self.started_at = self.started_at or occurred_at
        self.updated_at = occurred_at

    def _add_of_step(self, path: str, fact: AboutAStep, occurred_at: str) -> None:
        try:
            iterations, step_id = step_path.parse(path)
        except ValueError:
            return
        template = self._template(iterations, step_id)
        if template is None or template.enabled is False:
            return  # planning decided that the step is not run, and nothing else counts
        step = self.steps.get(path) or initial(template, path)
        if step.has_ended:
            return
        changed = transitions.after(step, fact, occurred_at)
        if changed is None:
            return
        self.steps[path] = changed
        self._add_decision(path, fact)
        for iteration in iterations:
            self.iterations.setdefault(iteration.block, set()).add(iteration.number)
        self._add_activity(occurred_at)

    def _add_decision(self, path: str, fact: AboutAStep) -> None:
        match fact:
            case FlowDecided(kind, number) if kind is not None and number is not None:
                self.decisions[path, kind] = number
            case StepFailed(iterations=int(iterations)):
                self.decisions[path, DecisionKind.END] = iterations
            case PolicyEvaluated(verdict=PolicyVerdict.BRANCH):
                self.branching.add(path)
            case _:
                pass

    def _template(self, iterations: Iterable[Iteration], step_id: str) -> Step | None:
        """The step of the plan, if the iterations are those of the blocks around it."""
        blocks = tuple(iteration.block_id for iteration in iterations)
        return self._templates.get(step_id) if self._enclosing.get(step_id) == blocks else None


def initial(template: Step, path: str) -> StepState:
    """Return the state of a step that has no entries."""
    return StepState(
        path=path,
        template_id=template.id,
        parent_path=None,
        kind=template.kind,
        enabled=template.enabled is not False,
        continue_on_error=template.continue_on_error,
        reason=Reason.CONDITION_AT_RUNTIME if template.enabled is None else None,
        pool=pool_of(template.uses) if isinstance(template, RunStep) else None,
        has_job=isinstance(template, RunStep) and has_job(template.uses),
    )


def _ends_an_attempt(fact: Fact) -> bool:
    if isinstance(fact, PolicyEvaluated):
        return fact.verdict not in {PolicyVerdict.OVERRIDE, PolicyVerdict.BRANCH}
    return isinstance(fact, AttemptDeferred | StepCompleted | StepFailed)


def _enclosing_iterated(
    steps: Iterable[Step], enclosing: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The id of each step, and those of the maps and loops around it, the outermost first."""
    for step in steps:
        yield step.id, enclosing
        inside = (*enclosing, step.id) if isinstance(step, MapStep | Loop) else enclosing
        yield from _enclosing_iterated(children(step), inside)


def _concurrent(plan: Plan) -> frozenset[str]:
    """The ids of the steps that may run when a failure elsewhere ends them.

    That is a failure beside them. It may also be the end of their execution, if `finally` follows.
    """
    blocks = (step for step in plan.all_steps() if isinstance(step, Parallel | MapStep))
    beside = {inner.id for block in blocks for inner in walk(children(block))}
    return frozenset(beside.union(step.id for step in walk(plan.steps) if plan.final_steps))
