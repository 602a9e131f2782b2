"""The executors: each does the work of a `run` step, and a pack names it by a reference.

An executor is a module with

* `Parameters`, a pydantic model of the step's `with`, strict and closed unless it says otherwise,
  with the rules that are about several values (`contradictions`)
* `execute(parameters, work)`, which returns the step's outputs or raises ExecutorFailure

To add one, write the module, add it to `_MODULES`, and describe it in docs/executors.md. Every
`lambda:<name>` is the module `function`, every `worker:<pool>` the module `worker`, and every
`states:<name>` the module `machine`.

A module is imported when its executor is first looked up, so a step pays only for what it uses.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from taskrunner.model.endings import FUNCTION_PREFIX
from taskrunner.model.job import POOL_PREFIX, pool_of
from taskrunner.model.machine_call import CALL_PREFIX, machine_of

if TYPE_CHECKING:
    from taskrunner.executors.parameters import ExecutorParameters
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import Json

LAMBDA: Final = FUNCTION_PREFIX
WORKER: Final = POOL_PREFIX
STATES: Final = CALL_PREFIX
_FUNCTION_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_FUNCTION_MODULE: Final = "taskrunner.executors.function"
_WORKER_MODULE: Final = "taskrunner.executors.worker"
_MACHINE_MODULE: Final = "taskrunner.executors.machine"
_MODULES: Final = {
    "builtin:assert": "taskrunner.executors.builtin.assert_",
    "builtin:build": "taskrunner.executors.builtin.build",
    "builtin:deploy": "taskrunner.executors.builtin.deploy",
    "builtin:fail": "taskrunner.executors.builtin.fail",
    "builtin:http": "taskrunner.executors.builtin.http",
    "builtin:noop": "taskrunner.executors.builtin.noop",
    "builtin:scanner": "taskrunner.executors.builtin.scanner",
    "builtin:sleep": "taskrunner.executors.builtin.sleep",
}


class Executor(Protocol):
    """The interface of an executor's module."""

    Parameters: type[ExecutorParameters]

    # *parameters* is an instance of the module's own Parameters.
    def execute(self, parameters: Any, work: Work) -> Json: ...  # noqa: ANN401, D102


def references() -> list[str]:
    """Return the reference of every built-in executor, sorted."""
    return sorted(_MODULES)


def function_name(reference: str) -> str | None:
    """Return the name in `lambda:<name>`, or None when *reference* has another form."""
    name = reference.removeprefix(LAMBDA)
    is_function = name != reference and _FUNCTION_NAME.fullmatch(name) is not None
    return name if is_function else None


def exists(reference: str) -> bool:
    """Return whether there is an executor with that reference, without importing it."""
    return _module(reference) is not None


@lru_cache(maxsize=256)  # many steps of a pack have the same executor
def find(reference: str) -> Executor | None:
    """Return the executor with that reference, or None when there is none."""
    module = _module(reference)
    return None if module is None else cast("Executor", import_module(module))


def _module(reference: str) -> str | None:
    if function_name(reference) is not None:
        return _FUNCTION_MODULE
    if pool_of(reference) is not None:
        return _WORKER_MODULE
    return _MACHINE_MODULE if machine_of(reference) is not None else _MODULES.get(reference)
