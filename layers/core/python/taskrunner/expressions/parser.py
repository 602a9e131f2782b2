"""Parsing an expression, and evaluating a parsed one."""

from __future__ import annotations

import re
from dataclasses import field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from jmespath import exceptions, parser

from taskrunner.expressions import rules, tokens
from taskrunner.expressions.allowance import Allowance
from taskrunner.expressions.comparisons import Comparison, comparisons
from taskrunner.expressions.errors import (
    EVALUATION_ERRORS,
    ExpressionError,
    evaluation_error,
    quoted,
    syntax_error,
)
from taskrunner.expressions.names import Node, Reference, children, names_of_items, names_read
from taskrunner.model.json_types import normal, unusable
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json, JsonMapping

# Parsed expressions that are kept, and the characters of the longest one.
_MAX_KEPT: Final = 1_000
_MAX_KEPT_LENGTH: Final = 200
# The beginning of a literal that must not be shared, because its value can be changed.
_LIST_OR_OBJECT: Final = re.compile(r"`\s*[\[{]")


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression.

    *text* is the expression without braces around it. *references* are the names it reads, such as
    `('inputs', 'target')`. *item_names* are those that it reads from the items of a filter or
    projection, in brackets, where an author may have meant the names outside. *comparisons* are
    those of a name with a literal.
    """

    text: str
    references: tuple[Reference, ...]
    item_names: tuple[Reference, ...]
    comparisons: tuple[Comparison, ...]
    _tree: Node = field(repr=False, compare=False)

    @property
    def reads_inputs_alone(self) -> bool:
        """Whether planning can evaluate it: it reads nothing but inputs, or nothing at all."""
        return all(reference[0] == "inputs" for reference in self.references)

    def evaluate(self, context: JsonMapping, allowance: Allowance | None = None) -> Json:
        """Return the value in *context*; a missing field is None.

        The work and the value are taken from *allowance*; without one the expression has an
        allowance of its own.

        Raises:
            ExpressionError: a function was called with a value of the wrong type, the allowance is
                used up, or the value is not JSON.
        """
        try:
            value = (allowance or Allowance()).evaluate(self._tree, context)
        except ExpressionError as error:
            raise ExpressionError(f"{quoted(self.text)} cannot be evaluated: {error}") from None
        except EVALUATION_ERRORS as error:
            raise evaluation_error(self.text, error) from None
        for _, problem in unusable(value):
            raise ExpressionError(f"the value of {quoted(self.text)} is not JSON: {problem}")
        return value


def parse(text: str) -> Expression:
    """Parse *text*, with or without one pair of braces around it.

    Raises:
        ExpressionError: the text is not a valid expression; the message shows the right form.
    """
    may_be_shared = "`" not in text or not _LIST_OR_OBJECT.search(text)
    is_kept = may_be_shared and len(text) <= _MAX_KEPT_LENGTH
    return _parse_again(text) if is_kept else _parse(text)


class _Parser(parser.Parser):  # type: ignore[misc]  # the library is untyped
    """jmespath's parser without the trees that all parsers share.

    A literal in backticks is a part of its tree, and a value that contains it may be changed.
    """

    def __init__(self) -> None:
        """Keep the tree of one expression."""
        super().__init__()
        self._CACHE: dict[str, object] = {}


def _parse(text: str) -> Expression:
    inner = tokens.without_braces(text.strip())
    rules.check_text(inner)
    try:
        tree = _Parser().parse(tokens.as_jmespath(inner)).parsed
    except exceptions.JMESPathError as error:
        raise syntax_error(inner, error) from None
    except RecursionError:
        raise rules.too_deep() from None
    rules.check_tree(tree, inner)
    _normalise_literals(tree)
    return Expression(inner, names_read(tree), names_of_items(tree), tuple(comparisons(tree)), tree)


# Each stage parses an expression again, and many steps have the same. The kept value is immutable,
# and depends on the text alone.
_parse_again = lru_cache(_MAX_KEPT)(_parse)


def _normalise_literals(node: Node) -> None:
    """Bring the literals in backticks into the normal form that all other values have."""
    if node["type"] == "literal":
        node["value"] = normal(node["value"])
    for child in children(node):
        _normalise_literals(child)


def truth(value: Json) -> bool:
    """Return whether *value* is true to JMESPath.

    Null, false and everything empty are false; zero is true.
    """
    return value is not None and value is not False and value not in ("", [], {})
