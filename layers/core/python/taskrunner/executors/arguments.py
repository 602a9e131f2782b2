"""An executor's own word on the parameters that it is given.

Apart from the other checks, because a step repeats this one when its templates are filled in, and
must not pay for reading packs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from taskrunner.model.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner import executors
    from taskrunner.model.json_path import Path


def misfits(
    executor: executors.Executor, value: object, still_open: Iterable[Path]
) -> Iterator[tuple[Path, str]]:
    """What is wrong with an executor's parameters, as far as they are known yet."""
    unknown = set(still_open)
    above = {path[:length] for path in unknown for length in range(len(path))}
    try:
        executor.Parameters.model_validate(value)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            at = detail["loc"]
            # A rule over several parameters is told at their parent, and must wait as well.
            touched = at in above or any(at[:n] in unknown for n in range(len(at) + 1))
            if touched and detail["type"] not in {"extra_forbidden", "missing"}:
                continue
            yield at, _parameter_message(detail["type"], at, detail["msg"], executor)


def _parameter_message(kind: str, at: Path, text: str, executor: executors.Executor) -> str:
    name = at[-1] if at else "with"
    if kind == "extra_forbidden":
        fields = executor.Parameters.model_fields
        known = [field.alias or own for own, field in fields.items()]
        return f"unknown parameter '{name}'{nearest(str(name), known)}"
    if kind == "missing":
        return f"the parameter '{name}' is missing; it is required"
    return f"'{name}': {text[:1].lower()}{text[1:]}"
