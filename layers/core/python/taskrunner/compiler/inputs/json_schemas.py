"""JSON Schema 2020-12 for inputs, within bounds: an author chooses what a schema costs.

The validator itself has no limit. References can double with each step, `unevaluatedProperties`
looks at everything twice, and a tree of `anyOf` multiplies with the depth of the value. So the cost
is counted first (schema_cost), patterns run on an engine whose time is linear in the text, and
errors are listed only when they contain few values.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from taskrunner.compiler.inputs.schema_cost import (
    MAX_EVALUATIONS,
    CostCounter,
    TooCostlyError,
    nodes,
    references,
)
from taskrunner.compiler.problems import MAX_PROBLEMS, Problem
from taskrunner.expressions import patterns
from taskrunner.model import wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.compiler.inputs.schema_cost import JsonSchema
    from taskrunner.model.json_types import Json, JsonObject

MAX_REFERENCES: Final = 100
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MAX_PATTERNS_BYTES: Final = 32 * 1024 * 1024  # of all patterns of a pack
# Each error holds the value that does not match, and the validator makes all errors before the
# first can be read.
_MAX_HELD_VALUES: Final = 1_000_000
_MAX_SHOWN: Final = 200
_MAX_NAME_SHOWN: Final = 80
_PATTERN_RULES: Final = (
    "; a pattern has no look-around and no back references, and compiles to at most 1 MiB, the "
    "patterns of a pack to 32 MiB in all"
)


class SchemaAllowance:
    """The allowance that the *schemas* of a pack share.

    Each pattern may compile to *pattern_bytes*; *evaluations* are left for values.
    """

    def __init__(self, schemas: Iterable[JsonSchema]) -> None:
        count = sum(_pattern_count(node) for schema in schemas for node in nodes(schema))
        self.pattern_bytes = min(patterns.MAX_BYTES, _MAX_PATTERNS_BYTES // max(1, count))
        self.evaluations = MAX_EVALUATIONS


def problem(schema: JsonSchema, allowance: SchemaAllowance) -> Problem | None:
    """Return why *schema* cannot be used, and where in it; None when it can."""
    import jsonschema_rs  # noqa: PLC0415 - few packs have schemas, and every cold start would pay

    if (unsupported := _unsupported(schema)) is not None:
        return Problem((), unsupported)
    try:
        patterns.validator(schema, allowance.pattern_bytes)
        counter = CostCounter(schema, patterns.compiled_bytes)
        for node in nodes(schema):
            counter.count(node, None)
    except TooCostlyError as error:
        return Problem((), str(error))
    except jsonschema_rs.ValidationError as error:
        return Problem(tuple(error.instance_path), _invalid(error.message))
    except ValueError as error:
        return Problem((), _invalid(str(error)))
    return None


def misfits(schema: JsonSchema, value: Json, allowance: SchemaAllowance) -> Iterator[Problem]:
    """Yield what in *value* does not match *schema*, with its path in the value."""
    try:
        cost = CostCounter(schema, patterns.compiled_bytes, allowance.evaluations).count(
            schema, value
        )
    except TooCostlyError as error:
        yield Problem((), f"the value cannot be checked against its schema: {error}")
        return
    allowance.evaluations -= cost.evaluations
    validator = patterns.validator(schema, allowance.pattern_bytes)
    if cost.held_values > _MAX_HELD_VALUES:
        if not validator.is_valid(value):
            yield Problem((), "the value does not match its schema; it is too large to say where")
        return
    for misfit in islice(validator.iter_errors(value), MAX_PROBLEMS + 1):
        yield Problem(tuple(misfit.instance_path), wording.shortened(misfit.message))


def _invalid(reason: str) -> str:
    """Return the message for a schema that the validator refused for *reason*."""
    shown = wording.shortened(reason.splitlines()[0], _MAX_SHOWN)
    hint = _PATTERN_RULES if "regex" in shown else ""
    shown = shown.replace('is not a "regex"', "is not a supported pattern")
    return f"not a valid JSON Schema: {shown}{hint}"


def _pattern_count(node: JsonObject) -> int:
    members = node.get("patternProperties")
    return ("pattern" in node) + (len(members) if isinstance(members, dict) else 0)


def _unsupported(schema: JsonSchema) -> str | None:
    """Return what *schema* uses of JSON Schema that this service does not support, or None."""
    names = [name for node in nodes(schema) for name in references(node)]
    remote = next((name for name in names if not name.startswith("#")), None)
    if remote is not None:
        shown = remote[:_MAX_NAME_SHOWN]
        return f"the schema refers to '{shown}'; only references inside it ('#/...') are allowed"
    if len(names) > MAX_REFERENCES:
        return f"the schema has {len(names)} references; at most {MAX_REFERENCES} are allowed"
    for node in nodes(schema):
        name, dialect = node.get("$id"), node.get("$schema")
        if node is not schema and isinstance(name, str):
            shown = name[:_MAX_NAME_SHOWN]
            return f"a schema inside has the $id '{shown}'; only the outermost schema may have one"
        if isinstance(dialect, str) and dialect.rstrip("#") != DIALECT:
            shown = dialect[:_MAX_NAME_SHOWN]
            return f"the schema is written for '{shown}'; only {DIALECT} is supported"
    return None
