"""The actions of an update that is known to be valid, without ten walks over its expression.

moto copies an update's tree, and walks over it to check it and to compute its values. Most updates
have been made before, with other values: they set, remove and add whole attributes. Their values
are computed here from the tree as it is. Anything unusual is left to moto: a value or attribute
that is missing, a part of an attribute, a sum, and a value that a key may not have.
`contract/test_quick_moto.py` compares the results with those of moto alone.
"""

from __future__ import annotations

import copy
import importlib
from functools import cache
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType

from tests.quick_moto import parse_update

_nodes: Any = importlib.import_module("moto.dynamodb.parsing.ast_nodes")  # it hides its types
_KINDS = (
    _nodes.UpdateExpressionAddAction,
    _nodes.UpdateExpressionDeleteAction,
    _nodes.UpdateExpressionRemoveAction,
    _nodes.UpdateExpressionSetAction,
)


class _UnusualError(Exception):
    """moto must validate an update."""


def actions(validator: Any) -> Any:  # noqa: ANN401 - moto is untyped
    """Return what a validator would, from an update that was valid with other values, or None."""
    try:
        found = [
            kind([path, *(_value(validator, path, kind, part) for part in operand)])
            for kind, path, operand in _plan(validator.expression.text)
        ]
    except _UnusualError:
        return None
    return _nodes.UpdateExpression(children=found)


@cache
def _plan(expression: str) -> list[tuple[Any, Any, list[Any]]]:
    """The kind, path and operand of each action, of which REMOVE has no operand."""
    clauses = parse_update(expression).find_clauses(_KINDS)
    return [(type(each), _own(each.children[0]), each.children[1:]) for each in clauses]


def _own(path: Any) -> Any:  # noqa: ANN401 - moto is untyped
    """A copy of a path to an attribute, which belongs to the actions that are made."""
    if len(path.children) > 1:
        raise _UnusualError
    return _nodes.UpdateExpressionPath(children=[copy.copy(part) for part in path.children])


def _value(validator: Any, path: Any, kind: Any, operand: Any) -> Any:  # noqa: ANN401 - moto is untyped
    value = _computed(validator, operand)
    if value is None:
        raise _UnusualError
    if kind is _nodes.UpdateExpressionSetAction:
        name = path.children[0].children[0]
        types = {each["AttributeName"]: each["AttributeType"] for each in validator.table.attr}
        if types.get(name, value.type) != value.type or value.value in ("", b""):
            raise _UnusualError
    return _nodes.DDBTypedValue(value)


def _computed(validator: Any, operand: Any) -> DynamoType | None:  # noqa: ANN401 - moto is untyped
    """The value of an operand, or None if it is an attribute that the item does not have."""
    match operand:
        case _nodes.ExpressionAttributeValue():
            values = validator.expression_attribute_values or {}
            if operand.children[0] not in values:
                raise _UnusualError
            return DynamoType(values[operand.children[0]])
        case _nodes.UpdateExpressionPath():
            attribute: DynamoType | None = validator.item.attrs.get(_name(validator, operand))
            return attribute
        case _nodes.UpdateExpressionValue(children=[only]):
            return _computed(validator, only)
        case _nodes.UpdateExpressionFunction(children=[function, *arguments]):
            return _called(function, *(_computed(validator, each) for each in arguments))
        case _:
            raise _UnusualError


def _called(function: str, first: DynamoType | None, second: DynamoType | None) -> DynamoType:
    if second is None:
        raise _UnusualError
    match function, first:
        case "if_not_exists", _:
            return second if first is None else first
        case "list_append", DynamoType(type="L") if second.type == "L":
            longer: DynamoType = copy.deepcopy(first)
            longer.value.extend(second.value)
            return longer
        case _:
            raise _UnusualError


def _name(validator: Any, path: Any) -> str:  # noqa: ANN401 - moto is untyped
    """The name of the attribute to which a path leads."""
    [part, *rest] = path.children
    name: str = part.children[0]
    if isinstance(part, _nodes.ExpressionAttributeName):
        name = (validator.expression_attribute_names or {}).get(name, "")
    if rest or not name:
        raise _UnusualError
    return name
