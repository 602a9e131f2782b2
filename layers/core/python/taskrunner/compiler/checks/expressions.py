"""Expressions and templates of a pack: parsed once each, and their names looked up."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from taskrunner import expressions
from taskrunner.compiler.checks.comparisons import incomparable
from taskrunner.compiler.checks.names import NOT_IN_VALUES, ONLY_IN_WITH, looked_up
from taskrunner.expressions import Expression, ExpressionError, templates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskrunner.compiler.checks.names import Scope
    from taskrunner.compiler.problems import Findings
    from taskrunner.expressions import Reference
    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import Json


class ExpressionChecks:
    """Checks expressions at the place of *scope* and adds what is wrong to *findings*."""

    def __init__(self, scope: Scope, findings: Findings) -> None:
        self._scope = scope
        self._findings = findings
        self._parsed: dict[str, Expression | ExpressionError] = {}

    def parse(self, text: str, path: JsonPath) -> tuple[Reference, ...]:
        """Check that *text* is an expression, and return the names it reads."""
        parsed = self._parse(text, path)
        return () if parsed is None else parsed.references

    def _parse(self, text: str, path: JsonPath) -> Expression | None:
        if text not in self._parsed:
            try:
                self._parsed[text] = expressions.parse(text)
            except ExpressionError as error:
                self._parsed[text] = error
        parsed = self._parsed[text]
        if isinstance(parsed, ExpressionError):
            self._findings.add(path, str(parsed))
            return None
        return parsed

    def expression(self, text: str | None, path: JsonPath) -> None:
        """Check an expression and the names it reads; None is an expression that is left out."""
        if text is not None and (parsed := self._parse(text, path)) is not None:
            self._look_up([parsed], path)

    def iteration_value(self, text: str | None, path: JsonPath) -> None:
        """Check the expression of an iteration's value, which each reader evaluates anew."""
        self.expression(text, path)
        parsed = None if text is None else self._parsed[text]
        if isinstance(parsed, Expression) and ("run", "now") in map(looked_up, parsed.references):
            self._findings.add(path, NOT_IN_VALUES)

    def template_form(self, text: str, path: JsonPath) -> None:
        """Check that the expressions in a text can be read, and read no secret."""
        try:
            names = templates.split(text).references
        except ExpressionError as error:
            self._findings.add(path, str(error))
            return
        if any(name[0] == "secrets" for name in names):
            self._findings.add(path, ONLY_IN_WITH)

    def template(self, text: str, path: JsonPath, *, with_secrets: bool) -> tuple[Reference, ...]:
        """Check the expressions in a text, and return the names they read."""
        try:
            template = templates.split(text)
        except ExpressionError as error:
            self._findings.add(path, str(error))
            return ()
        self._look_up(template.expressions, path, with_secrets=with_secrets)
        return template.references

    def parameters(self, parameters: Json, path: JsonPath) -> None:
        """Check every template in the `with` at *path*, where secrets can be read."""
        for subpath, text in templates.texts(parameters):
            self.template(text, (*path, *subpath), with_secrets=True)

    def secret_places(self, parameters: Json) -> Iterator[JsonPath]:
        """Yield the path of every template in *parameters* that can be read and reads a secret."""
        for subpath, text in templates.texts(parameters):
            with suppress(ExpressionError):
                if templates.secrets(templates.split(text).references):
                    yield subpath

    def _look_up(
        self, expressions: Sequence[Expression], path: JsonPath, *, with_secrets: bool = False
    ) -> None:
        """Look up the names that *expressions* read; a wrong one is reported once."""
        reported: set[Reference] = set()
        for expression in expressions:
            self._look_up_items(expression, path)
            self._compare(expression, path)
        names = (
            (name, expression.text) for expression in expressions for name in expression.references
        )
        for reference, text in names:
            name = looked_up(reference)
            # Looking for the nearest right name takes time, so it ends with enough problems.
            if name in reported or self._findings.is_full:
                continue
            message = self._scope.unknown(reference, text, with_secrets=with_secrets)
            if message is not None:
                reported.add(name)
                self._findings.add(path, message)

    def _compare(self, expression: Expression, path: JsonPath) -> None:
        for comparison in expression.comparisons:
            if (message := incomparable(comparison, self._scope)) is not None:
                self._findings.add(path, message)

    def _look_up_items(self, expression: Expression, path: JsonPath) -> None:
        for names in expression.item_names:
            if self._findings.is_full:
                return
            if (message := self._scope.misplaced(names)) is not None:
                self._findings.add(path, message)
