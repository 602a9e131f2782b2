"""JSON Schema 2020-12 for inputs, within bounds: whoever writes a schema chooses what it costs.

The validator itself knows no limit. So a pattern is for an engine that is linear in the text, and
the evaluations that a schema may cause are counted before it is used (schema_effort): references
can double with each step, `unevaluatedProperties` looks at everything twice, and a tree of `anyOf`
multiplies with the depth of the value. Counted are subschemas times values, at worst; never
seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from taskrunner.compiler import report
from taskrunner.compiler.schema_effort import (
    MAX_EVALUATIONS,
    Effort,
    TooMuchError,
    nodes,
    references,
)
from taskrunner.model import wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.compiler.schema_effort import JsonSchema
    from taskrunner.model.json_path import Path
    from taskrunner.model.json_types import Json

MAX_REFERENCES: Final = 100
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MAX_PATTERN_BYTES: Final = 1024 * 1024  # of a compiled pattern
_MAX_PATTERNS_BYTES: Final = 32 * 1024 * 1024  # of all patterns of a pack
_LEAST_PATTERN_BYTES: Final = 1024
# Below this many values that errors may hold, they are told; each holds the value that is wrong,
# and all are made before the first is read.
_FEW: Final = 1_000_000
_PATTERNS: Final = (
    "; a pattern has no look-around and no back references, and compiles to at most 1 MiB, the "
    "patterns of a pack to 32 MiB in all"
)


class Share:
    """What the *schemas* of a pack may take together; each of them has its share of it."""

    def __init__(self, schemas: Iterable[JsonSchema]) -> None:
        patterns = sum(_patterns_in(node) for schema in schemas for node in nodes(schema))
        self.pattern_bytes = min(_MAX_PATTERN_BYTES, _MAX_PATTERNS_BYTES // max(1, patterns))
        self.evaluations = MAX_EVALUATIONS


def problem(schema: JsonSchema, share: Share | None = None) -> tuple[Path, str] | None:
    """Why *schema* is no usable JSON Schema, and where in it; None when it is one."""
    import jsonschema_rs  # noqa: PLC0415 - few packs have schemas, and every cold start would pay

    if (misused := _misused(schema)) is not None:
        return (), misused
    try:
        _validator(schema, (share or Share([schema])).pattern_bytes)
        effort = Effort(schema, _compiled_bytes)
        for one in nodes(schema):
            effort.count(one, None)
    except TooMuchError as error:
        return (), str(error)
    except jsonschema_rs.ValidationError as error:
        place = tuple(error.instance_path)
        hint = _PATTERNS if '"regex"' in error.message else ""
        message = wording.shortened(error.message.splitlines()[0], 200)
        return place, f"not a valid JSON Schema: {message}{hint}"
    except ValueError as error:
        message = wording.shortened(str(error).splitlines()[0], 200)
        hint = _PATTERNS if "regex" in message else ""
        return (), f"not a valid JSON Schema: {message}{hint}"
    return None


def misfits(
    schema: JsonSchema, value: Json, share: Share | None = None
) -> Iterator[tuple[Path, str]]:
    """What *schema* has against *value*, with its path in it."""
    import jsonschema_rs  # noqa: PLC0415 - as above

    share = share or Share([schema])
    try:
        cost = Effort(schema, _compiled_bytes, share.evaluations).count(schema, value)
    except TooMuchError as error:
        yield (), f"the value cannot be checked against its schema: {error}"
        return
    share.evaluations -= cost.evaluations
    validator = _validator(schema, share.pattern_bytes)
    if cost.told <= _FEW:
        for number, found in enumerate(validator.iter_errors(value)):
            if number > report.MAX_PROBLEMS:
                break
            yield tuple(found.instance_path), wording.shortened(found.message)
    elif cost.first <= _FEW:
        try:
            validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            yield tuple(error.instance_path), wording.shortened(error.message)
    elif not validator.is_valid(value):
        yield (), "the value does not fit its schema, and it would take too much to say where"


def _validator(schema: JsonSchema, most: int) -> Any:  # noqa: ANN401 - its class is not imported at the top
    """The validator of *schema*, whose patterns compile to at most *most* bytes each.

    As much is what each remembers of a text while it is searched.
    """
    import jsonschema_rs  # noqa: PLC0415 - as above

    return jsonschema_rs.Draft202012Validator(
        schema,
        pattern_options=jsonschema_rs.RegexOptions(size_limit=most, dfa_size_limit=most),
        offline=True,
    )


def _patterns_in(node: Json) -> int:
    members = node.get("patternProperties")
    return ("pattern" in node) + (len(members) if isinstance(members, dict) else 0)


def _compiled_bytes(pattern: str) -> int:
    """The size of *pattern* once compiled, rounded up to a power of two."""
    size = _LEAST_PATTERN_BYTES
    while size < _MAX_PATTERN_BYTES:
        try:
            _validator({"pattern": pattern}, size)
        except ValueError:  # it has more; what is no pattern at all was told before
            size *= 2
        else:
            break
    return size


def _misused(schema: JsonSchema) -> str | None:
    """What this project does not take of JSON Schema, or None."""
    found = [ref for node in nodes(schema) for ref in references(node)]
    remote = next((ref for ref in found if not ref.startswith("#")), None)
    if remote is not None:
        shown = remote[:80]
        return f"the schema refers to '{shown}'; only references inside it ('#/...') are allowed"
    if len(found) > MAX_REFERENCES:
        return f"the schema has {len(found)} references; at most {MAX_REFERENCES} are allowed"
    for node in nodes(schema):
        name, dialect = node.get("$id"), node.get("$schema")
        if node is not schema and isinstance(name, str):
            return f"a schema inside has the $id '{name[:80]}'; only the outermost may have one"
        if isinstance(dialect, str) and dialect.rstrip("#") != DIALECT:
            return f"the schema is written for '{dialect[:80]}'; there is {DIALECT} alone"
    return None
