"""JSON Schema 2020-12 for inputs, within bounds: whoever writes a schema chooses what it costs.

The validator itself knows no limit. So a pattern is for an engine that is linear in the text, and
the evaluations that a schema may cause are counted before it is used: references can double with
each step, `unevaluatedProperties` looks at everything twice, and a tree of `anyOf` multiplies with
the depth of the value. Counted are subschemas times values, at worst; never seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote

from taskrunner.compiler import report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.json_path import Path
    from taskrunner.model.json_types import Json, JsonObject

    # A schema may be true or false; that makes it no flag of the functions below.
    JsonSchema: TypeAlias = JsonObject | bool

MAX_EVALUATIONS: Final = 2_000_000
MAX_REFERENCES: Final = 100
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MAX_PATTERN_BYTES: Final = 1024 * 1024  # of a compiled pattern
_MAX_CHAIN: Final = 400  # of schemas that lead to one another, far below what any stack allows
_CHARACTERS_A_STEP: Final = 16
# Below this many values that errors may tell, every error is told; beyond it the first alone.
_FEW: Final = 1_000_000
_REFERENCES: Final = ("$ref", "$dynamicRef")
_IN_PLACE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE: Final = ("not", "if", "then", "else")
_OF_ITEMS: Final = ("items", "contains", "unevaluatedItems")
_OF_MEMBERS: Final = ("additionalProperties", "unevaluatedProperties")
_PATTERNS: Final = (
    "; a pattern has no look-around and no back references, and compiles to at most 1 MiB"
)


class _TooMuchError(Exception):
    """The schema, or the schema over a value, is beyond the limit that the message tells."""


def problem(schema: JsonSchema) -> tuple[Path, str] | None:
    """Why *schema* is no usable JSON Schema, and where in it; None when it is one."""
    import jsonschema_rs  # noqa: PLC0415 - few packs have schemas, and every cold start would pay

    if (misused := _misused(schema)) is not None:
        return (), misused
    try:
        _validator(schema)
        effort = _Effort(schema)
        for one in _nodes(schema):
            effort.count(one, None)
    except _TooMuchError as error:
        return (), str(error)
    except jsonschema_rs.ValidationError as error:
        place = tuple(error.instance_path)
        hint = _PATTERNS if '"regex"' in error.message else ""
        message = report.shortened(error.message.splitlines()[0], 200)
        return place, f"not a valid JSON Schema: {message}{hint}"
    except ValueError as error:
        message = report.shortened(str(error).splitlines()[0], 200)
        hint = _PATTERNS if "regex" in message else ""
        return (), f"not a valid JSON Schema: {message}{hint}"
    return None


def misfits(schema: JsonSchema, value: Json) -> Iterator[tuple[Path, str]]:
    """What *schema* has against *value*, with its path in it."""
    import jsonschema_rs  # noqa: PLC0415 - as above

    try:
        told = _Effort(schema).count(schema, value).told
    except _TooMuchError as error:
        yield (), f"the value cannot be checked against its schema: {error}"
        return
    validator = _validator(schema)
    if told > _FEW:
        # Each error tells the whole value that is wrong, and all are made before the first is read.
        try:
            validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            yield tuple(error.instance_path), report.shortened(error.message)
        return
    for number, found in enumerate(validator.iter_errors(value)):
        if number > report.MAX_PROBLEMS:
            break
        yield tuple(found.instance_path), report.shortened(found.message)


def _validator(schema: JsonSchema) -> Any:  # noqa: ANN401 - its class is not imported at the top
    import jsonschema_rs  # noqa: PLC0415 - as above

    return jsonschema_rs.Draft202012Validator(
        schema,
        pattern_options=jsonschema_rs.RegexOptions(size_limit=_MAX_PATTERN_BYTES),
        offline=True,
    )


def _misused(schema: JsonSchema) -> str | None:
    """What this project does not take of JSON Schema, or None."""
    references = [ref for node in _nodes(schema) for ref in _references(node)]
    remote = next((ref for ref in references if not ref.startswith("#")), None)
    if remote is not None:
        shown = remote[:80]
        return f"the schema refers to '{shown}'; only references inside it ('#/...') are allowed"
    if len(references) > MAX_REFERENCES:
        return f"the schema has {len(references)} references; at most {MAX_REFERENCES} are allowed"
    for node in _nodes(schema):
        name, dialect = node.get("$id"), node.get("$schema")
        if node is not schema and isinstance(name, str):
            return f"a schema inside has the $id '{name[:80]}'; only the outermost may have one"
        if isinstance(dialect, str) and dialect.rstrip("#") != DIALECT:
            return f"the schema is written for '{dialect[:80]}'; there is {DIALECT} alone"
    return None


def _references(node: JsonObject) -> list[str]:
    return [ref for key in _REFERENCES if isinstance(ref := node.get(key), str)]


def _nodes(value: Json) -> Iterator[JsonObject]:
    """Every object in *value*, itself first."""
    todo = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            yield node
            todo += node.values()
        elif isinstance(node, list):
            todo += node


def _weight(value: Json) -> int:
    """How many values *value* is, and so many more as its texts are long."""
    weight = 0
    todo = [value]
    while todo:
        node = todo.pop()
        weight += 1
        if isinstance(node, str):
            weight += len(node) // _CHARACTERS_A_STEP
        elif isinstance(node, dict):
            todo += node
            todo += node.values()
        elif isinstance(node, list):
            todo += node
    return weight


class _Cost(NamedTuple):
    """What evaluating a schema over a value takes, at worst: *told* are the values in errors."""

    evaluations: int
    told: int


class _Effort:
    """Counts the evaluations that a schema may cause; the same pair is counted once and kept."""

    def __init__(self, schema: JsonSchema) -> None:
        self._root = schema
        self._known: dict[tuple[int, int], _Cost] = {}
        self._names: dict[int, list[str]] = {}  # kept, so that an id stays that of one value
        self._weights: dict[int, int] = {}
        self._found: dict[str, list[JsonSchema]] = {}
        self._under_way: set[tuple[int, int]] = set()
        self._counted = 0

    def count(self, schema: JsonSchema, value: Json) -> _Cost:
        """The cost of *schema* over *value*.

        Raises:
            _TooMuchError: they are more than MAX_EVALUATIONS, or never end.
        """
        if not isinstance(schema, dict):
            return _Cost(1, self._weigh(value))
        pair = (id(schema), id(value))
        if pair in self._known:
            return self._known[pair]
        if pair in self._under_way:
            raise _TooMuchError("a reference leads back to the schema that it stands in")
        if len(self._under_way) > _MAX_CHAIN:
            raise _TooMuchError(f"more than {_MAX_CHAIN} schemas lead to one another")
        self._under_way.add(pair)
        total = 1 + _own(schema, value)
        # Each keyword may be against the value, each name that it lists too, and all tell it whole.
        told = self._weigh(schema) * self._weigh(value)
        for inner, at in self._parts(schema, value):
            cost = self.count(inner, at)
            total += cost.evaluations
            told += cost.told
            self._counted += 1
            if max(total, self._counted) > MAX_EVALUATIONS:
                message = f"it may take more than the {MAX_EVALUATIONS:,} evaluations allowed"
                raise _TooMuchError(message)
        if "unevaluatedProperties" in schema or "unevaluatedItems" in schema:
            total *= 2
            told *= 2
        self._under_way.discard(pair)
        self._known[pair] = _Cost(total, told)
        return self._known[pair]

    def _weigh(self, value: Json) -> int:
        if not isinstance(value, dict | list):
            return _weight(value)
        if id(value) not in self._weights:
            self._weights[id(value)] = _weight(value)
        return self._weights[id(value)]

    def _parts(self, schema: JsonObject, value: Json) -> Iterator[tuple[JsonSchema, Json]]:
        """The schemas that come with *schema*, each with the value that it is evaluated over."""
        in_place = [target for ref in _references(schema) for target in self._targets(ref)]
        in_place += [inner for key in _IN_PLACE_LISTS for inner in _list(schema.get(key))]
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
        if reference not in self._found:
            self._found[reference] = self._looked_for(reference)
        return self._found[reference]

    def _looked_for(self, reference: str) -> list[JsonSchema]:
        fragment = unquote(reference.removeprefix("#"))
        if fragment and not fragment.startswith("/"):
            anchors = ("$anchor", "$dynamicAnchor")
            return [n for n in _nodes(self._root) if fragment in [n.get(key) for key in anchors]]
        target: Json = self._root
        for part in fragment.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list):
                target = target[int(key)] if key.isdecimal() and int(key) < len(target) else None
            else:
                target = _map(target).get(key)
        return [target]


def _own(schema: JsonObject, value: Json) -> int:
    """What the keywords of *schema* itself cost, beside its subschemas."""
    cost = len(schema) + len(_list(schema.get("enum"))) // 4
    if isinstance(value, str):
        cost += len(value) // _CHARACTERS_A_STEP
    elif isinstance(value, list | dict):
        cost += len(value)
    if isinstance(value, dict):
        cost += len(value) * len(_map(schema.get("patternProperties")))
    return cost


def _list(value: Json) -> list[Any]:
    return value if isinstance(value, list) else []


def _map(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
