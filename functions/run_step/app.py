"""One attempt of one step: `{run, place, state}` from a pack's state machine.

With `ask` the step is a policy that takes secrets or a function. Only this function may use both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters.machine_events import is_retry, step_reference
from taskrunner.model.flow import Question
from taskrunner.usecases.decide_flow import decide_flow
from taskrunner.usecases.run_step import run_step

if TYPE_CHECKING:
    from taskrunner.adapters.invocations import Context
    from taskrunner.ports import World


@bootstrap.observed
def handler(
    event: dict[str, Any], context: Context, *, world: World | None = None
) -> dict[str, Any]:
    """Run the attempt. A failed attempt raises, and the machine decides what follows."""
    reference = step_reference(event)
    remaining_s = context.get_remaining_time_in_millis() / 1000
    if "ask" in event:
        question = Question(event["ask"])
        return decide_flow(reference, question, world or bootstrap.aws(), remaining_s=remaining_s)
    return run_step(
        reference, world or bootstrap.aws(), remaining_s=remaining_s, is_retry=is_retry(event)
    )
