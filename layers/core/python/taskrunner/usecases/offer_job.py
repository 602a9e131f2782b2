"""Offer the next attempt of a step to its worker pool, where it waits until a worker takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.errors import StepFailedError
from taskrunner.expressions import ExpressionError, templates
from taskrunner.model.approval import Verdict
from taskrunner.model.entries import job_entries
from taskrunner.model.job import Job, pool_of
from taskrunner.model.plan import RunStep
from taskrunner.model.run import Reason, RunStatus, StepStatus, run_ended
from taskrunner.runtime.attempt_ends import error_of, record_end
from taskrunner.runtime.job_ends import answer
from taskrunner.runtime.run_lifecycle import check_not_ended, start_entries
from taskrunner.runtime.running_step import find_step
from taskrunner.sandbox.attempt import AttemptResult

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import StepOutcome, StepReference
    from taskrunner.ports import World
    from taskrunner.runtime.running_step import RunningStep


def offer_job(reference: StepReference, token: str, world: World) -> JsonObject:
    """Offer the next attempt of a step; its machine waits with *token* for the end.

    The token is answered at once if there is nothing to wait for: the step is skipped or has ended,
    or its labels cannot be evaluated. A repeated call offers nothing more, and the newer token
    counts, because a machine that did not see the answer of a call repeats it with a new token.
    A failure is an answer too, and is not raised.

    Raises:
        ConflictError: the run, or a block around the step, has ended, so nothing was offered.
        TryAgainError: AWS was busy; the same call goes on from there.
    """
    running = find_step(reference, world, reference.path)
    step = running.step
    assert isinstance(step, RunStep)  # noqa: S101 - the compiler wires only these to offer_job
    references = templates.references(step.parameters)
    running.values.load(references, running.prefix, running.path)
    previous = running.values.outcome(running.path)
    if previous is not None and previous.final:
        return _answer(running, previous, token)
    check_not_ended(running.snapshot.run)
    try:
        if previous is None and running.is_skipped():
            world.approvals.wake(token, Verdict.APPROVED)
            return {"status": StepStatus.SKIPPED.value}
        # Recorded when the step is reached, and not when a worker is.
        running.time_reached(references)
    except StepFailedError as error:
        world.approvals.refuse(token, error)
        return {"status": StepStatus.FAILED.value}
    number = 1 if previous is None else previous.attempt + 1
    return _offer(running, step, number, token)


def _offer(running: RunningStep, step: RunStep, number: int, token: str) -> JsonObject:
    world, run = running.world, running.snapshot.run
    pool = pool_of(step.uses)
    assert pool is not None  # noqa: S101 - see above
    now = running.now()
    try:
        labels = _labels(running, step)
    except ExpressionError as error:
        ended = AttemptResult(reason=Reason.EXECUTOR_ERROR, message=str(error))
        outcome, _ = record_end(running, number, ended)
        return _answer(running, outcome, token)
    job = world.jobs.offer(
        running.snapshot,
        Job(
            tenant=run.tenant,
            run_id=run.run_id,
            step_path=running.path,
            attempt=number,
            pool=pool,
            offered_at=now,
            waits_since=now,
            labels=labels,
        ),
        token,
        [
            *start_entries(running.snapshot, now),
            job_entries.job_offered(running.path, number, pool, now),
        ],
        inside=running.inside,
    )
    if job.is_done:  # a worker has ended it since the outcome was read
        ended_as = world.runs.outcomes(run.tenant, run.run_id, [running.path]).get(running.path)
        if ended_as is None:  # a cancelled run records no outcome
            raise run_ended(run.run_id, RunStatus.CANCELLED.value)
        answer(job, running, ended_as)
        return {"status": ended_as.status.value, "attempt": number}
    return {"status": "offered", "attempt": number}


def _labels(running: RunningStep, step: RunStep) -> dict[str, str]:
    """Return the labels that a worker must have, filled in.

    Raises:
        ExpressionError: they cannot be, or are not texts.
    """
    context = running.context(templates.references(step.parameters))
    labels = templates.member(step.parameters, "labels", context) or {}
    if not isinstance(labels, dict) or not all(isinstance(v, str) for v in labels.values()):
        raise ExpressionError("with.labels: must be a mapping of names to texts, without secrets")
    return labels


def _answer(running: RunningStep, outcome: StepOutcome, token: str) -> JsonObject:
    """Answer *token* with an outcome that was recorded before this call."""
    approvals, error = running.world.approvals, error_of(running, outcome)
    if error is None:
        approvals.wake(token, Verdict.APPROVED)
    else:
        if outcome.final:
            running.deliver(running.stopped_by_failure(running.now()))
        approvals.refuse(token, error)
    return {"status": outcome.status.value, "attempt": outcome.attempt}
