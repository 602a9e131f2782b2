"""What a `run` step can do: one module per executor, found by its name.

`builtin:<name>` is the module `<name>` in this package, with

* `Parameters`, a pydantic model of `with`, strict and closed unless it says otherwise
* `execute(parameters, work)`, which returns the step's outputs, or raises ExecutorFailure

`lambda:<name>` is the module `function`, for whatever name.

Adding an executor is adding a module. A module is imported when a pack names it and not before,
so that a step pays for nothing that it does not use.
"""

from __future__ import annotations

import re
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

if TYPE_CHECKING:
    from pydantic import BaseModel

    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import Json

_PREFIX: Final = "builtin:"
_FUNCTION: Final = re.compile(r"lambda:([A-Za-z0-9][A-Za-z0-9_-]{0,62})")
_NOT_BUILTIN: Final = frozenset({"function", "work"})


class Executor(Protocol):
    """What a module of this package is."""

    Parameters: type[BaseModel]

    # The parameters are an instance of the module's own model.
    def execute(self, parameters: Any, work: Work) -> Json: ...  # noqa: ANN401, D102


def references() -> list[str]:
    """Every built-in executor that a pack may name."""
    names = (module.name for module in iter_modules(__path__))
    return sorted(_PREFIX + name for name in names if name not in _NOT_BUILTIN)


def function_name(reference: str) -> str | None:
    """The name in `lambda:<name>`, or None when *reference* is something else."""
    match = _FUNCTION.fullmatch(reference)
    return None if match is None else match[1]


def find(reference: str) -> Executor | None:
    """The executor of that reference, or None when there is none."""
    if function_name(reference) is not None:
        name = "function"
    elif reference in references():
        name = reference.removeprefix(_PREFIX)
    else:
        return None
    return cast("Executor", import_module(f"{__name__}.{name}"))
