"""The names that expressions read while a run is in progress, with their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner import expressions
from taskrunner.model import step_path
from taskrunner.model.plan import PREVIOUS, Iterated, Loop, MapStep
from taskrunner.runtime.recorded_outcomes import RecordedOutcomes, items_path, value_path
from taskrunner.runtime.step_outputs import StepOutputs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from taskrunner.expressions import Reference
    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import Conditional, Plan
    from taskrunner.model.run import Run, StepOutcome
    from taskrunner.model.step_path import Iteration
    from taskrunner.ports import RunSnapshot, World


class RunValues:
    """The values of one run so far, read once and only as far as expressions need them."""

    def __init__(self, plan: Plan, snapshot: RunSnapshot, world: World) -> None:
        """Read nothing yet."""
        self._plan = plan
        self._run = snapshot.run
        self._outcomes = RecordedOutcomes(plan, snapshot, world)
        self._outputs = StepOutputs(self._outcomes, self._evaluate)

    def load(self, references: Iterable[Reference], iteration: str = "", *paths: str) -> None:
        """Read all that *references* need, and the outcomes at *paths*, in one call."""
        names = list(references)
        steps = [
            (self._plan.step(step_id), self._prefix(step_id, iteration))
            for step_id in _step_ids(names)
        ]
        roots = {reference[0] for reference in names}
        items = self._unplanned_items(roots, iteration)
        value = self._previous_path(roots, iteration)
        self._outcomes.load(steps, [*paths, *items, *filter(None, [value])])

    def context(
        self, references: Iterable[Reference], iteration: str = "", *, now: str | None = None
    ) -> JsonObject:
        """Return the names that *references* read, as seen from *iteration*; *now* is `run.now`."""
        names = list(references)
        self.load(names, iteration)
        run, roots = self._run, {reference[0] for reference in names}
        return {
            "inputs": self._plan.inputs,
            "run": {
                "id": run.run_id,
                "tenant": run.tenant,
                "createdAt": run.created_at,
                "createdBy": run.created_by,
                "now": now,
                **_steps_end(run),
            },
            "steps": {
                step_id: self._step(step_id, iteration, names) for step_id in _step_ids(names)
            },
            **self._previous(roots, iteration),
            **dict(self._iterators(roots, iteration)),
        }

    def check_outputs(
        self, step: Conditional | MapStep | Loop, prefix: str, iterations: int | None = None
    ) -> None:
        """Assemble the outputs of a block that has ended, a loop after so many *iterations*.

        Raises:
            ExpressionError: they cannot be, so the block fails.
        """
        self._outcomes.load([(step, prefix)])
        self._outputs.assembled(step, prefix, iterations)

    def failures_in(self, path: str) -> list[str]:
        """Return the paths of the steps directly in the block at *path* that failed and may not."""
        return self._outcomes.failures_in(path)

    def has_failed(self, path: str) -> bool:
        """Return whether the journal says that the block at *path* has failed."""
        return self._outcomes.has_failed(path)

    def iteration_value(self, loop: Loop, path: str, number: int) -> Json:
        """Return the value of an iteration that has ended of *loop*, whose path is *path*.

        Raises:
            ExpressionError: its `outputs` cannot be evaluated in it.
        """
        if loop.output is None:
            self._outcomes.load([(loop.steps[-1], step_path.iteration_prefix(path, number))])
        return self._outputs.value(loop, path, number)

    def outcome(self, path: str) -> StepOutcome | None:
        """Return how the step at *path* ended; it is read now unless it was loaded."""
        return self._outcomes.find(path)

    def _evaluate(self, text: str, iteration: str) -> Json:
        expression = expressions.parse(text)
        return expression.evaluate(self.context(expression.references, iteration))

    def _step(self, step_id: str, iteration: str, names: Iterable[Reference]) -> JsonObject:
        """Return what *names* read of a step, without statuses that none reads: they cost reads."""
        step, prefix = self._plan.step(step_id), self._prefix(step_id, iteration)
        read = {reference[2:4] for reference in names if reference[:2] == ("steps", step_id)}
        with_statuses = not read.isdisjoint({("outputs",), ("outputs", "statuses")})
        view: JsonObject = {"outputs": self._outputs.of(step, prefix, with_statuses=with_statuses)}
        fields = {name for names_below in read for name in names_below[:1]}
        if "status" in fields:
            view["status"] = self._outcomes.status(step, prefix).value
        if "statusReason" in fields:
            view["statusReason"] = self._outcomes.reason(step, prefix)
        if "error" in fields:
            view["error"] = self._outcomes.error(step, prefix)
        return view

    def _prefix(self, step_id: str, iteration: str) -> str:
        """The prefix of a step's path: those of the reader's iterations that the step is in too."""
        depth = len(self._plan.iterations(step_id))
        shared = step_path.iterations(iteration)[:depth]
        return shared[-1].prefix if shared else ""

    def _around(self, iteration: str) -> Iterator[tuple[Iterated, Iteration]]:
        """The maps and loops around the reader, and in which iteration of each it is."""
        for enclosing in step_path.iterations(iteration):
            step = self._plan.step(enclosing.block_id)
            assert isinstance(step, MapStep | Loop)  # noqa: S101 - only these have iterations
            yield step, enclosing

    def _previous(self, names: Collection[str], iteration: str) -> JsonObject:
        """The value of the iteration before, if *names* use it; null in the first one."""
        if PREVIOUS not in names:
            return {}
        path = self._previous_path(names, iteration)
        kept = None if path is None else self._outcomes.find(path)
        return {PREVIOUS: None if kept is None else kept.outputs}

    def _previous_path(self, names: Collection[str], iteration: str) -> str | None:
        """The path that keeps the value of the iteration before; None if *names* use none.

        That is an iteration of the innermost loop around the reader.
        """
        around = list(self._around(iteration)) if PREVIOUS in names else []
        for step, (path, number) in reversed(around):
            if isinstance(step, Loop):
                return value_path(path, number - 1) if step.keeps_values and number else None
        return None

    def _unplanned_items(self, names: Collection[str], iteration: str) -> Sequence[str]:
        """The paths of the recorded item lists that *names* use."""
        return [
            items_path(enclosing.block)
            for step, enclosing in self._around(iteration)
            if step.iterator in names and step.items.values is None
        ]

    def _iterators(self, names: Collection[str], iteration: str) -> Iterator[tuple[str, Json]]:
        """The indexes, and the items that *names* use.

        Other item lists are not read, because each may be long and is read as a whole.
        """
        for step, (path, index) in self._around(iteration):
            if step.iterator in names:
                items = self._outcomes.items(step, path)
                yield step.iterator, items[index] if index < len(items) else None
            yield step.index, index


def reads_now(references: Iterable[Reference]) -> bool:
    """Return whether one of *references* is `run.now`."""
    return any(reference[:2] == ("run", "now") for reference in references)


def _steps_end(run: Run) -> JsonObject:
    """Return how the steps before `finally` ended, as it reads it."""
    end = run.steps_end
    if end is None:
        return {}
    return {
        "outcome": end.outcome.value,
        "failedStep": end.failed_step,
        "failureReason": end.reason,
    }


def _step_ids(references: Iterable[Reference]) -> list[str]:
    """The ids of the steps that *references* read, each once."""
    return list(
        dict.fromkeys(
            reference[1]
            for reference in references
            if reference[0] == "steps" and len(reference) > 1
        )
    )
