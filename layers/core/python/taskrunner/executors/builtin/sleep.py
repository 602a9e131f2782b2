"""`builtin:sleep` waits: for trying out timeouts and cancelling, or to give something time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from taskrunner.executors.work import ClosedParameters

if TYPE_CHECKING:
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

LONGEST_S: Final = 300


class Parameters(ClosedParameters):
    """How long to wait, in seconds; fractions are fine."""

    seconds: Annotated[float, Field(ge=0, le=LONGEST_S, allow_inf_nan=False)]


def execute(parameters: Parameters, work: Work) -> JsonObject:  # noqa: ARG001 - every executor's form
    """Return `{seconds}` after that time."""
    time.sleep(parameters.seconds)
    # JSON has one number 2: an author who wrote 2 does not want to read 2.0.
    whole = parameters.seconds.is_integer()
    return {"seconds": int(parameters.seconds) if whole else parameters.seconds}
