"""Messages about values that do not fit their shape, in an author's words and not pydantic's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic_core import ValidationError

from taskrunner.compiler.manifest.fields import FORMS
from taskrunner.compiler.manifest.keys import meant_key
from taskrunner.model.wording import nearest, shortened

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic_core import ErrorDetails

    from taskrunner.compiler.manifest.fields import NumberField
    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import Json

_MAX_SHOWN: Final = 60
_TYPES: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "list_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "parameters_type": "a mapping, or one whole {{ }} that gives an object",
    "schema_type": "a mapping, true or false",
    "whole_or_expression_type": "a whole number, or one whole {{ }} over inputs",
    "number_or_expression_type": "a number, or one whole {{ }} over inputs",
}
# The cure for `false` and `true`.
_CONDITION_HINTS: Final = {
    "when": ("remove the step or use an input", "leave it out or use an input"),
    "condition": (
        "remove the branch or use an input",
        "put its steps under 'else', or use an input",
    ),
    "until": ("leave it out", "use one item, or an expression"),
    "require": ("use an expression", "remove the rule"),
}
# The predicates that follow the name of a key. The fields in braces are pydantic's, and the value.
_PREDICATES: Final = {
    "missing": "is missing; it is required",
    "literal_error": "must be {expected}, not {given}",
    "greater_than_equal": "must be at least {ge}, not {given}",
    "less_than_equal": "must be at most {le}, not {given}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
}
# A gate holds its approval or its policy, and the other kinds stand in the step itself.
_GATES: Final = (("gate",), ("approval",))
_KIND_KEYS: Final = (
    ("run",), ("parallel",), ("map",), ("loop",), ("conditional",), ("policy",), *_GATES,
)  # fmt: skip
_KEYS_OF_STEPS: Final = ("name", "when", "continueOnError")
_KEYS_OF_RUN_STEPS: Final = (*_KEYS_OF_STEPS, "retries", "timeoutSeconds")
_KEYS_OF_APPROVALS: Final = (
    "grants", "minApprovals", "distinctFromRequester", "expiresAfterSeconds", "scope",
)  # fmt: skip

NO_STEP: Final = "'step' must not be 0"


def message(
    detail: ErrorDetails, path: JsonPath, known_keys: Collection[str], number: str | None = None
) -> str:
    """Return the message for one of pydantic's errors at *path*, as the author wrote it.

    *known_keys* are the keys that would be allowed there; *number* is how a number is written.
    """
    last, kind, context = path[-1], detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _misplaced_key(path, tuple(detail["loc"])) or _unknown_key(path, known_keys)
    key = f"'{last}'" if isinstance(last, str) else f"item {last} of '{path[-2]}'"
    given = shown(detail["input"]) if number is None else shortened(number, _MAX_SHOWN)
    if kind == "string_type" and last in _CONDITION_HINTS:
        hints = dict(zip(("false", "true"), _CONDITION_HINTS[str(last)], strict=True))
        hint = hints.get(given, "put the expression in quotes")
        return f"{key} must be an expression, not {given}; {hint}"
    if kind in _TYPES and last == "items":
        return f"{key} must be an expression, {{range: ...}} or {{static: [...]}}, not {given}"
    if kind in _TYPES:
        is_scalar = isinstance(detail["input"], (bool, int, float))
        hint = "; put it in quotes" if kind == "string_type" and is_scalar else ""
        return f"{key} must be {_TYPES[kind]}, not {given}{hint}"
    if kind == "string_pattern_mismatch":
        return f"{key} is {given}, but must be {FORMS[context['pattern']]}"
    predicate = _PREDICATES.get(kind, "cannot be {given}")
    # A bound of a number is given as a float.
    bounds = {name: f"{bound:g}" for name, bound in context.items() if isinstance(bound, float)}
    return f"{key} {predicate.format(**context | bounds, given=given)}"


def number_misfit(field: NumberField[Any], value: Json, path: JsonPath) -> str | None:
    """Return the message for *value* of an expression at *path* that does not fit; else None."""
    try:
        field.validator.validate_python(value)
    except ValidationError as error:
        hint = "; give the input a value, or a default" if value is None else ""
        return message(error.errors(include_url=False)[0], path, ()) + hint
    return None


def shown(value: Json) -> str:
    """Return *value* as a message shows it: short, and in words for what is long."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{shortened(value, _MAX_SHOWN)}'"
        case dict():
            return "a mapping"
        case list():
            return f"a list of {len(value)}"
        case _:
            return str(value)


def _misplaced_key(written: JsonPath, nested: JsonPath) -> str | None:
    """Return where the key at a path belongs, if it is one that authors put in a step's kind.

    *written* is its path in the manifest, and *nested* that in the nested form. None means that the
    key is not one of these.
    """
    key, block = str(written[-1]), nested[-2:-1]
    if block in _GATES and key in _KEYS_OF_APPROVALS:
        return f"unknown key '{key}' of a gate; set it in spec.approvals, on the gate's approval"
    is_step_key = key in (_KEYS_OF_RUN_STEPS if block == ("run",) else _KEYS_OF_STEPS)
    if written[-2:-1] == block and block in _KIND_KEYS and is_step_key:
        beside = "gate" if block in {*_GATES, ("policy",)} else block[0]
        return f"'{key}' is a key of the step; write it beside '{beside}', not in it"
    return None


def _unknown_key(path: JsonPath, known_keys: Collection[str]) -> str:
    key = str(path[-1])
    if path[:2] == ("spec", "secrets") and key == "value":
        return "a pack never holds a secret's value; store it in the deployment and remove it here"
    meant = meant_key(key, known_keys)
    return f"unknown key '{key}'{nearest(meant or key, known_keys)}"
