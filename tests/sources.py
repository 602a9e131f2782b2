"""The package's source, parsed once for all tests of a process that look for some code in it."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Final

from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PACKAGE: Final = ROOT / "layers/core/python/taskrunner"


def calls(name: str) -> Mapping[str, Sequence[ast.Call]]:
    """Every call of *name*, as a function or a method, by the file's path in the package."""
    found: dict[str, list[ast.Call]] = defaultdict(list)
    for path, node in _nodes():
        match node:
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)) if called == name:
                found[path].append(node)
    return found


def readers(name: str) -> set[str]:
    """The files that use an attribute *name*, by their paths in the package."""
    attributes = ((path, node) for path, node in _nodes() if isinstance(node, ast.Attribute))
    return {path for path, attribute in attributes if attribute.attr == name}


def _nodes() -> Iterator[tuple[str, ast.AST]]:
    for path, nodes in _parsed().items():
        for node in nodes:
            yield path, node


@cache
def _parsed() -> Mapping[str, Sequence[ast.Call | ast.Attribute]]:
    """The calls and attributes in each file."""
    return {
        str(path.relative_to(_PACKAGE)): [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call | ast.Attribute)
        ]
        for path in sorted(_PACKAGE.rglob("*.py"))
    }
