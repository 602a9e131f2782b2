"""What a JSON Schema may cost over a value, counted before it is used. See json_schemas.

Counted are subschemas times values, at worst. Texts count by their length, and over a pattern by
its compiled size, too: an engine that is linear in the text still looks at all states of a pattern
for each character.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner.model.json_types import Json, JsonObject

    # A schema may be true or false; that makes it no flag of the functions below.
    JsonSchema: TypeAlias = JsonObject | bool

MAX_EVALUATIONS: Final = 2_000_000
_MAX_CHAIN: Final = 400  # of schemas that lead to one another, far below what any stack allows
_CHARACTERS_A_STEP: Final = 16
# An evaluation takes about half a microsecond, and a character 0.2 ns for each byte of a pattern at
# worst: when each makes a state that was not seen before.
_PATTERN_BYTES_A_STEP: Final = 5_000
_REFERENCES: Final = ("$ref", "$dynamicRef")
_IN_PLACE_LISTS: Final = ("allOf",)
_CHOICES: Final = ("anyOf", "oneOf")
_IN_PLACE: Final = ("not", "if", "then", "else")
_OF_ITEMS: Final = ("items", "contains", "unevaluatedItems")
_OF_MEMBERS: Final = ("additionalProperties", "unevaluatedProperties")


class TooMuchError(Exception):
    """The schema, or the schema over a value, is beyond the limit that the message tells."""


class Cost(NamedTuple):
    """What evaluating a schema over a value takes, at worst.

    Each error holds the value that is wrong, and that of an `anyOf` all errors of its schemas as
    well. *told* are the values that all errors hold together, *first* those that one may hold.
    """

    evaluations: int
    told: int
    first: int


class Effort:
    """Counts what a schema may cause; the same pair is counted once and kept.

    *most* are the evaluations allowed, and *size_of* tells how many bytes a pattern has once
    compiled.
    """

    def __init__(
        self, schema: JsonSchema, size_of: Callable[[str], int], most: int = MAX_EVALUATIONS
    ) -> None:
        self._root = schema
        self._size_of = size_of
        self._most = most
        self._known: dict[tuple[int, int], Cost] = {}
        self._names: dict[int, list[str]] = {}  # kept, so that an id stays that of one value
        self._weights: dict[int, int] = {}
        self._targets_of: dict[str, list[JsonSchema]] = {}
        self._sizes: dict[str, int] = {}
        self._under_way: set[tuple[int, int]] = set()
        self._counted = 0

    def count(self, schema: JsonSchema, value: Json) -> Cost:
        """The cost of *schema* over *value*.

        Raises:
            TooMuchError: the evaluations are more than are allowed, or never end.
        """
        if not isinstance(schema, dict):
            return Cost(1, self._weigh(value), self._weigh(value))
        pair = (id(schema), id(value))
        if pair in self._known:
            return self._known[pair]
        if pair in self._under_way:
            raise TooMuchError("a reference leads back to the schema that it stands in")
        if len(self._under_way) > _MAX_CHAIN:
            raise TooMuchError(f"more than {_MAX_CHAIN} schemas lead to one another")
        self._under_way.add(pair)
        total = self._checked(1 + self._own(schema, value))
        # Each keyword may be against the value, and each of the names that it lists.
        told = self._weigh(schema) * self._weigh(value)
        first = 0
        for inner, at in self._parts(schema, value):
            cost = self.count(inner, at)
            total = self._checked(total + cost.evaluations)
            told += cost.told
            first = max(first, cost.first)
            self._counted += 1
        choices = (inner for key in _CHOICES for inner in _list(schema.get(key)))
        first = max(first, sum(self.count(inner, value).told for inner in choices))
        twice = 2 if "unevaluatedProperties" in schema or "unevaluatedItems" in schema else 1
        self._under_way.discard(pair)
        first += self._weigh(schema) + self._weigh(value)
        self._known[pair] = Cost(twice * total, twice * told, first)
        return self._known[pair]

    def _checked(self, total: int) -> int:
        if max(total, self._counted) > self._most:
            message = f"it may take more than the {MAX_EVALUATIONS:,} evaluations allowed"
            raise TooMuchError(message)
        return total

    def _weigh(self, value: Json) -> int:
        if not isinstance(value, dict | list):
            return weight(value)
        if id(value) not in self._weights:
            self._weights[id(value)] = weight(value)
        return self._weights[id(value)]

    def _own(self, schema: JsonObject, value: Json) -> int:
        """What the keywords of *schema* itself cost, beside its subschemas."""
        cost = len(schema) + len(_list(schema.get("enum"))) // 4
        if isinstance(value, str):
            cost += len(value) // _CHARACTERS_A_STEP
            if isinstance(pattern := schema.get("pattern"), str):
                cost += self._search(pattern, len(value))
        elif isinstance(value, list | dict):
            cost += len(value)
        if isinstance(value, dict) and (patterns := _map(schema.get("patternProperties"))):
            characters = sum(map(len, value))
            cost += len(value) * len(patterns)
            cost += sum(self._search(pattern, characters) for pattern in patterns)
        return cost

    def _search(self, pattern: str, characters: int) -> int:
        if not characters:
            return 0
        if pattern not in self._sizes:
            self._sizes[pattern] = self._size_of(pattern)
        return characters * self._sizes[pattern] // _PATTERN_BYTES_A_STEP

    def _parts(self, schema: JsonObject, value: Json) -> Iterator[tuple[JsonSchema, Json]]:
        """The schemas that come with *schema*, each with the value that it is evaluated over."""
        in_place = [target for ref in references(schema) for target in self._targets(ref)]
        in_place += [
            inner for key in _IN_PLACE_LISTS + _CHOICES for inner in _list(schema.get(key))
        ]
        in_place += [schema[key] for key in _IN_PLACE if key in schema]
        in_place += _map(schema.get("dependentSchemas")).values()
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
        named = _map(schema.get("properties"))
        for name in named.keys() & value.keys():
            yield named[name], value[name]
        for inner in _map(schema.get("patternProperties")).values():
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
            self._targets_of[reference] = list(self._looked_for(reference))
        return self._targets_of[reference]

    def _looked_for(self, reference: str) -> Iterator[JsonSchema]:
        fragment = unquote(reference.removeprefix("#"))
        if fragment and not fragment.startswith("/"):
            anchors = ("$anchor", "$dynamicAnchor")
            yield from (n for n in nodes(self._root) if fragment in [n.get(key) for key in anchors])
            return
        target: Json = self._root
        for part in fragment.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list):
                target = target[int(key)] if key.isdecimal() and int(key) < len(target) else None
            else:
                target = _map(target).get(key)
        yield target


def references(node: JsonObject) -> list[str]:
    """What *node* itself refers to."""
    return [ref for key in _REFERENCES if isinstance(ref := node.get(key), str)]


def nodes(value: Json) -> Iterator[JsonObject]:
    """Every object in *value*, itself first."""
    todo = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            yield node
            todo += node.values()
        elif isinstance(node, list):
            todo += node


def weight(value: Json) -> int:
    """How many values *value* is, and so many more as its texts are long."""
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


def _map(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
