"""The next attempt of a step whose machine waits with a task token until the attempt has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.errors import StepFailedError
from taskrunner.expressions import templates
from taskrunner.model.approval import Verdict
from taskrunner.model.plan import RunStep
from taskrunner.model.run import Reason, StepStatus
from taskrunner.runtime.attempt_ends import error_of, record_end
from taskrunner.runtime.run_lifecycle import check_not_ended
from taskrunner.runtime.running_step import find_step
from taskrunner.sandbox.attempt import AttemptResult
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import StepOutcome, StepReference
    from taskrunner.ports import World
    from taskrunner.runtime.running_step import RunningStep


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """The attempt *number* of *step*, which may begin; its machine waits with *token*."""

    running: RunningStep
    step: RunStep
    number: int
    token: str

    def fail(self, message: str) -> JsonObject:
        """Record that the attempt failed before it began, and answer the machine."""
        ended = AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message)
        outcome, _ = record_end(self.running, self.number, ended)
        return answer_token(self.running, outcome, self.token)


def begin_next_attempt(
    reference: StepReference, token: str, world: World, begin: Callable[[NextAttempt], JsonObject]
) -> JsonObject:
    """Return what *begin* returns for the next attempt of a step, if there is one.

    The token is answered at once if there is nothing to wait for: the step is skipped or has ended,
    or cannot be decided. A failure is an answer too, and is not raised.

    Raises:
        ConflictError: the run, or a block around the step, has ended, so nothing has begun.
        TryAgainError: AWS was busy; the same call goes on from there.
    """
    running = find_step(reference, world, reference.path)
    step = running.step
    assert isinstance(step, RunStep)  # noqa: S101 - the compiler wires no other step to the callers
    references = templates.references(step.parameters)
    running.values.load(references, running.prefix, running.path)
    previous = running.values.outcome(running.path)
    if previous is not None and previous.final:
        return answer_token(running, previous, token)
    number = 1 if previous is None else previous.attempt + 1
    world.logs.add(attempt=number)
    check_not_ended(running.snapshot.run)
    try:
        if previous is None and running.is_skipped():
            world.approvals.wake(token, Verdict.APPROVED)
            return {"status": StepStatus.SKIPPED.value}
        # Recorded when the step is reached, and not when an attempt begins.
        running.time_reached(references)
    except StepFailedError as error:
        world.approvals.refuse(token, error)
        return {"status": StepStatus.FAILED.value}
    return begin(NextAttempt(running, step, number, token))


def answer_token(running: RunningStep, outcome: StepOutcome, token: str) -> JsonObject:
    """Answer *token* with an outcome that was recorded before, and return it for the log."""
    running.world.logs.add(attempt=outcome.attempt)
    approvals, error = running.world.approvals, error_of(outcome)
    if error is None:
        approvals.wake(token, Verdict.APPROVED)
    else:
        if outcome.final:
            running.deliver(running.stopped_by_failure(running.now()))
        approvals.refuse(token, error)
    return {"status": outcome.status.value, "attempt": outcome.attempt}
