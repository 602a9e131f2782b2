"""The cost of applying a JSON Schema to a value at worst, counted before it is applied.

The count is subschemas times values. A text counts by its length, and under a pattern by the
pattern's compiled size as well: an engine that is linear in the text still looks at every state of
the pattern for each character. It is a count and not a time, so that it is the same everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner.model.json_types import Json, JsonObject

    JsonSchema: TypeAlias = JsonObject | bool

MAX_EVALUATIONS: Final = 2_000_000
_MAX_CHAIN: Final = 400  # of schemas that lead to one another, far below what any stack allows
_CHARACTERS_A_STEP: Final = 16
# An evaluation takes about half a microsecond. A character takes at most 0.2 ns for each byte of a
# pattern, when each makes a state that was not seen before.
_PATTERN_BYTES_A_STEP: Final = 5_000
_REFERENCES: Final = ("$ref", "$dynamicRef")
_LISTS_IN_PLACE: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE: Final = ("not", "if", "then", "else")
_OF_ITEMS: Final = ("items", "contains", "unevaluatedItems")
_OF_MEMBERS: Final = ("additionalProperties", "unevaluatedProperties")
_UNEVALUATED: Final = ("unevaluatedProperties", "unevaluatedItems")


class TooCostlyError(Exception):
    """A schema, alone or over a value, is beyond a limit; the message says which."""


class Cost(NamedTuple):
    """The cost of applying a schema to a value at worst.

    *held_values* counts the values that its errors hold together: each error holds the value that
    does not match, and one of an `anyOf` also holds all errors of its schemas.
    """

    evaluations: int
    held_values: int


class CostCounter:
    """Counts for one schema; each pair of a subschema and a value is counted once.

    *pattern_bytes* returns the compiled size of a pattern.
    """

    def __init__(
        self,
        schema: JsonSchema,
        pattern_bytes: Callable[[str], int],
        max_evaluations: int = MAX_EVALUATIONS,
    ) -> None:
        self._root = schema
        self._pattern_bytes = pattern_bytes
        self._max_evaluations = max_evaluations
        self._costs: dict[tuple[int, int], Cost] = {}
        self._names: dict[int, list[str]] = {}  # kept, so that an id stays that of one value
        self._weights: dict[int, int] = {}
        self._targets_of: dict[str, list[JsonSchema]] = {}
        self._pattern_sizes: dict[str, int] = {}
        self._under_way: set[tuple[int, int]] = set()
        self._counted = 0

    def count(self, schema: JsonSchema, value: Json) -> Cost:
        """Return the cost of applying *schema* to *value*.

        Raises:
            TooCostlyError: the evaluations are more than are allowed, or never end.
        """
        if not isinstance(schema, dict):
            return Cost(1, self._weight(value))
        pair = (id(schema), id(value))
        if pair in self._costs:
            return self._costs[pair]
        if pair in self._under_way:
            raise TooCostlyError("a reference leads back to the schema that it is in")
        if len(self._under_way) > _MAX_CHAIN:
            raise TooCostlyError(f"more than {_MAX_CHAIN} schemas lead to one another")
        self._under_way.add(pair)
        evaluations = self._checked(1 + self._keywords(schema, value))
        # Each keyword may reject the value, and so may each name that a keyword lists.
        held_values = self._weight(schema) * self._weight(value)
        for subschema, part in self._subschemas(schema, value):
            cost = self.count(subschema, part)
            evaluations = self._checked(evaluations + cost.evaluations)
            held_values += cost.held_values
            self._counted += 1
        # These keywords look at everything a second time.
        times = 2 if any(key in schema for key in _UNEVALUATED) else 1
        self._under_way.discard(pair)
        self._costs[pair] = Cost(times * evaluations, times * held_values)
        return self._costs[pair]

    def _checked(self, evaluations: int) -> int:
        if max(evaluations, self._counted) > self._max_evaluations:
            message = f"it may take more than the {MAX_EVALUATIONS:,} evaluations allowed"
            raise TooCostlyError(message)
        return evaluations

    def _weight(self, value: Json) -> int:
        if not isinstance(value, dict | list):
            return weight(value)
        if id(value) not in self._weights:
            self._weights[id(value)] = weight(value)
        return self._weights[id(value)]

    def _keywords(self, schema: JsonObject, value: Json) -> int:
        """Return what the keywords of *schema* cost by themselves, without subschemas."""
        cost = len(schema) + len(_list(schema.get("enum"))) // 4
        if isinstance(value, str):
            cost += len(value) // _CHARACTERS_A_STEP
            if isinstance(pattern := schema.get("pattern"), str):
                cost += self._search(pattern, len(value))
        elif isinstance(value, list | dict):
            cost += len(value)
        if isinstance(value, dict) and (patterns := _mapping(schema.get("patternProperties"))):
            characters = sum(map(len, value))
            cost += len(value) * len(patterns)
            cost += sum(self._search(pattern, characters) for pattern in patterns)
        return cost

    def _search(self, pattern: str, characters: int) -> int:
        if not characters:
            return 0
        if pattern not in self._pattern_sizes:
            self._pattern_sizes[pattern] = self._pattern_bytes(pattern)
        return characters * self._pattern_sizes[pattern] // _PATTERN_BYTES_A_STEP

    def _subschemas(self, schema: JsonObject, value: Json) -> Iterator[tuple[JsonSchema, Json]]:
        """Yield the schemas that are applied with *schema*, each with the value it applies to."""
        in_place = [target for name in references(schema) for target in self._targets(name)]
        in_place += [inner for key in _LISTS_IN_PLACE for inner in _list(schema.get(key))]
        in_place += [schema[key] for key in _IN_PLACE if key in schema]
        in_place += _mapping(schema.get("dependentSchemas")).values()
        for inner in in_place:
            yield inner, value
        if isinstance(value, list):
            yield from zip(_list(schema.get("prefixItems")), value, strict=False)
            of_items = [schema[key] for key in _OF_ITEMS if isinstance(schema.get(key), dict)]
            yield from ((inner, item) for inner in of_items for item in value)
        elif isinstance(value, dict):
            yield from self._of_members(schema, value)

    def _of_members(
        self, schema: JsonObject, value: JsonObject
    ) -> Iterator[tuple[JsonSchema, Json]]:
        named = _mapping(schema.get("properties"))
        for name in named.keys() & value.keys():
            yield named[name], value[name]
        for inner in _mapping(schema.get("patternProperties")).values():
            for member in value.values():
                yield inner, member
        for key in _OF_MEMBERS:
            if isinstance(inner := schema.get(key), dict):
                for member in value.values():
                    yield inner, member
        if isinstance(inner := schema.get("propertyNames"), dict):
            for name in self._names.setdefault(id(value), list(value)):
                yield inner, name

    def _targets(self, reference: str) -> list[JsonSchema]:
        if reference not in self._targets_of:
            self._targets_of[reference] = list(self._resolved(reference))
        return self._targets_of[reference]

    def _resolved(self, reference: str) -> Iterator[JsonSchema]:
        fragment = unquote(reference.removeprefix("#"))
        if fragment and not fragment.startswith("/"):
            for node in nodes(self._root):
                if fragment in (node.get("$anchor"), node.get("$dynamicAnchor")):
                    yield node
            return
        target: Json = self._root
        for part in fragment.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list):
                target = target[int(key)] if key.isdecimal() and int(key) < len(target) else None
            else:
                target = _mapping(target).get(key)
        yield target


def references(node: JsonObject) -> list[str]:
    """Return what *node* itself refers to."""
    return [name for key in _REFERENCES if isinstance(name := node.get(key), str)]


def nodes(value: Json) -> Iterator[JsonObject]:
    """Yield every object in *value*, itself first."""
    todo = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            yield node
            todo += node.values()
        elif isinstance(node, list):
            todo += node


def weight(value: Json) -> int:
    """Return how many values are in *value*, where a long text counts as several."""
    total = 0
    todo = [value]
    while todo:
        node = todo.pop()
        total += 1
        if isinstance(node, str):
            total += len(node) // _CHARACTERS_A_STEP
        elif isinstance(node, dict):
            todo += node
            todo += node.values()
        elif isinstance(node, list):
            todo += node
    return total


def _list(value: Json) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
