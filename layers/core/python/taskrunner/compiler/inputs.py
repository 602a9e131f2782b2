"""A pack's inputs: what the author declares, and the values that a run is given for them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from taskrunner.compiler import json_schemas, report
from taskrunner.compiler.source import MAX_DEPTH
from taskrunner.errors import Diagnostic
from taskrunner.model import json_path
from taskrunner.model.json_types import unusable
from taskrunner.model.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskrunner.compiler.schema import Input
    from taskrunner.model.json_types import Json, JsonMapping, JsonObject

_PYTHON_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def resolve(declared: Sequence[Input], given: JsonMapping) -> tuple[JsonObject, list[Diagnostic]]:
    """The value of every declared input, null where there is none, and what is wrong with *given*.

    A value that is given as null counts as not given. Paths read `$.inputs.<name>`.
    """
    # A path has the keys of a value, which are as long as whoever gives it likes.
    problems = [
        Diagnostic(json_path.render(("inputs", *path)), message)
        for path, message in islice(_problems(declared, given), report.MAX_PROBLEMS + 1)
    ]
    values = {
        one.name: one.default if given.get(one.name) is None else given[one.name]
        for one in declared
    }
    return values, problems


def _problems(
    declared: Sequence[Input], given: JsonMapping
) -> Iterator[tuple[json_path.Path, str]]:
    names = {one.name for one in declared}
    share = share_of(declared)
    for name in given:
        if name not in names:
            hint = nearest(name, names) if names else "; the pack declares none"
            yield (name,), f"the pack has no input '{name[:80]}'{hint}"
    for one in declared:
        value = given.get(one.name)
        if value is not None:
            yield from (((one.name, *at), message) for at, message in misfits(one, value, share))
        elif one.required:
            yield (one.name,), f"the input '{one.name}' is required"


def share_of(declared: Iterable[Input]) -> json_schemas.Share:
    """What the schemas of all inputs may take together."""
    schemas = (one.json_schema for one in declared)
    return json_schemas.Share(schema for schema in schemas if schema is not None)


def misfits(
    declared: Input, value: Json, share: json_schemas.Share | None = None
) -> Iterator[tuple[json_path.Path, str]]:
    """Why *value* is none for this input: of another type, no JSON, or against its schema."""
    of_type = isinstance(value, _PYTHON_TYPES[declared.type])
    if not of_type or (isinstance(value, bool) and declared.type != "boolean"):
        yield (), f"'{declared.name}' must be of type {declared.type}, not {_type_name(value)}"
        return
    if _is_deeper(value, MAX_DEPTH):
        yield (), f"'{declared.name}' is nested deeper than {MAX_DEPTH} levels"
        return
    is_broken = False
    for broken in unusable(value):
        is_broken = True
        yield broken
    if not is_broken and declared.json_schema is not None:
        yield from json_schemas.misfits(declared.json_schema, value, share)


def _is_deeper(value: Json, levels: int) -> bool:
    """Level by level, since a call for each would let Python's stack decide."""
    level = [value]
    for _ in range(levels + 1):
        level = [child for node in level for child in _children(node)]
    return bool(level)


def _children(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _type_name(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    return next(name for name, types in _PYTHON_TYPES.items() if isinstance(value, types))
