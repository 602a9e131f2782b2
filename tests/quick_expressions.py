"""The results of moto's work on DynamoDB's expressions, kept for the next same expression.

moto parses a condition, with its names and values, for each of its checks of a request, and changes
nothing of the result. Three of its ten checks of an update depend on the text and the names alone,
and `quick_updates` does most of the others.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.parsing.validators import (
    ActionCountValidator,
    OverlappingPathsValidator,
    UpdateExpressionValidator,
    UpdateHashRangeKeyValidator,
)

from tests.quick_updates import actions

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST: Final = 4096
_by_moto_condition = ConditionExpressionParser.parse
_conditions: dict[tuple[str, str, str], tuple[Any, list[str], list[str]]] = {}
_by_moto_validate: Any = UpdateExpressionValidator.validate
_OF_THE_TEXT: Final = (
    ActionCountValidator,
    OverlappingPathsValidator,
    UpdateHashRangeKeyValidator,
)
_valid: set[tuple[str, str, str]] = set()


@contextmanager
def quick_expressions() -> Iterator[None]:
    """Keep the results until the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConditionExpressionParser, "parse", condition)
        patch.setattr(UpdateExpressionValidator, "__init__", prepare)
        patch.setattr(UpdateExpressionValidator, "validate", validated)
        yield


def condition(self: Any) -> Any:  # noqa: ANN401 - moto is untyped
    """Return the condition of a parser, and note the names and values in it."""
    if not self.condition_expression:
        return _by_moto_condition(self)
    names, values = self.expression_attribute_names, self.expression_attribute_values
    key = (self.condition_expression, repr(names), repr(values))
    if (known := _conditions.get(key)) is not None:
        parsed, found_names, found_values = known
        self.expr_attr_names_found.extend(found_names)
        self.expr_attr_values_found.extend(found_values)
        return parsed
    parsed = _by_moto_condition(self)
    if len(_conditions) >= _MOST:
        _conditions.clear()
    found = [*self.expr_attr_names_found], [*self.expr_attr_values_found]
    _conditions[key] = (parsed, *found)
    return parsed


def prepare(self: Any, expression: Any, **of_request: Any) -> None:  # noqa: ANN401 - moto is untyped
    """Take what a validator needs; moto would copy the tree too."""
    self.expression = expression
    vars(self).update(of_request)


def validated(self: Any) -> Any:  # noqa: ANN401 - moto is untyped
    """Return the update of a validator, ready to be executed."""
    keys, names = self.table.table_key_attrs, self.expression_attribute_names
    update_and_names = (self.expression.text, repr(names), repr(keys))
    is_known = update_and_names in _valid
    if is_known and (found := actions(self)) is not None:
        return found
    self.node_to_validate = copy.deepcopy(self.expression)
    self.processors = [
        each
        for each in self.get_ast_processors()
        if not (is_known and isinstance(each, _OF_THE_TEXT))
    ]
    found = _by_moto_validate(self)
    _valid.add(update_and_names)
    return found
