"""`builtin:fail` fails on purpose: to try out retries, `continueOnError` and what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from taskrunner.executors.parameters import ClosedParameters
from taskrunner.executors.work import ExecutorFailure

if TYPE_CHECKING:
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject


class Parameters(ClosedParameters):
    """The message, and how many attempts fail before one succeeds; None for all of them."""

    message: Annotated[str, Field(min_length=1, max_length=2000)] = "this step fails on purpose"
    attempts: Annotated[int, Field(ge=0)] | None = None


def execute(parameters: Parameters, work: Work) -> JsonObject:
    """Return `{attempt}`, counted from 1, once enough attempts have failed.

    Raises:
        ExecutorFailure: this attempt is to fail; with the author's message.
    """
    if parameters.attempts is None or work.attempt <= parameters.attempts:
        raise ExecutorFailure(parameters.message)
    return {"attempt": work.attempt}
