"""`builtin:assert` fails unless something is true, and so stops a run that should not go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from taskrunner.executors.parameters import ClosedParameters
from taskrunner.executors.work import ExecutorFailure

if TYPE_CHECKING:
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import Json, JsonObject

_EXAMPLE: Final = "{{ steps.scan.outputs.critical == `0` }}"
_KINDS: Final = {
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    str: "text",
    type(None): "null",
}


def _true_or_false(value: Json) -> Json:
    """Refuse everything else: a list of findings would pass where a comparison was forgotten."""
    if not isinstance(value, bool):
        raise PydanticCustomError(
            "not_boolean",
            "it is {kind}, and an assertion must be true or false; write a comparison, such as "
            "{example}",
            {"kind": _KINDS[type(value)], "example": _EXAMPLE},
        )
    return value


class Parameters(ClosedParameters):
    """The assertion, and the message of the failure when it is false."""

    that: Annotated[bool, BeforeValidator(_true_or_false)]
    message: Annotated[str, Field(min_length=1, max_length=2000)] = "the assertion does not hold"


def execute(parameters: Parameters, work: Work) -> JsonObject:  # noqa: ARG001 - an executor's interface
    """Return no outputs.

    Raises:
        ExecutorFailure: the assertion is false; with the author's message.
    """
    if not parameters.that:
        raise ExecutorFailure(parameters.message)
    return {}
