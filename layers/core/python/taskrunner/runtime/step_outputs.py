"""The outputs of steps, as expressions read them.

A run step's outputs are its outcome's. A gate's are what was decided. They are read by the gate's
id alone and are in no block's outputs, because packs read those from before gates had outputs.
Those of a block are assembled from its children each time that they are read, so that a block costs
no write. Outputs that cannot be assembled fail their block where it ends, and not the step that
reads them.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count as count_from_0
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, assert_never

from taskrunner.expressions import ExpressionError
from taskrunner.model import step_path
from taskrunner.model.approval import Verdict
from taskrunner.model.flow import PolicyVerdict
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
from taskrunner.model.wording import kind_of
from taskrunner.runtime.recorded_outcomes import value_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from taskrunner.model.entries.gate_entries import DecisionRecorded
    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.run import StepOutcome
    from taskrunner.runtime.recorded_outcomes import RecordedOutcomes


# Each has at most 1,000 characters.
_MOST_FAILURES: Final = 50
_Listing: TypeAlias = Literal[
    Aggregation.COLLECT, Aggregation.FIRST, Aggregation.LAST, Aggregation.NONE
]


class StepOutputs:
    """The outputs of one run's steps; *evaluate* evaluates an expression in an iteration."""

    def __init__(self, outcomes: RecordedOutcomes, evaluate: Callable[[str, str], Json]) -> None:
        """Assemble outputs from *outcomes*, which must have been loaded for the steps."""
        self._outcomes = outcomes
        self._evaluate = evaluate

    def of(self, step: Step, prefix: str, *, with_statuses: bool = True) -> Json:
        """Return the outputs of *step*; None when it was not run or has none.

        Those of a map have the statuses of its items only *with_statuses*.
        """
        if isinstance(step, ApprovalGate):
            return _approval_outputs(
                self._outcomes.decisions(step, step_path.join(prefix, step.id))
            )
        if not self._was_run(step, prefix):
            return None
        match step:
            case RunStep():
                outcome = self._outcomes.loaded(step_path.join(prefix, step.id))
                return None if outcome is None else outcome.outputs
            case PolicyGate():
                return _policy_outputs(self._outcomes.loaded(step_path.join(prefix, step.id)))
            case Parallel():
                return self._by_child(children(step), prefix)
            case MapStep():
                return self._map_outputs(step, prefix, with_statuses=with_statuses)
            case Conditional() | Loop():
                with suppress(ExpressionError):
                    return self.assembled(step, prefix)
                return None  # it has failed
            case _:
                assert_never(step)

    def assembled(
        self,
        step: Conditional | MapStep | Loop,
        prefix: str,
        iterations: int | None = None,
    ) -> JsonObject:
        """Return the outputs of a block that has ended, a loop after so many *iterations*.

        Those of a map are without the statuses of its items.

        Raises:
            ExpressionError: the outputs of a map or loop cannot be evaluated, or values that are
                to be merged are not objects.
        """
        if isinstance(step, Conditional):
            by_child = self._by_child(children(step), prefix)
            named = {f"the outputs of {child}": value for child, value in by_child.items()}
            return _merged(named) if step.union else by_child
        count = self._count(step, prefix) if iterations is None else iterations
        results = self._results(step, count, prefix)
        if isinstance(step, MapStep):
            return {"results": results}
        if step.aggregation is not Aggregation.MERGE:
            return _aggregated(step.aggregation, results)
        # An iteration without outputs, or one that failed and was let pass, has nothing to merge.
        may_fail = step.continue_on_error or not step.stops_at_failure
        may_lack = step.output is None or may_fail
        return {
            "result": _merged(
                {
                    f"the value of iteration {number}": value
                    for number, value in enumerate(results)
                    if value is not None or not may_lack
                }
            )
        }

    def value(self, step: Iterated, path: str, number: int) -> Json:
        """Return the value of an iteration that has ended, by the outcomes of its steps.

        *path* is that of the map or loop.

        Raises:
            ExpressionError: the `outputs` of *step* cannot be evaluated in it.
        """
        iteration = step_path.iteration_prefix(path, number)
        if step.output is None:
            return self._in_block(step.steps[-1], iteration)
        try:
            return self._evaluate(step.output, iteration)
        except ExpressionError as error:
            raise ExpressionError(f"the outputs of iteration {number}: {error}") from error

    def _map_outputs(self, step: MapStep, prefix: str, *, with_statuses: bool) -> JsonObject:
        """Return the outputs of a map that was run.

        The results are null if one of them cannot be evaluated, by which the map has failed. The
        statuses depend on no expression, so they stay.
        """
        outputs: JsonObject = {"results": None}
        with suppress(ExpressionError):
            outputs = self.assembled(step, prefix)
        return outputs | {"statuses": self._statuses(step, prefix)} if with_statuses else outputs

    def _was_run(self, step: Step, prefix: str) -> bool:
        if step.enabled is False:
            return False
        if isinstance(step, RunStep | PolicyGate):
            return self._outcomes.loaded(step_path.join(prefix, step.id)) is not None
        if self._outcomes.has_any(step, prefix):
            return True
        # Nothing in it was run: the journal alone knows whether it was passed or skipped.
        return self._outcomes.status(step, prefix) is not StepStatus.SKIPPED

    def _by_child(self, steps: Iterable[Step], prefix: str) -> JsonObject:
        """The outputs of those of *steps* that were run, by id."""
        outputs = {step.id: self._in_block(step, prefix) for step in steps}
        return {step_id: value for step_id, value in outputs.items() if value is not None}

    def _in_block(self, step: Step, prefix: str) -> Json:
        """The outputs of *step* as a part of those of its block."""
        return None if isinstance(step, ApprovalGate | PolicyGate) else self.of(step, prefix)

    def _count(self, step: Iterated, prefix: str) -> int:
        return self._outcomes.iteration_count(step, step_path.join(prefix, step.id))

    def _results(self, step: Iterated, count: int, prefix: str) -> list[Json]:
        """The value of each of *count* iterations, in the order of the items.

        Raises:
            ExpressionError: the `outputs` of *step* cannot be evaluated in an iteration.
        """
        path = step_path.join(prefix, step.id)
        if isinstance(step, Loop) and step.keeps_values:
            return list(self._kept_values(path))
        return [self.value(step, path, number) for number in range(count)]

    def _kept_values(self, path: str) -> Iterator[Json]:
        """Yield the recorded value of each iteration that has ended."""
        for number in count_from_0():
            kept = self._outcomes.loaded(value_path(path, number))
            if kept is None:
                return
            yield kept.outputs

    def _statuses(self, step: MapStep, prefix: str) -> list[str]:
        """Return how each item of a map ended, in their order."""
        path = step_path.join(prefix, step.id)
        return [
            self._outcomes.item_status(step, path, number).value
            for number in range(self._count(step, prefix))
        ]


def _approval_outputs(decisions: Sequence[DecisionRecorded]) -> Json:
    """Return the outputs of an approval gate; None if it was skipped or is not decided."""
    if not decisions or not decisions[-1].is_final:
        return None
    last = decisions[-1]
    approved = [found for found in decisions if found.verdict is Verdict.APPROVED]
    outputs: JsonObject = {
        "decision": last.verdict.value,
        "approvals": [_who(decision) for decision in approved],
    }
    return outputs | {"rejection": _who(last)} if last.verdict is Verdict.REJECTED else outputs


def _who(decision: DecisionRecorded) -> JsonObject:
    return {
        "subject": decision.approver,
        "name": decision.approver_name,
        "actorId": decision.actor,
        "decidedAt": decision.recorded_at,
        "summary": decision.summary,
    }


def _policy_outputs(outcome: StepOutcome | None) -> Json:
    """Return the outputs of a policy gate; None if it was skipped."""
    if outcome is None or not outcome.final:
        return None
    texts: Sequence[str] = outcome.outputs["failures"][:_MOST_FAILURES]
    # An outcome of an earlier release has no ids.
    ids = outcome.outputs.get("failureIds") or [None] * len(texts)
    return {
        "passed": outcome.outputs["verdict"] == PolicyVerdict.PASSED.value,
        "failures": [
            {"id": rule_id, "message": text if rule_id is None else text[len(rule_id) + 2 :]}
            for rule_id, text in zip(ids, texts, strict=False)
        ],
    }


def _merged(values: Mapping[str, Json]) -> JsonObject:
    """One object of all *values*, each under what a message calls it; later keys win."""
    merged: JsonObject = {}
    for name, value in values.items():
        if not isinstance(value, dict):
            raise ExpressionError(f"{name} must be an object to be merged, not {kind_of(value)}")
        merged |= value
    return merged


def _aggregated(mode: _Listing, results: list[Json]) -> JsonObject:
    match mode:
        case Aggregation.COLLECT:
            return {"results": results}
        case Aggregation.FIRST:
            return {"result": results[0] if results else None}
        case Aggregation.LAST:
            return {"result": results[-1] if results else None}
        case Aggregation.NONE:
            return {}
        case _:
            assert_never(mode)
