"""Numbers of a pack that may be expressions over inputs, and are decided when a run is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.compiler.manifest.shape_messages import NO_STEP

if TYPE_CHECKING:
    from taskrunner.compiler.checks.expressions import ExpressionChecks
    from taskrunner.compiler.checks.names import Scope
    from taskrunner.compiler.manifest.step_shapes import (
        PolicyRetriesShape,
        RangeShape,
        RetriesShape,
    )
    from taskrunner.compiler.problems import Findings
    from taskrunner.expressions import Reference
    from taskrunner.model.json_path import JsonPath


class NumberChecks:
    """Checks the numbers that stand at the place of *scope*."""

    def __init__(self, scope: Scope, expressions: ExpressionChecks, findings: Findings) -> None:
        self._scope = scope
        self._expressions = expressions
        self._findings = findings

    def number(self, written: float | str | None, path: JsonPath) -> None:
        """Check the expression that may stand for a number: it reads inputs alone."""
        if not isinstance(written, str):
            return
        references = self._expressions.parse(written, path)
        wrong = next(filter(self._scope.is_known_at_run_time, references), None)
        if wrong is not None:
            message = (
                f"'{path[-1]}' is decided when the run is planned, so it can read inputs only, "
                f"and not '{'.'.join(wrong)}'; declare an input for it, or write the number"
            )
            self._findings.add(path, message)
            return
        self._expressions.expression(written, path)
        self._kind(references, written, path)

    def _kind(self, references: tuple[Reference, ...], written: str, path: JsonPath) -> None:
        """Report an input of another kind, where the expression is nothing but its name."""
        for reference in references:
            name, kind = ".".join(reference), self._scope.kind(reference)
            is_whole = written[2:-2].strip() == name
            if is_whole and kind is not None and kind.name != "a number":
                message = f"'{path[-1]}' must be a number, and '{name}' is {kind.name}"
                self._findings.add(path, f"{message}; read an input that is a number")

    def retries(self, shape: RetriesShape, path: JsonPath) -> None:
        """Check the retries of a step, or of the pack."""
        numbers = (
            ("maxAttempts", shape.max_attempts),
            ("backoffSeconds", shape.backoff_seconds),
            ("backoffRate", shape.backoff_rate),
            ("maxBackoffSeconds", shape.max_backoff_seconds),
        )
        for key, number in numbers:
            self.number(number, (*path, key))

    def policy_retries(self, shape: PolicyRetriesShape, path: JsonPath) -> None:
        """Check the retries of a policy gate."""
        self.number(shape.count, (*path, "count"))
        self.number(shape.backoff_seconds, (*path, "backoffSeconds"))

    def range(self, shape: RangeShape, path: JsonPath) -> None:
        """Check the range of a map or loop."""
        for key, number in (("start", shape.start), ("end", shape.end), ("step", shape.step)):
            self.number(number, (*path, key))
        if shape.step == 0:
            self._findings.add((*path, "step"), NO_STEP)
