"""Evaluate a policy that takes secrets or a function, and that an approval may override."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskrunner.errors import AttemptFailedError, TryAgainError
from taskrunner.model.flow import PolicyVerdict
from taskrunner.runtime.running_step import find_step
from taskrunner.usecases.decide_policy import decide_policy

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import StepReference
    from taskrunner.ports import World

# A longer evaluation has used up time of the approvers: their gate opens at the next call.
_PROMPT: Final = timedelta(seconds=5)


def evaluate_override(
    gate: StepReference,
    token: str,
    world: World,
    *,
    remaining_s: float,
    has_timed_out: bool = False,
) -> JsonObject:
    """Evaluate the policy of *gate*, and hand the gate on to `open_gate` with the task *token*.

    The verdict is recorded first, and `open_gate` reads it: it skips the gate, lets it go on, or
    lets it wait for its approval. A repeated call evaluates nothing, and hands the gate on again.

    The machine limits the time of a gate from the call on. So after a slow evaluation the gate is
    opened by the next call, with all of its time. The token of this one may have expired, and must
    not replace that of a later call.

    Raises:
        AttemptFailedError: the policy does not hold, and is to be evaluated again.
        StepFailedError: the policy could not be evaluated, such as without its secret.
        ConflictError: the run, or a block around the gate, has ended.
        TryAgainError: AWS was busy, or the evaluation took long; the same call goes on from there.
    """
    called_at = world.clock.now()
    verdict = decide_policy(find_step(gate, world), remaining_s=remaining_s)
    if verdict is PolicyVerdict.RETRY:
        raise AttemptFailedError(f"policy gate {gate.path} is evaluated again")
    if verdict is PolicyVerdict.OVERRIDE and world.clock.now() - called_at > _PROMPT:
        raise TryAgainError(f"policy gate {gate.path} is evaluated, and opens at the next call")
    world.overrides.enter(gate, token, has_timed_out=has_timed_out)
    return {"status": "handed-on"}
