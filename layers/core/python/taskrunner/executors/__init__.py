"""What a `run` step can do: one module per executor, found by its name.

`builtin:<name>` is the module `<name>` in this package, with

* `Parameters`, a pydantic model of `with`, strict and closed unless it says otherwise
* `execute(parameters, step)`, which returns the step's outputs, or raises ExecutorFailure

Adding an executor is adding a module. A module is imported when a pack names it and not before,
so that a step pays for nothing that it does not use.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from pydantic import BaseModel

    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

_PREFIX = "builtin:"
_NOT_EXECUTORS = frozenset({"work"})


class Executor(Protocol):
    """What a module of this package is."""

    Parameters: type[BaseModel]

    # The parameters are an instance of the module's own model.
    def execute(self, parameters: Any, work: Work) -> JsonObject: ...  # noqa: ANN401, D102


def references() -> list[str]:
    """Every executor that a pack may name."""
    names = (module.name for module in iter_modules(__path__))
    return sorted(_PREFIX + name for name in names if name not in _NOT_EXECUTORS)


def find(reference: str) -> Executor | None:
    """The executor of that reference, or None when there is none."""
    if reference not in references():
        return None
    module = import_module(f"{__name__}.{reference.removeprefix(_PREFIX)}")
    return cast("Executor", module)
