"""The names that an expression reads, seen from the root of its context.

`inputs.a[0].b | length(@)` reads `('inputs', 'a')`: from there on it works with a computed value,
which has no name. `('@',)` stands for the root itself.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypedDict

from taskrunner.expressions.tokens import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

Reference: TypeAlias = "tuple[str, ...]"

_ROOT: Final = ("@",)
_OPERATORS: Final = frozenset({"comparator", "or_expression", "and_expression", "not_expression"})
_CHAINS: Final = frozenset({"subexpression", "index_expression", "pipe"})
_PROJECTIONS: Final = frozenset({"projection", "value_projection", "filter_projection", "flatten"})


class Node(TypedDict):
    """A node of the syntax tree that JMESPath's parser returns."""

    type: str
    value: Any  # a name, a literal, or the sign of a comparison
    children: list[Any]


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes below *node*. The numbers below a slice are not nodes."""
    return (child for child in node["children"] if isinstance(child, dict))  # type: ignore[misc]


def names_read(tree: Node) -> tuple[Reference, ...]:
    """Return the names that *tree* reads, each once, in their order."""
    reads: dict[Reference, None] = {}
    _read(_locate(tree, (), reads), reads)
    return tuple(reads)


def location(node: Node, base: Reference | None) -> Reference | None:
    """Return the name of the value of *node*, which is evaluated at the value named *base*.

    The root's name is empty. A computed value and an element of a projection have no name: None.
    """
    return _locate(node, base, {})


def list_of_element(node: Node, base: Reference | None) -> Reference | None:
    """Return the name of the list of which *node* takes one element, as in `list[0]`; else None."""
    if node["type"] == "index":
        return base
    if node["type"] not in _CHAINS:
        return None
    *before, last = children(node)
    for child in before:
        base = location(child, base)
    return list_of_element(last, base)


def located_children(node: Node, base: Reference | None) -> Iterator[tuple[Node, Reference | None]]:
    """Yield the nodes below *node*, each with the name of the value at which it is evaluated."""
    kind = node["type"]
    if kind == "expref":
        base = None
    for child in children(node):
        yield child, base
        if kind in _CHAINS:
            base = location(child, base)
        elif kind in _PROJECTIONS:
            base = None  # only the first child is evaluated here, the others on each element


def names_of_items(tree: Node) -> tuple[Reference, ...]:
    """Return the names that are read in brackets, each once: from an item and not from the root.

    In `hosts[?region == inputs.region]` these are `region` and `inputs.region`. A name after a
    dot, as in `hosts[*].region`, is clearly a field, and not one of them.
    """
    found: dict[Reference, None] = {}
    _find_in_brackets(tree, found, is_root=True, is_in_brackets=False)
    return tuple(found)


def literal_hint(text: str, name: str) -> str:
    """Return the hint when *name* in *text* was meant as a value, else an empty text.

    JMESPath reads `true` and `"production"` as the names of fields.
    """
    if name in {"true", "false", "null"}:
        return f"; for the value write `{name}` in backticks"
    if re.search(rf"(?<![.\w]){re.escape(json.dumps(name, ensure_ascii=False))}", text):
        return f"; for the text write '{name}' in single quotes"
    return ""


def _read(location: Reference | None, reads: dict[Reference, None]) -> None:
    if location is not None:
        reads[location or _ROOT] = None


def _locate(node: Node, base: Reference | None, reads: dict[Reference, None]) -> Reference | None:
    """Return the name of the value of *node*, which is evaluated at the value named *base*.

    A computed value and an element of a projection have no name, which is None. A named value that
    something is done with is added to *reads*.
    """
    kind = node["type"]
    if kind == "field" and node["value"] == ROOT:
        return ()
    if kind == "field":
        return None if base is None else (*base, node["value"])
    if kind in {"current", "identity"}:
        return base
    if kind in _CHAINS:
        for child in children(node):
            base = _locate(child, base, reads)
        return base
    if kind in {"index", "slice"}:
        _read(base, reads)
        return None
    first_base = base
    if kind in _PROJECTIONS:
        base = None  # only the first child is evaluated here, the others on each element
    elif kind == "expref":
        first_base = base = None
    for number, child in enumerate(children(node)):
        _read(_locate(child, first_base if number == 0 else base, reads), reads)
    return None


def _find_in_brackets(
    node: Node, found: dict[Reference, None], *, is_root: bool, is_in_brackets: bool
) -> None:
    """Add the names below *node* that are read in brackets of something else than the root."""
    kind = node["type"]
    if is_in_brackets and (chain := _chain(node)):
        found[chain] = None
    parts = list(children(node))
    if kind in _CHAINS or kind in _PROJECTIONS:
        for number, part in enumerate(parts):
            is_condition = kind == "filter_projection" and number == 2  # noqa: PLR2004
            is_first = number == 0 and not _chain(node)
            _find_in_brackets(
                part,
                found,
                is_root=is_root and number == 0,
                is_in_brackets=is_condition or (is_in_brackets and is_first),
            )
        return
    for part in parts:
        inner_root = is_root and kind != "expref"
        in_brackets = is_in_brackets if kind in _OPERATORS else not inner_root
        _find_in_brackets(part, found, is_root=inner_root, is_in_brackets=in_brackets)


def _chain(node: Node) -> Reference:
    """Return the names of a chain such as `a.b[0].c`, from its first one; empty for all else."""
    kind = node["type"]
    if kind == "field":
        return () if node["value"] == ROOT else (node["value"],)
    if kind not in {"subexpression", "index_expression"}:
        return ()
    first, *rest = children(node)
    names = list(_chain(first))
    for part in rest if names and kind == "subexpression" else ():
        if not (further := _chain(part)):
            break
        names += further
    return tuple(names)
