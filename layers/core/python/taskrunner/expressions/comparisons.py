"""The comparisons by == and != of a name with a literal, such as `inputs.replicas == '3'`.

Those by <, <=, > and >= report operands that are not numbers when they are evaluated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.expressions.names import children

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.expressions.names import Node, Reference
    from taskrunner.model.json_types import Json

# What is below them is evaluated where they are, which is at the root.
_OPERATORS: Final = frozenset({"comparator", "or_expression", "and_expression", "not_expression"})


class Comparison(NamedTuple):
    """A name, from the root, and the literal that it is compared with."""

    reference: Reference
    value: Json


def comparisons(tree: Node) -> Iterator[Comparison]:
    """Yield the comparisons of *tree*, except those inside of functions and brackets."""
    if tree["type"] not in _OPERATORS:
        return
    operands = list(children(tree))
    if tree["type"] == "comparator" and tree["value"] in {"eq", "ne"}:
        for name, literal in (operands, operands[::-1]):
            if literal["type"] == "literal" and (reference := _reference(name)):
                yield Comparison(reference, literal["value"])
    for operand in operands:
        yield from comparisons(operand)


def _reference(node: Node) -> Reference:
    """Return the names of `a.b.c`; empty for all else."""
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] != "subexpression":
        return ()
    parts = [_reference(child) for child in children(node)]
    return tuple(name for part in parts for name in part) if all(parts) else ()
