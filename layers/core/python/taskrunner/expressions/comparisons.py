"""The comparisons by == and != of a name with a literal, such as `inputs.replicas == '3'`.

Those by <, <=, > and >= report operands that are not numbers when they are evaluated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from taskrunner.expressions.names import children, located_children, location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.expressions.names import Node, Reference
    from taskrunner.model.json_types import Json


class Comparison(NamedTuple):
    """A name, from the root, and the literal that it is compared with."""

    reference: Reference
    value: Json


def comparisons(tree: Node) -> Iterator[Comparison]:
    """Yield the comparisons of *tree*, wherever they are, if the name is one from the root."""
    yield from _comparisons(tree, ())


def _comparisons(node: Node, base: Reference | None) -> Iterator[Comparison]:
    """Yield the comparisons in *node*, which is evaluated at the value named *base*."""
    if node["type"] == "comparator" and node["value"] in {"eq", "ne"}:
        operands = list(children(node))
        for name, literal in (operands, operands[::-1]):
            if literal["type"] == "literal" and (reference := location(name, base)):
                yield Comparison(reference, literal["value"])
    for child, child_base in located_children(node, base):
        yield from _comparisons(child, child_base)
