"""Offer the next attempt of a step to its worker pool, where it waits until a worker takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.expressions import ExpressionError, templates
from taskrunner.model.entries import job_entries
from taskrunner.model.job import Job, pool_of
from taskrunner.model.run import RunStatus, run_ended
from taskrunner.runtime.job_ends import answer
from taskrunner.runtime.next_attempts import begin_next_attempt
from taskrunner.runtime.run_lifecycle import start_entries

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import RunStep
    from taskrunner.model.run import StepReference
    from taskrunner.ports import World
    from taskrunner.runtime.next_attempts import NextAttempt
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
    return begin_next_attempt(reference, token, world, _offer)


def _offer(attempt: NextAttempt) -> JsonObject:
    running, number = attempt.running, attempt.number
    world, run = running.world, running.snapshot.run
    pool = pool_of(attempt.step.uses)
    assert pool is not None  # noqa: S101 - the compiler wires only these to offer_job
    now = running.now()
    try:
        labels = _labels(running, attempt.step)
    except ExpressionError as error:
        return attempt.fail(str(error))
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
        attempt.token,
        [
            *start_entries(running.snapshot, now),
            job_entries.job_offered(running.path, number, pool, now, labels=labels),
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
