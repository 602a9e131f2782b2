"""One attempt of one step: `{place, step, retry}` from a pack's state machine.

With `ask` or `token` the step is a policy gate that takes secrets or a function. Only this function
may use both. With `token` an approval may override the policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters.machine_events import has_timed_out, is_retry, step_reference
from taskrunner.model.flow import Question
from taskrunner.usecases.decide_flow import decide_flow
from taskrunner.usecases.evaluate_override import evaluate_override
from taskrunner.usecases.run_step import run_step

if TYPE_CHECKING:
    from taskrunner.adapters.invocations import Context
    from taskrunner.ports import World


@bootstrap.observed
def handler(
    event: dict[str, Any], context: Context, *, world: World | None = None
) -> dict[str, Any]:
    """Run the attempt. A failed attempt raises, and the machine decides what follows."""
    world = world or bootstrap.aws()
    step = step_reference(event)
    remaining_s = context.get_remaining_time_in_millis() / 1000
    if "ask" in event:
        return decide_flow(step, Question(event["ask"]), world, remaining_s=remaining_s)
    if "token" in event:
        late = has_timed_out(event)
        return evaluate_override(
            step, event["token"], world, remaining_s=remaining_s, has_timed_out=late
        )
    return run_step(step, world, remaining_s=remaining_s, is_retry=is_retry(event))
