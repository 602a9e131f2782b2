"""Let an execution into a gate: skip the gate, evaluate its policy, open it, or expire it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.errors import (
    ApprovalExpiredError,
    ApprovalRejectedError,
    AttemptFailedError,
    StepFailedError,
)
from taskrunner.model.approval import Verdict
from taskrunner.model.flow import PolicyVerdict
from taskrunner.model.plan import PolicyGate
from taskrunner.runtime.reached_gate import find_gate
from taskrunner.usecases.decide_policy import decide_policy
from taskrunner.usecases.expire_gate import expire_gate
from taskrunner.usecases.open_gate import open_gate

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import StepReference
    from taskrunner.ports import World
    from taskrunner.runtime.reached_gate import ReachedGate


def enter_gate(
    reference: StepReference, token: str, world: World, *, has_timed_out: bool = False
) -> JsonObject:
    """Answer *token*, unless the gate waits for an approval with it.

    A gate is skipped if its condition is false. A policy gate waits for an override only if its
    policy does not hold. *has_timed_out* says that the gate has waited for as long as it may.
    A failure of the gate is an answer too, and is not raised.

    Raises:
        ConflictError: the run, or a block around the gate, has ended.
        TryAgainError: others decided at the same time, again and again.
    """
    gate = find_gate(reference, world)
    try:
        if has_timed_out and not _must_be_decided(gate):
            result = expire_gate(reference, world)
            world.approvals.wake(token, Verdict.APPROVED)
            return result
        status = _status_without_approval(gate) if _must_be_decided(gate) else None
    except (
        ApprovalExpiredError,
        ApprovalRejectedError,
        AttemptFailedError,
        StepFailedError,
    ) as error:
        world.approvals.refuse(token, error)
        return {"status": "failed"}
    if status is not None:
        world.approvals.wake(token, Verdict.APPROVED)
        return {"status": status}
    return open_gate(gate, token, world)


def _must_be_decided(gate: ReachedGate) -> bool:
    """Return whether the gate has a condition or a policy, and was not opened yet."""
    has_question = gate.step.when is not None or isinstance(gate.step, PolicyGate)
    return gate.gate is None and has_question


def _status_without_approval(gate: ReachedGate) -> str | None:
    """Return why the gate needs no approval, and None if it needs one.

    Raises:
        AttemptFailedError: the policy does not hold, and is to be evaluated again.
        StepFailedError: the condition cannot be evaluated.
    """
    running = gate.running
    if isinstance(gate.step, PolicyGate):
        verdict = decide_policy(running)
        if verdict is PolicyVerdict.RETRY:
            raise AttemptFailedError(f"policy gate {gate.path} is evaluated again")
        if verdict is not None:
            return None if verdict is PolicyVerdict.OVERRIDE else verdict.value
        return "skipped"
    return "skipped" if running.is_skipped() else None
