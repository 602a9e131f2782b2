"""What a `run` step can do: one module per executor, found by its name.

`builtin:<name>` is the module `<name>` in this package (`<name>_` for a word of Python's), with

* `Parameters`, a pydantic model of `with`, strict and closed unless it says otherwise
* `execute(parameters, work)`, which returns the step's outputs, or raises ExecutorFailure

`lambda:<name>` is the module `function`, for whatever name.

Adding an executor is adding a module. A module is imported when a pack names it and not before,
so that a step pays for nothing that it does not use.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from taskrunner.executors import builtin

if TYPE_CHECKING:
    from pydantic import BaseModel

    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import Json

_BUILTIN: Final = "builtin:"
LAMBDA: Final = "lambda:"
_FUNCTION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_NOT_BUILTIN: Final = frozenset({"exchange", "redirects", "response"})


class Executor(Protocol):
    """What a module of this package is."""

    Parameters: type[BaseModel]

    # The parameters are an instance of the module's own model.
    def execute(self, parameters: Any, work: Work) -> Json: ...  # noqa: ANN401, D102


def references() -> list[str]:
    """Every built-in executor that a pack may name."""
    return sorted(_modules())


def function_name(reference: str) -> str | None:
    """The name in `lambda:<name>`, or None when *reference* is something else."""
    name = reference.removeprefix(LAMBDA)
    is_one = name != reference and _FUNCTION.fullmatch(name) is not None
    return name if is_one else None


def find(reference: str) -> Executor | None:
    """The executor of that reference, or None when there is none."""
    module = "function" if function_name(reference) is not None else _modules().get(reference)
    if module is None:
        return None
    return cast("Executor", import_module(f"{__name__}.{module}"))


@cache
def _modules() -> dict[str, str]:
    """The module of each built-in executor, by its reference."""
    names = [one.name for one in iter_modules(builtin.__path__) if one.name not in _NOT_BUILTIN]
    return {_BUILTIN + name.removesuffix("_"): f"builtin.{name}" for name in names}
