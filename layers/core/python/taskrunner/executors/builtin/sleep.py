"""`builtin:sleep` waits: to try out timeouts and cancellation, or to give something time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from taskrunner.executors.parameters import ClosedParameters

if TYPE_CHECKING:
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

MAX_SECONDS: Final = 300


class Parameters(ClosedParameters):
    """The time to wait, in seconds and fractions of them."""

    seconds: Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]


def execute(parameters: Parameters, work: Work) -> JsonObject:  # noqa: ARG001 - an executor's interface
    """Wait, then return `{seconds}`."""
    time.sleep(parameters.seconds)
    # An author who wrote 2 expects to read 2 and not 2.0: to JSON they are one number.
    is_whole = parameters.seconds.is_integer()
    return {"seconds": int(parameters.seconds) if is_whole else parameters.seconds}
