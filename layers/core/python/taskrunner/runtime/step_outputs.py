"""The outputs of steps, as expressions read them.

A run step's outputs are its outcome's. Those of a block are assembled from its children each time
that they are read, so that a block costs no write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from taskrunner.model import step_path
from taskrunner.model.plan import (
    Aggregation,
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
)
from taskrunner.model.run import StepStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.runtime.recorded_outcomes import RecordedOutcomes


class StepOutputs:
    """The outputs of one run's steps; *evaluate* evaluates an expression in an iteration."""

    def __init__(self, outcomes: RecordedOutcomes, evaluate: Callable[[str, str], Json]) -> None:
        """Assemble outputs from *outcomes*, which must have been loaded for the steps."""
        self._outcomes = outcomes
        self._evaluate = evaluate

    def of(self, step: Step, prefix: str) -> Json:
        """Return the outputs of *step*; None when it was not run or has none."""
        if not self._was_run(step, prefix):
            return None
        match step:
            case RunStep():
                outcome = self._outcomes.loaded(step_path.join(prefix, step.id))
                return None if outcome is None else outcome.outputs
            case ApprovalGate() | PolicyGate():
                return None
            case Parallel():
                return self._by_child(step.steps, prefix)
            case Conditional():
                by_child = self._by_child(children(step), prefix)
                return _merged(by_child.values()) if step.union else by_child
            case MapStep():
                return {"results": self._results(step, prefix)}
            case Loop():
                return _aggregated(step.aggregation, self._results(step, prefix))
            case _:
                assert_never(step)

    def _was_run(self, step: Step, prefix: str) -> bool:
        if step.enabled is False:
            return False
        if isinstance(step, RunStep | ApprovalGate | PolicyGate):
            return self._outcomes.loaded(step_path.join(prefix, step.id)) is not None
        if self._outcomes.has_any(step, prefix):
            return True
        # Nothing in it was run: the journal alone knows whether it was passed or skipped.
        return self._outcomes.status(step, prefix) is not StepStatus.SKIPPED

    def _by_child(self, steps: Iterable[Step], prefix: str) -> JsonObject:
        """The outputs of those of *steps* that were run, by id."""
        outputs = {step.id: self.of(step, prefix) for step in steps}
        return {step_id: value for step_id, value in outputs.items() if value is not None}

    def _results(self, step: Iterated, prefix: str) -> list[Json]:
        """The value of each iteration, in the order of the items."""
        path = step_path.join(prefix, step.id)
        return [
            self._result(step, step_path.iteration_prefix(path, index))
            for index in range(self._outcomes.iteration_count(step, path))
        ]

    def _result(self, step: Iterated, iteration: str) -> Json:
        if isinstance(step, Loop) and step.output is not None:
            return self._evaluate(step.output, iteration)
        return self.of(step.steps[-1], iteration)


def _merged(values: Iterable[Json]) -> JsonObject:
    """One object of all objects among *values*; later keys win."""
    merged: JsonObject = {}
    for value in values:
        merged |= value if isinstance(value, dict) else {}
    return merged


def _aggregated(mode: Aggregation, results: list[Json]) -> JsonObject:
    match mode:
        case Aggregation.COLLECT:
            return {"results": results}
        case Aggregation.MERGE:
            return {"result": _merged(results)}
        case Aggregation.FIRST:
            return {"result": results[0] if results else None}
        case Aggregation.LAST:
            return {"result": results[-1] if results else None}
        case Aggregation.NONE:
            return {}
        case _:
            assert_never(mode)
