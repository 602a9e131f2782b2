"""`builtin:assert` fails unless something is true: a run stops where its ground is not so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from taskrunner.executors.work import ClosedParameters, ExecutorFailure

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
    """A list of findings is no answer: who forgot the comparison would never hear of it."""
    if not isinstance(value, bool):
        raise PydanticCustomError(
            "no_truth",
            "it is {kind}, and an assertion is true or false; write a comparison, such as "
            "{example}",
            {"kind": _KINDS[type(value)], "example": _EXAMPLE},
        )
    return value


class Parameters(ClosedParameters):
    """What must be true, and what to say when it is not."""

    that: Annotated[bool, BeforeValidator(_true_or_false)]
    message: Annotated[str, Field(min_length=1, max_length=2000)] = "the assertion does not hold"


def execute(parameters: Parameters, work: Work) -> JsonObject:  # noqa: ARG001 - every executor's form
    """Return no outputs.

    Raises:
        ExecutorFailure: it is false; with the author's message.
    """
    if not parameters.that:
        raise ExecutorFailure(parameters.message)
    return {}
