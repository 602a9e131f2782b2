"""`builtin:noop` returns its parameters: to see what templates become, or to name a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.executors.parameters import AnyParameters

if TYPE_CHECKING:
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject


class Parameters(AnyParameters):
    """Any parameters."""


def execute(parameters: Parameters, work: Work) -> JsonObject:  # noqa: ARG001 - an executor's interface
    """Return the parameters unchanged, in their order."""
    return dict(parameters.model_extra or {})
