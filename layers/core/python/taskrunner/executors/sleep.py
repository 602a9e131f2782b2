"""`builtin:sleep` waits: for trying out timeouts and cancelling, or to give something time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from taskrunner.executors.work import ClosedParameters, ExecutorFailure

if TYPE_CHECKING:
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

LONGEST_S: Final = 300


class Parameters(ClosedParameters):
    """How long to wait, in seconds; fractions are fine."""

    seconds: Annotated[float, Field(ge=0, le=LONGEST_S, allow_inf_nan=False)]


def execute(parameters: Parameters, work: Work) -> JsonObject:
    """Return `{seconds}` after that time.

    Raises:
        ExecutorFailure: the step's time was over first.
    """
    # JSON has one number 2: an author who wrote 2 does not want to read 2.0.
    whole = parameters.seconds.is_integer()
    seconds = int(parameters.seconds) if whole else parameters.seconds
    if work.stopped.wait(seconds):
        raise ExecutorFailure(
            f"stopped before {seconds} seconds had passed: the step's time was over; "
            "raise its timeoutSeconds or sleep less"
        )
    return {"seconds": seconds}
