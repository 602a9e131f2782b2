"""The comparisons of an expression, such as `inputs.replicas == '3'`, with what is known of them.

The kinds of value are those of `wording.kind_of`. A name's kind depends on the pack, so it is not
decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from taskrunner.expressions.names import (
    children,
    list_of_element,
    located_children,
    location,
)
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskrunner.expressions.names import Node, Reference
    from taskrunner.model.json_types import Json

SIGNS: Final = {"eq": "==", "ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_FUNCTIONS: Final = {
    "a number": ("abs", "avg", "ceil", "floor", "length", "sum", "time_diff", "to_number"),
    "a boolean": ("contains", "ends_with", "matches", "starts_with"),
    "text": (
        "base64_decode",
        "base64_encode",
        "format_time",
        "join",
        "lower",
        "replace",
        "time_add",
        "to_string",
        "trim",
        "type",
        "upper",
        "url_encode",
    ),
    "a list": ("keys", "map", "sort", "sort_by", "split", "to_array", "values"),
    "an object": ("merge",),
}
_KINDS_OF_FUNCTIONS: Final[Mapping[str, str]] = {
    name: kind for kind, names in _FUNCTIONS.items() for name in names
}
_MAYBE_NULL: Final = frozenset({"avg", "to_number"})


class Name(NamedTuple):
    """A name, from the root."""

    reference: Reference


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that the expression itself holds."""

    value: Json


class Result(NamedTuple):
    """A computed value: what messages call it, its kind, and whether it may be null instead."""

    text: str
    kind: str
    maybe_null: bool


class Element(NamedTuple):
    """An element of the list of that name, by its number."""

    reference: Reference


Operand: TypeAlias = Name | Literal | Result | Element
_RESULTS: Final = {
    "not_expression": Result("what '!' gives", "a boolean", maybe_null=False),
    "multi_select_list": Result("the list in brackets", "a list", maybe_null=True),
    "multi_select_dict": Result("the object in braces", "an object", maybe_null=True),
    "projection": Result("the projection", "a list", maybe_null=True),
    "value_projection": Result("the projection", "a list", maybe_null=True),
    "filter_projection": Result("the filter", "a list", maybe_null=True),
    "flatten": Result("the flattened list", "a list", maybe_null=True),
}


class Comparison(NamedTuple):
    """The two sides of a comparison, and the sign between them."""

    left: Operand
    sign: str
    right: Operand

    @property
    def is_ordering(self) -> bool:
        """Whether the sign asks which side is larger."""
        return self.sign not in {"==", "!="}


def comparisons(tree: Node) -> Iterator[Comparison]:
    """Yield the comparisons of *tree*, wherever they are, if something is known of both sides.

    For the order of two values, one side is enough. The other side is then a name without parts.
    """
    yield from _comparisons(tree, ())


def _comparisons(node: Node, base: Reference | None) -> Iterator[Comparison]:
    """Yield the comparisons in *node*, which is evaluated at the value named *base*."""
    if node["type"] == "comparator":
        left, right = (_operand(child, base) for child in children(node))
        comparison = Comparison(left or Name(()), SIGNS[node["value"]], right or Name(()))
        if (left and right) or (comparison.is_ordering and (left or right)):
            yield comparison
    for child, child_base in located_children(node, base):
        yield from _comparisons(child, child_base)


def _operand(node: Node, base: Reference | None) -> Operand | None:
    """Return a side of a comparison; None for a value of which nothing is known."""
    kind = node["type"]
    if kind == "literal":
        return Literal(node["value"])
    if kind == "function_expression":
        name = node["value"]
        result = _KINDS_OF_FUNCTIONS.get(name)
        return None if result is None else Result(f"{name}()", result, name in _MAYBE_NULL)
    if kind == "comparator":
        is_order = node["value"] not in {"eq", "ne"}
        return Result(f"what '{SIGNS[node['value']]}' gives", "a boolean", is_order)
    if kind in _RESULTS:
        return _RESULTS[kind]
    if reference := location(node, base):
        return Name(reference)
    reference = list_of_element(node, base)
    return Element(reference) if reference else None
