"""`builtin:noop` does nothing: its outputs are its parameters, to see what templates became."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject


class Parameters(BaseModel):
    """Whatever the author likes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", frozen=True)


def execute(parameters: Parameters, work: Work) -> JsonObject:  # noqa: ARG001 - every executor's form
    """Return the parameters as they came, in their order."""
    return dict(parameters.model_extra or {})
