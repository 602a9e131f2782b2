"""The evaluation of expressions and templates that inputs alone decide, while a run is planned."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from taskrunner import expressions
from taskrunner.compiler.manifest.shape_messages import number_misfit
from taskrunner.compiler.problems import Findings
from taskrunner.expressions import Allowance, ExpressionError, templates
from taskrunner.expressions.allowance import MAX_PLAN_SIZE, MAX_PLAN_STEPS
from taskrunner.model.json_types import normal
from taskrunner.model.plan import Template

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from taskrunner.compiler.manifest.fields import NumberField
    from taskrunner.expressions import Expression
    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import Json, JsonObject

_N = TypeVar("_N", int, float)


class InputEvaluator:
    """Evaluates expressions over the *inputs* of one run, all of them within one allowance.

    *findings* has what fails on these inputs. Nothing is reported about a step that is certainly
    skipped: it need not fit them. With None for the inputs whatever reads them stays open, and
    nothing is reported: what is planned is what all runs of the pack have in common.

    *unfit* are the names of inputs whose values have mistakes. An expression that reads one stays
    open too, and nothing is reported about a step that it may skip.
    """

    def __init__(self, inputs: JsonObject | None, unfit: Collection[str] = ()) -> None:
        self._inputs = inputs
        self._unfit = unfit
        self._allowance = Allowance(MAX_PLAN_STEPS, MAX_PLAN_SIZE)
        self._may_run = inputs is not None
        self.findings = Findings()

    @property
    def may_run(self) -> bool:
        """Whether the step that is planned may run with these inputs."""
        return self._may_run

    @property
    def knows_inputs(self) -> bool:
        """Whether there are inputs, so that planning decides what reads them."""
        return self._inputs is not None

    @contextmanager
    def inside(self, *, may_run: bool) -> Iterator[None]:
        """Plan the steps of a block: they may run only if *may_run*, and if the block may run."""
        before = self._may_run
        self._may_run = before and may_run
        yield
        self._may_run = before

    def add_problem(self, path: JsonPath, message: str) -> None:
        """Report a problem, unless it is in a step that is certainly skipped."""
        if self._may_run and not self.findings.is_full:
            self.findings.add(path, message)

    def decides(self, expression: Expression) -> bool:
        """Return whether planning knows the value of an expression."""
        if self._inputs is None:
            return not expression.references
        return expression.reads_inputs_alone and not self._reads_unfit(expression)

    def is_unsure(self, *conditions: str | None) -> bool:
        """Return whether one of *conditions* reads an input whose value has a mistake."""
        texts = [text for text in conditions if text is not None] if self._unfit else []
        return any(self._reads_unfit(expressions.parse(text)) for text in texts)

    def _reads_unfit(self, expression: Expression) -> bool:
        return bool(self._unfit) and any(
            reference == ("inputs",) or (reference[0] == "inputs" and reference[1] in self._unfit)
            for reference in expression.references
        )

    def truth(self, text: str, path: JsonPath) -> bool | None:
        """Return whether a condition is true; None when planning does not know."""
        expression = expressions.parse(text)
        if not self.decides(expression):
            return None
        return expressions.truth(self.evaluate(expression, path))

    def evaluate(self, expression: Expression, path: JsonPath) -> Json:
        """Return the value of an expression that planning decides; None when it fails."""
        try:
            return expression.evaluate({"inputs": self._inputs}, self._allowance)
        except ExpressionError as error:
            self.add_problem(path, str(error))
            return None

    def number(self, written: _N | str, field: NumberField[_N], path: JsonPath) -> _N | None:
        """Return a number that is written, or that an expression gives.

        None stands for one that planning does not know, or that does not fit its field.
        """
        if not isinstance(written, str):
            return written
        expression = expressions.parse(written)
        if not self.decides(expression):
            return None
        before = len(self.findings)
        value: Json = normal(self.evaluate(expression, path))
        problem = number_misfit(field, value, path)
        if problem is None:
            number: _N = value
            return number
        if len(self.findings) == before:
            self.add_problem(path, problem)
        return None

    def bounded(self, written: _N | str, field: NumberField[_N], path: JsonPath) -> _N:
        """Return a number as `number` does, and the greatest where that returns None.

        In a step that is certainly skipped it is the least, so that the step takes no room.
        """
        value = self.number(written, field, path)
        if value is not None:
            return value
        is_skipped = self.knows_inputs and not self._may_run
        bound = field.least if is_skipped else field.most
        assert bound is not None  # noqa: S101 - the caller chose a field with bounds
        return bound

    def resolve(self, value: Json, path: JsonPath) -> Template:
        """Resolve the templates in *value* that read inputs alone."""
        if self._inputs is None:
            return Template(value)
        try:
            resolved = templates.resolve(value, self._inputs, self._allowance, self.decides)
            return Template(normal(resolved.value), resolved.open)
        except ExpressionError:
            self._report_each(value, path)
            return Template()

    def _report_each(self, value: Json, path: JsonPath) -> None:
        for subpath, text in templates.texts(value):
            try:
                templates.resolve(text, self._inputs or {}, self._allowance, self.decides)
            except ExpressionError as error:
                self.add_problem((*path, *subpath), str(error))
