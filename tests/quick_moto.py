"""The slow parts of moto, replaced by ones that do the same in less time.

moto validates an update in ten walks over its expression, and counts the clauses at each node. It
sorts a whole table for each query by comparisons in Python. It builds a map's parts again and again
to know the map's size, which each query adds up twice for each item. It copies texts and numbers,
which never change. It keeps each item that ever was, with all its copies. It looks for the service
of each request among all services. It prepares 1,300 addresses for the library requests, which only
presigned URLs need. It parses an expression in each request that has it, and an update's twice.
`contract/test_quick_moto.py` compares the answers with those of moto alone.
"""

from __future__ import annotations

import copy
import importlib
import inspect
from collections import deque
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from moto import backend_index
from moto.core import models, responses, utils
from moto.core.common_models import BaseModel
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.executors import UpdateExpressionExecutor
from moto.dynamodb.parsing.validators import ActionCountValidator

if TYPE_CHECKING:
    from collections.abc import Iterator

_nodes: Any = importlib.import_module("moto.dynamodb.parsing.ast_nodes")  # it hides its types
_UpdateParser: Any = importlib.import_module(
    "moto.dynamodb.parsing.expressions"
).UpdateExpressionParser
_by_moto_verify_action_counts = ActionCountValidator.verify_action_counts
_by_moto_cast_value: Any = DynamoType.cast_value
_by_moto_size = DynamoType.size
_by_moto_copy_value: Any = DynamoType.__deepcopy__
_by_moto_execute: Any = UpdateExpressionExecutor.execute
_OF_PARTS = frozenset({"L", "M", "SS", "NS", "BS"})
_by_moto_name_of_method = utils.camelcase_to_underscores
_by_moto_parse_update = _UpdateParser.make
_names_of_processors: dict[tuple[type, type], str | None] = {}


@contextmanager
def quick_moto(*, takes_urls: bool) -> Iterator[None]:
    """Replace moto's slow parts until the end; it answers URLs of AWS only if it *takes_urls*."""
    with pytest.MonkeyPatch.context() as patch:
        if not takes_urls:
            patch.setattr(models, "RESPONSES_METHODS", [])
        patch.setattr(backend_index, "backend_url_patterns", patterns_by_frequency())
        patch.setattr(responses, "method_names_from_class", method_names)
        patch.setattr(responses, "camelcase_to_underscores", cache(_by_moto_name_of_method))
        patch.setattr(_nodes.DepthFirstTraverser, "traverse", traverse)
        patch.setattr(_nodes.Node, "find_clauses", find_clauses)
        patch.setattr(ActionCountValidator, "verify_action_counts", verify_action_counts)
        patch.setattr(_nodes.Node, "__deepcopy__", copy_node, raising=False)
        patch.setattr(BaseModel, "__new__", make_untracked)
        patch.setattr(DynamoType, "__deepcopy__", copy_value)
        patch.setattr(UpdateExpressionExecutor, "execute", execute_update)
        patch.setattr(DynamoType, "cast_value", property(cast_value))
        patch.setattr(DynamoType, "size", size_of_value)
        patch.setattr(Item, "size", size_of_item)
        patch.setattr(Table, "all_items", all_items)
        patch.setattr(_UpdateParser, "make", parse_update)
        patch.setattr(ConditionExpressionParser, "_lex_condition_expression", lex_condition)
        yield


@cache
def patterns_by_frequency() -> list[Any]:
    """The addresses of the services, those of the one that is called most before the others."""
    return sorted(backend_index.backend_url_patterns, key=lambda pattern: pattern[0] != "dynamodb")


@cache
def method_names(kind: type) -> list[str]:
    """The names of the functions of a class, which moto looks up for each request."""
    return [name for name, _ in inspect.getmembers(kind, predicate=inspect.isfunction)]


def traverse(self: Any, root: Any) -> Any:  # noqa: ANN401 - moto is untyped
    """Process the nodes below *root*, then *root*; find the processor of each class once."""
    processors: dict[type, Any] = {}
    prepare = self.pre_processing_of_child
    if prepare.__func__ is _nodes.DepthFirstTraverser.pre_processing_of_child:
        prepare = None  # it would do nothing

    def walk(node: Any, child_id: int) -> Any:  # noqa: ANN401 - moto is untyped
        parent = node.parent
        for number, child in enumerate(node.children or ()):
            if prepare is not None:
                prepare(node, number)
            if _is_node(child.__class__):
                walk(child, number)
        kind = type(node)
        if kind not in processors:
            processors[kind] = _processor(self, kind)
        if (process := processors[kind]) is not None:
            node = process(node)
            node.parent = parent
            if parent:
                parent.children[child_id] = node
        return node

    return walk(root, -1) if _is_node(root.__class__) else root


def _processor(traverser: Any, kind: type) -> Any:  # noqa: ANN401 - moto is untyped
    key = (type(traverser), kind)
    if key not in _names_of_processors:
        processors = traverser._processing_map().items()
        found = next((process for of, process in processors if issubclass(kind, of)), None)
        _names_of_processors[key] = found and found.__name__
    name = _names_of_processors[key]
    return name and getattr(traverser, name)


@cache
def _is_node(kind: type) -> bool:
    return issubclass(kind, _nodes.Node)


def verify_action_counts(self: Any, node: Any) -> Any:  # noqa: ANN401 - moto is untyped
    """Count the clauses of a whole expression, which moto also does for each of its parts."""
    return node if node.parent is not None else _by_moto_verify_action_counts(self, node)


def find_clauses(self: Any, clause_types: list[type]) -> list[Any]:  # noqa: ANN401 - moto is untyped
    """The nodes of these types below an expression."""
    clauses: list[Any] = []
    for child in self.children or []:
        if type(child) in clause_types:
            clauses.append(child)
        elif _may_hold_clauses(child.__class__):
            clauses.extend(child.find_clauses(clause_types))
    return clauses


@cache
def _may_hold_clauses(kind: type) -> bool:
    return issubclass(kind, _nodes.Expression | _nodes.UpdateExpressionFunction)


def copy_node(self: Any, memo: dict[int, Any]) -> Any:  # noqa: ANN401 - moto is untyped
    """Copy a node as `copy.deepcopy` does for an object without a method of its own."""
    copied = memo[id(self)] = object.__new__(type(self))
    for name, value in vars(self).items():
        is_text = value is None or type(value) is str
        vars(copied)[name] = value if is_text else copy.deepcopy(value, memo)
    return copied


@cache
def parse_update(expression: str) -> Any:  # noqa: ANN401 - moto is untyped
    """Return the tree of an update's expression, which moto copies before it changes it.

    It keeps its text, by which `quick_expressions` knows it again.
    """
    tree = _by_moto_parse_update(expression)
    tree.text = expression
    return tree


def lex_condition(self: Any) -> deque[Any]:  # noqa: ANN401 - moto is untyped
    """Return the words of a condition, which moto takes from the list as it parses them."""
    return deque(_words(self.condition_expression))


@cache
def _words(condition: str) -> tuple[Any, ...]:
    parser: Any = ConditionExpressionParser(condition, None, None)
    words, rest = [], condition
    while rest:
        word, rest = parser._lex_one_node(rest)
        if word.nonterminal != parser.Nonterminal.WHITESPACE:
            words.append(word)
    return tuple(words)


def cast_value(self: Any) -> Any:  # noqa: ANN401 - moto is untyped
    """The value of an attribute in Python."""
    if self.type in {"S", "BOOL"}:
        return self.value
    if self.type == "N":
        return Decimal(self.value)
    return _by_moto_cast_value.fget(self)


def all_items(self: Any) -> list[Any]:  # noqa: ANN401 - moto is untyped
    """The items of a table in the order of their keys, each of whose attributes has one type."""
    if not self.range_key_attr:
        return sorted(self.items.values(), key=lambda item: item.hash_key.cast_value)
    items = [item for of_hash in self.items.values() for item in of_hash.values()]
    items.sort(key=lambda item: (item.hash_key.cast_value, item.range_key.cast_value))
    return items


def make_untracked(kind: type, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - moto is untyped
    """Make an object without keeping it for the page on which moto's own server shows all."""
    return object.__new__(kind)


def copy_value(self: Any, memo: dict[int, Any]) -> Any:  # noqa: ANN401 - moto is untyped
    """Copy a value that has parts; one without parts is replaced and never changed."""
    return _by_moto_copy_value(self, memo) if self.type in _OF_PARTS else self


def execute_update(self: Any, node: Any = None) -> None:  # noqa: ANN401 - moto is untyped
    """Update an item, whose size is not known any more then."""
    vars(self.item).pop("known_size", None)
    _by_moto_execute(self, node)


def size_of_value(self: Any) -> int:  # noqa: ANN401 - moto is untyped
    """The bytes of an attribute's value, of which a map's parts are values already."""
    if self.type == "S":
        return len(self.value) if self.value.isascii() else len(self.value.encode())
    if self.type == "M":
        parts = self.value.items()
        return sum(_size_of_name(name) + size_of_value(part) for name, part in parts)
    if self.type == "L":
        return sum(map(size_of_value, self.value))
    return _by_moto_size(self)


def size_of_item(self: Any) -> int:  # noqa: ANN401 - moto is untyped
    """The bytes of an item: of the names and of the values of its attributes."""
    kept = vars(self)
    if "known_size" not in kept:
        values = self.attrs.items()
        kept["known_size"] = sum(_size_of_name(name) + size_of_value(part) for name, part in values)
    size: int = kept["known_size"]
    return size


@cache
def _size_of_name(name: str) -> int:
    return len(name.encode())
