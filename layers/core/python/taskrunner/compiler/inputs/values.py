"""The values of inputs: what an author declares, and what a run is given for it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from taskrunner.compiler.inputs import json_schemas
from taskrunner.compiler.inputs.json_schemas import SchemaAllowance
from taskrunner.compiler.manifest.source import MAX_DEPTH
from taskrunner.compiler.problems import MAX_PROBLEMS, Problem
from taskrunner.errors import Diagnostic
from taskrunner.model import json_path
from taskrunner.model.json_numbers import InexactNumber, is_whole
from taskrunner.model.json_types import normal, too_deep, unusable
from taskrunner.model.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskrunner.compiler.manifest.repair import Repaired
    from taskrunner.compiler.manifest.shapes import InputShape
    from taskrunner.model.json_types import Json, JsonMapping, JsonObject

_PYTHON_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_MAX_NAME_SHOWN: Final = 80


def problems(
    declared: Sequence[InputShape], given: JsonMapping, broken: Repaired | None = None
) -> list[Diagnostic]:
    """Return all that is wrong with *given*; its paths read `$.inputs.<name>`.

    With a manifest that is *broken*, values that are missing are not reported, nor what follows
    from a mistake in a declaration.
    """
    found = _problems(declared, given)
    if broken is not None:
        found = _without_consequences(declared, given, broken)
    # Cut before rendering: a path may have keys of a value, which can be of any length.
    return [
        Diagnostic(json_path.render(("inputs", *path)), message)
        for path, message in islice(found, MAX_PROBLEMS + 1)
    ]


def unfit_names(declared: Sequence[InputShape], found: Sequence[Diagnostic]) -> frozenset[str]:
    """Return the names of the *declared* inputs whose values have a mistake.

    *found* are those that `problems` returns. If there may be more, each input counts as unfit.
    """
    names = frozenset(shape.name for shape in declared)
    if len(found) > MAX_PROBLEMS:
        return names
    paths = (json_path.parse(diagnostic.path) or () for diagnostic in found)
    return names.intersection(part for path in paths for part in path[1:2])


def _without_consequences(
    declared: Sequence[InputShape], given: JsonMapping, broken: Repaired
) -> Iterator[Problem]:
    # A schema with a mistake is not looked at: no value can be checked against it.
    sound = [
        shape for index, shape in enumerate(declared) if not broken.hides(("spec", "inputs", index))
    ]
    sound_names = {shape.name for shape in sound}
    is_complete = not broken.unsure("inputs")
    names = {shape.name for shape in declared}
    for problem in _problems(sound, given):
        name = problem.path[0]
        if (name in sound_names and name in given) or (is_complete and name not in names):
            yield problem


def resolve(declared: Sequence[InputShape], given: JsonMapping) -> JsonObject:
    """Return the value of every declared input; null for one that has neither value nor default.

    *given* has no problems. A value that is given as null counts as not given.
    """
    return {
        shape.name: normal(shape.default if given.get(shape.name) is None else given[shape.name])
        for shape in declared
    }


def schema_allowance(declared: Iterable[InputShape]) -> SchemaAllowance:
    """Return what the schemas of all *declared* inputs may take together."""
    return SchemaAllowance(shape.json_schema for shape in declared if shape.json_schema is not None)


def misfits(declared: InputShape, value: Json, allowance: SchemaAllowance) -> Iterator[Problem]:
    """Yield why *value* is not one for this input: its type, its JSON, or its schema."""
    if not _is_of_type(value, declared.type):
        message = f"'{declared.name}' must be of type {declared.type}, not {_type_name(value)}"
        yield Problem((), message)
        return
    if too_deep(value, MAX_DEPTH) is not None:
        yield Problem((), f"'{declared.name}' is nested deeper than {MAX_DEPTH} levels")
        return
    is_usable = True
    for problem in unusable(value):
        is_usable = False
        yield Problem(*problem)
    if is_usable and declared.json_schema is not None:
        yield from json_schemas.misfits(declared.json_schema, normal(value), allowance)


def _problems(declared: Sequence[InputShape], given: JsonMapping) -> Iterator[Problem]:
    names = {shape.name for shape in declared}
    allowance = schema_allowance(declared)
    for name in given:
        if name not in names:
            hint = nearest(name, names) if names else "; the pack declares none"
            yield Problem((name,), f"the pack has no input '{name[:_MAX_NAME_SHOWN]}'{hint}")
    for shape in declared:
        value = given.get(shape.name)
        if value is not None:
            for path, message in misfits(shape, value, allowance):
                yield Problem((shape.name, *path), message)
        elif shape.required:
            yield Problem((shape.name,), f"the input '{shape.name}' is required")


def _is_of_type(value: Json, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if isinstance(value, float) and name == "integer":
        # However it is written. An InexactNumber is reported for what it is.
        return is_whole(value) or isinstance(value, InexactNumber)
    return isinstance(value, _PYTHON_TYPES[name])


def _type_name(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    if value is None:
        return "null"
    return next(name for name, types in _PYTHON_TYPES.items() if isinstance(value, types))
