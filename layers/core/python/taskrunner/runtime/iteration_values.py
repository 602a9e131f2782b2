"""Record the value of a loop's iteration, which the next iteration reads as `previous`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.expressions import ExpressionError
from taskrunner.model.canonical_json import size_bytes
from taskrunner.model.entries import flow_entries
from taskrunner.model.json_types import normal, too_deep
from taskrunner.runtime.recorded_outcomes import value_path

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json
    from taskrunner.model.plan import Loop
    from taskrunner.runtime.running_step import RunningStep

# As much as a step's outputs.
MAX_VALUE_BYTES: Final = 64 * 1024


def keep_value(running: RunningStep, loop: Loop, iteration: int) -> None:
    """Record the value of an *iteration* that has ended of *loop*, which is the step of *running*.

    It is recorded once, so an iteration costs the same however many there were before it.

    Raises:
        StepFailedError: there is no value, or it cannot be kept, and so the loop has failed.
        ConflictError: the run, or a block around the loop, has ended.
    """
    try:
        value = running.values.iteration_value(loop, running.path, iteration)
    except ExpressionError as error:
        running.fail(str(error), iterations=iteration + 1)
    if (problem := _unkept(value)) is not None:
        message = f"the value of iteration {iteration} {problem}"
        running.fail(message, iterations=iteration + 1)
    entry = flow_entries.value_kept(running.path, iteration, running.now())
    running.keep(value_path(running.path, iteration), normal(value), entry)


def _unkept(value: Json) -> str | None:
    """Return why *value* cannot be kept, or None."""
    if (problem := too_deep(value)) is not None:
        return f"cannot be kept for the next one: {problem}"
    size = size_bytes(normal(value))
    if size <= MAX_VALUE_BYTES:
        return None
    return (
        f"has {size} bytes, and the next one can read at most {MAX_VALUE_BYTES} as 'previous'; "
        "let the loop's 'outputs' give what it needs"
    )
