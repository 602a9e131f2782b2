"""Checks the parameters of a step against the model of its executor.

This is apart from the compiler's other checks because a step repeats it once its templates are
filled in, and must not pay for importing the compiler. It repeats it in the sandbox, which has
imported the executors and pydantic already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from taskrunner.executors.parameters import Given
from taskrunner.executors.work import ExecutorFailure
from taskrunner.model import json_path
from taskrunner.model.wording import closest, kind_of, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from taskrunner import executors
    from taskrunner.model.json_path import JsonPath

# pydantic's kinds of error in the words of a pack's author; a validator of ours has its own words.
_MESSAGES: Final = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than_equal": "must be {ge:g} or more",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than_equal": "must be {le:g} or less",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be text",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have at most {max_length} entries, not {actual_length}",
}
_OF_ANOTHER_KIND: Final = frozenset(
    {"bool_type", "dict_type", "float_type", "int_type", "list_type", "string_type"}
)
# The kind of error of a parameter that an executor sets itself.
RESERVED: Final = "reserved"
# The kind of error of a key in a mapping, which names what is wrong with it.
KEY: Final = "key"
# The end of the place that pydantic gives such an error.
_AT_KEY: Final = "[key]"
# Template values cannot make these errors go away.
_INDEPENDENT_OF_VALUES: Final = frozenset({"extra_forbidden", "missing", RESERVED, KEY})


def misfits(
    executor: executors.Executor, value: object, still_open: Iterable[JsonPath]
) -> Iterator[tuple[JsonPath, str]]:
    """Yield each problem of an executor's parameters with its path in `with`.

    *still_open* are the paths of values that are not known yet. A problem that touches one of them
    is not reported. A rule over several parameters says itself which of them it has to know.
    """
    open_paths = frozenset(still_open)
    open_parents = {path[:length] for path in open_paths for length in range(len(path))}
    details = _details(executor, value)
    misspelt = {
        meant: detail["input"]
        for detail in details
        if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1
        if (meant := closest(str(detail["loc"][-1]), _names(executor))) is not None
    }
    for detail in details:
        if detail["type"] == "missing" and detail["loc"][-1] in misspelt:
            continue  # the misspelt one is reported
        path = _path(detail)
        is_open = path in open_parents or any(
            path[:length] in open_paths for length in range(len(path) + 1)
        )
        if not is_open or detail["type"] in _INDEPENDENT_OF_VALUES:
            yield path, _message(detail, executor)
    if isinstance(value, dict):
        given = Given({**misspelt, **value}, open_paths)
        for path, problem in executor.Parameters.contradictions(given):
            yield path, f"'{_name(path)}': {problem}"


def checked(executor: executors.Executor, value: object) -> BaseModel:
    """Return the parameters that *executor* is given, all values of which are known.

    Raises:
        ExecutorFailure: they do not fit; the message names the first problem.
    """
    for path, problem in misfits(executor, value, ()):
        raise ExecutorFailure(f"{json_path.render(('with', *path))}: {problem}")
    return executor.Parameters.model_validate(value)


def _details(executor: executors.Executor, value: object) -> list[ErrorDetails]:
    try:
        executor.Parameters.model_validate(value)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _name(path: JsonPath) -> str | int:
    return path[-1] if path else "with"


def _path(detail: ErrorDetails) -> JsonPath:
    path = detail["loc"]
    return path[:-1] if detail["type"] == KEY and path[-1] == _AT_KEY else path


def _message(detail: ErrorDetails, executor: executors.Executor) -> str:
    kind, name = detail["type"], _name(_path(detail))
    if kind == "extra_forbidden":
        return f"unknown parameter '{name}'{nearest(str(name), _names(executor))}"
    if kind == "missing":
        return f"the parameter '{name}' is missing; it is required"
    if kind == RESERVED:
        return f"'{name}' {detail['msg']}"
    if kind in _MESSAGES:
        predicate = _MESSAGES[kind].format_map(detail.get("ctx", {}))
        # A text may be, or hold, a secret; its kind does not.
        given = f", not {kind_of(detail['input'])}" if kind in _OF_ANOTHER_KIND else ""
        return f"'{name}' {predicate}{given}"
    return f"'{name}': {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _names(executor: executors.Executor) -> list[str]:
    fields = executor.Parameters.model_fields
    return [field.alias or python_name for python_name, field in fields.items()]
