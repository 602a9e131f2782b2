"""The steps of a plan: every kind of step as planning knows it, with what inputs decide decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from taskrunner import executors, expressions
from taskrunner.compiler.manifest import fields as bounds
from taskrunner.compiler.manifest.step_shapes import (
    ApprovalGateShape,
    ConditionalShape,
    LoopShape,
    MapShape,
    ParallelShape,
    PolicyGateShape,
    RunShape,
    body_path,
)
from taskrunner.compiler.planning.items import ItemPlanner
from taskrunner.executors import arguments
from taskrunner.expressions import templates
from taskrunner.model import json_path
from taskrunner.model.job import pool_of
from taskrunner.model.plan import (
    DEFAULT_TIMEOUT_S,
    DEFAULT_WORKER_TIMEOUT_S,
    MAX_ITERATIONS,
    Aggregation,
    ApprovalGate,
    Branch,
    Conditional,
    FailureAction,
    Lane,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
)
from taskrunner.model.retries import REASONS, RETRIED_BY_DEFAULT, Jitter, Retries

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from taskrunner.compiler.manifest.step_shapes import (
        BranchShape,
        PolicyRetriesShape,
        RetriesShape,
        StepShape,
    )
    from taskrunner.compiler.planning.evaluator import InputEvaluator
    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import Json
    from taskrunner.model.plan import FailurePolicy, LimitFields, Step, StepFields, Template


class StepPlanner:
    """Plans the steps of one pack.

    *messages* has the message of each declared approval, by id, and *value_keepers* are the ids of
    the loops of which an iteration reads the value of the one before.
    """

    def __init__(
        self,
        failure: FailurePolicy,
        messages: Mapping[str, str | None],
        value_keepers: Collection[str],
        evaluator: InputEvaluator,
    ) -> None:
        self._failure = failure
        self._messages = messages
        self._value_keepers = value_keepers
        self._evaluator = evaluator
        self._items = ItemPlanner(evaluator)

    def steps(self, steps: Sequence[StepShape], path: JsonPath) -> tuple[Step, ...]:
        """Plan the list of steps at *path*."""
        return tuple(self._step(step, (*path, index)) for index, step in enumerate(steps))

    def _step(self, step: StepShape, path: JsonPath) -> Step:
        continues = step.continue_on_error
        enabled = step.when is None or self._evaluator.truth(step.when, (*path, "when"))
        fields: StepFields = {
            "id": step.id,
            "name": step.name,
            "when": _text(step.when),
            "enabled": enabled,
            "continue_on_error": (
                self._failure.continue_on_error if continues is None else continues
            ),
        }
        may_run = enabled is not False and not self._evaluator.is_unsure(step.when)
        with self._evaluator.inside(may_run=may_run):
            return self._of_kind(step, body_path(step, path), fields)

    def _of_kind(self, step: StepShape, path: JsonPath, fields: StepFields) -> Step:
        match body := step.body:
            case RunShape():
                return self._run(step, body, path, fields)
            case ApprovalGateShape():
                message = body.message or self._messages[body.id]
                return ApprovalGate(**fields, approval_id=body.id, message=message)
            case PolicyGateShape():
                return self._policy_gate(body, path, fields)
            case ParallelShape():
                return Parallel(
                    **fields,
                    lanes=self._lanes(body, path),
                    **self._max_parallel(body.max_parallel, path),
                )
            case MapShape():
                return self._map(body, path, fields)
            case LoopShape():
                return self._loop(body, path, fields)
            case ConditionalShape():
                return self._conditional(body, path, fields)
            case _:
                assert_never(body)

    def _run(self, step: StepShape, run: RunShape, path: JsonPath, fields: StepFields) -> RunStep:
        return RunStep(
            **fields,
            retries=self._retries(step.retries, (*path[:-1], "retries")),
            timeout_s=self._timeout_s(step, run.uses, (*path[:-1], "timeoutSeconds")),
            uses=run.uses,
            parameters=self._parameters(run, (*path, "with")),
        )

    def _retries(self, shape: RetriesShape | None, path: JsonPath) -> Retries:
        return self._failure.retries if shape is None else retries(shape, self._evaluator, path)

    def _timeout_s(self, step: StepShape, uses: str, path: JsonPath) -> int:
        is_on_worker = pool_of(uses) is not None
        if step.timeout_seconds is None:
            return DEFAULT_WORKER_TIMEOUT_S if is_on_worker else DEFAULT_TIMEOUT_S
        bound = bounds.TIMEOUT_SECONDS if is_on_worker else bounds.FUNCTION_TIMEOUT_SECONDS
        return self._evaluator.bounded(step.timeout_seconds, bound, path)

    def _max_parallel(self, written: int | str | None, path: JsonPath) -> LimitFields:
        number = None
        if written is not None:
            place = (*path, "maxParallel")
            number = self._evaluator.bounded(written, bounds.MAX_PARALLEL, place)
        return {
            "max_parallel": number,
            "max_parallel_from_inputs": isinstance(written, str),
        }

    def _parameters(self, run: RunShape, path: JsonPath) -> Template:
        before = len(self._evaluator.findings)
        parameters = self._evaluator.resolve(run.parameters, path)
        if not self._evaluator.may_run or len(self._evaluator.findings) > before:
            return parameters
        if not self._is_object(run.parameters, parameters, path):
            return parameters
        executor = executors.find(run.uses)
        assert executor is not None  # noqa: S101 - the check stage found it
        subpaths = [subpath for subpath, _ in templates.texts(run.parameters)]
        still_open = [path for path in subpaths if json_path.pointer(path) in parameters.open]
        for subpath, message in arguments.misfits(executor, parameters.value, still_open):
            self._evaluator.add_problem((*path, *subpath), message)
        return parameters

    def _is_object(self, written: Json, parameters: Template, path: JsonPath) -> bool:
        """Return whether *parameters* are an object, or open as a whole; report what they are."""
        if not isinstance(written, str) or "" in parameters.open:
            return True
        if not isinstance(parameters.value, dict):
            self._evaluator.add_problem(path, templates.no_object(written, parameters.value))
        return isinstance(parameters.value, dict)

    def _policy_gate(
        self, shape: PolicyGateShape, path: JsonPath, fields: StepFields
    ) -> PolicyGate:
        before = len(self._evaluator.findings)
        parameters = self._evaluator.resolve(shape.parameters, (*path, "with"))
        if len(self._evaluator.findings) == before:
            self._is_object(shape.parameters, parameters, (*path, "with"))
        return PolicyGate(
            **fields,
            policy_id=shape.policy_id,
            parameters=parameters,
            failure_action=FailureAction(shape.failure_action),
            retries=self._policy_retries(shape.retries, (*path, "retries")),
            override=None if shape.override is None else shape.override.approval,
            branch=self.steps(shape.branch or (), (*path, "branch")),
        )

    def _policy_retries(self, shape: PolicyRetriesShape, path: JsonPath) -> Retries:
        number = self._evaluator.bounded
        count = number(shape.count, bounds.EVALUATIONS_AGAIN, (*path, "count"))
        pause = (shape.backoff_seconds, bounds.BACKOFF_SECONDS, (*path, "backoffSeconds"))
        return Retries(count + 1, number(*pause))

    def _lanes(self, shape: ParallelShape, path: JsonPath) -> tuple[Lane, ...]:
        single = self.steps(shape.steps or (), (*path, "steps"))
        return (
            *(Lane(steps=(step,)) for step in single),
            *(
                Lane(
                    steps=self.steps(lane.steps, (*path, "branches", number, "steps")),
                    branch=lane.name or str(number),
                )
                for number, lane in enumerate(shape.branches or ())
            ),
        )

    def _map(self, shape: MapShape, path: JsonPath, fields: StepFields) -> MapStep:
        items = self._items.items(shape.items, MAX_ITERATIONS, (*path, "items"))
        template: tuple[Step, ...]
        if shape.step is not None:
            template = (self._step(shape.step, (*path, "step")),)
        else:
            template = self.steps(shape.steps or (), (*path, "steps"))
        return MapStep(
            **fields,
            items=items,
            iterator=shape.iterator,
            index=shape.index,
            steps=template,
            **self._max_parallel(shape.max_parallel, path),
            output=_text(shape.outputs),
            fail_fast=_fail_fast(shape, fields),
        )

    def _loop(self, shape: LoopShape, path: JsonPath, fields: StepFields) -> Loop:
        most = self._evaluator.bounded(
            shape.max_iterations, bounds.ITERATIONS, (*path, "maxIterations")
        )
        return Loop(
            **fields,
            items=self._items.items(shape.items, most, (*path, "items")),
            iterator=shape.iterator,
            index=shape.index,
            steps=self.steps(shape.body, (*path, "body")),
            max_iterations=most,
            until=_text(shape.until),
            aggregation=Aggregation(shape.aggregation),
            output=_text(shape.outputs),
            fail_fast=_fail_fast(shape, fields),
            keeps_values=fields["id"] in self._value_keepers,
        )

    def _conditional(
        self, shape: ConditionalShape, path: JsonPath, fields: StepFields
    ) -> Conditional:
        taken = self._taken(shape.branches, path)
        is_sure = not self._evaluator.is_unsure(*(branch.condition for branch in shape.branches))
        branches = []
        for index, branch in enumerate(shape.branches):
            with self._evaluator.inside(may_run=is_sure and taken in {None, index}):
                steps = self.steps(branch.steps, (*path, "branches", index, "steps"))
            condition = expressions.parse(branch.condition).text
            branches.append(Branch(condition=condition, steps=steps))
        with self._evaluator.inside(may_run=is_sure and taken in {None, len(branches)}):
            otherwise = self.steps(shape.otherwise, (*path, "else"))
        return Conditional(
            **fields,
            branches=tuple(branches),
            otherwise=otherwise,
            taken=taken,
            union=shape.output_union,
        )

    def _taken(self, branches: Sequence[BranchShape], path: JsonPath) -> int | None:
        """Return the number of the branch that inputs decide for; None if planning does not know.

        The number of branches stands for `else`.
        """
        conditions = [expressions.parse(branch.condition) for branch in branches]
        if not all(self._evaluator.decides(condition) for condition in conditions):
            return None
        for index, condition in enumerate(conditions):
            condition_path = (*path, "branches", index, "condition")
            if expressions.truth(self._evaluator.evaluate(condition, condition_path)):
                return index
        return len(branches)


def retries(shape: RetriesShape, evaluator: InputEvaluator, path: JsonPath) -> Retries:
    """Return the retries that *shape* at *path* asks for."""
    number, most_s = evaluator.bounded, shape.max_backoff_seconds
    if most_s is not None:
        most_s = number(most_s, bounds.MAX_BACKOFF_SECONDS, (*path, "maxBackoffSeconds"))
    # In one order, and absent where it is the default, so that plans of one meaning are alike.
    on = tuple(reason for reason in REASONS if reason in (shape.on or ()))
    return Retries(
        max_attempts=number(shape.max_attempts, bounds.ATTEMPTS, (*path, "maxAttempts")),
        backoff_s=number(shape.backoff_seconds, bounds.BACKOFF_SECONDS, (*path, "backoffSeconds")),
        backoff_rate=number(shape.backoff_rate, bounds.BACKOFF_RATE, (*path, "backoffRate")),
        max_backoff_s=most_s,
        jitter=Jitter(shape.jitter),
        on=() if set(on) == RETRIED_BY_DEFAULT else on,
    )


def _fail_fast(shape: MapShape | LoopShape, fields: StepFields) -> bool | None:
    """Return `failFast` where it is not its default, so that plans of one meaning are alike."""
    is_default = shape.fail_fast is (not fields["continue_on_error"])
    return None if is_default else shape.fail_fast


def _text(expression: str | None) -> str | None:
    """Return an expression as a plan holds it: without the braces that may be around it."""
    return None if expression is None else expressions.parse(expression).text
