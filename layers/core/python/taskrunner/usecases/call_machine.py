"""Make the next attempt of a step by calling a state machine, and wait for its end.

The attempt is recorded first, and its execution is started after that, under a name that follows
from the attempt. A call that is cut off between the two is repeated by the run's machine, which has
no answer yet, and starts the execution then. No end of the run can miss an execution either: who
ends the attempt stops what it finds, and a start that comes too late is stopped here.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskrunner import executors
from taskrunner.errors import ConflictError
from taskrunner.executors.work import ExecutorFailure
from taskrunner.expressions import ExpressionError, templates
from taskrunner.model import timestamp
from taskrunner.model.canonical_json import canonical_text
from taskrunner.model.entries import step_entries
from taskrunner.model.job import Job, Lease
from taskrunner.model.machine_call import CALLER, MAX_INPUT_BYTES, execution_name, execution_of
from taskrunner.model.run import Reason, RunStatus, StepStatus, run_ended
from taskrunner.runtime.job_ends import answer, give_up
from taskrunner.runtime.machine_calls import next_look_at
from taskrunner.runtime.next_attempts import begin_next_attempt
from taskrunner.runtime.run_lifecycle import start_entries

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import StepReference
    from taskrunner.ports import World
    from taskrunner.runtime.next_attempts import NextAttempt
    from taskrunner.runtime.running_step import RunningStep

_CLIENT: Final = "states"
_STARTED: Final = "started"
# No worker may report about an execution, so the lease has no secret: no digest is empty.
_NO_SECRET: Final = ""


def call_machine(reference: StepReference, token: str, world: World) -> JsonObject:
    """Start the execution of a step's next attempt; the run's machine waits with *token*.

    The token is answered at once if there is nothing to wait for: the step is skipped or has ended,
    or its machine cannot be called. A repeated call starts nothing more, and the newer token
    counts. A failure is an answer too, and is not raised.

    Raises:
        ConflictError: the run, or a block around the step, has ended, so nothing was started.
        TryAgainError: AWS was busy; the same call goes on from there.
    """
    return begin_next_attempt(reference, token, world, _call)


def _call(attempt: NextAttempt) -> JsonObject:
    running, number = attempt.running, attempt.number
    try:
        input_text = _input_text(attempt)
    except (ExecutorFailure, ExpressionError) as error:
        return attempt.fail(str(error))
    job = _recorded(attempt)
    status = _start(job, running, input_text) if job.attempt == number else _STARTED
    return {"status": status, "attempt": number}


def _input_text(attempt: NextAttempt) -> str:
    """Return the input of the execution: the step's parameters, and who has called the machine.

    Raises:
        ExpressionError: the parameters cannot be evaluated.
        ExecutorFailure: they do not fit, or are too large.
    """
    # Only an attempt that begins needs pydantic, which is a third of a cold start.
    from taskrunner.executors import arguments  # noqa: PLC0415
    from taskrunner.executors.function import idempotency_key  # noqa: PLC0415

    running, step = attempt.running, attempt.step
    filled = templates.fill(step.parameters, running.context(templates.references(step.parameters)))
    executor = executors.find(step.uses)
    assert executor is not None  # noqa: S101 - every machine has the same executor
    parameters = arguments.checked(executor, filled).model_extra or {}
    run = running.snapshot.run
    caller = {
        "tenant": run.tenant,
        "run": run.run_id,
        "step": running.path,
        "attempt": attempt.number,
        "idempotencyKey": idempotency_key(run.tenant, run.run_id, run.created_at, running.path),
    }
    text = canonical_text({**parameters, CALLER: caller})
    if (size := len(text.encode())) > MAX_INPUT_BYTES:
        message = f"the input has {size} bytes, and Step Functions accepts at most"
        raise ExecutorFailure(f"{message} {MAX_INPUT_BYTES}; pass the name of an object instead")
    return text


def _recorded(attempt: NextAttempt) -> Job:
    """Record that the attempt has begun, unless a call before has, and return its job."""
    running, step, number = attempt.running, attempt.step, attempt.number
    run, now = running.snapshot.run, running.world.clock.now()
    started_at = timestamp.to_text(now)
    stop_at = timestamp.to_text(now + timedelta(seconds=step.timeout_s))
    name = execution_name(run, running.path, number)
    job = Job(
        tenant=run.tenant,
        run_id=run.run_id,
        step_path=running.path,
        attempt=number,
        pool=step.uses,
        offered_at=started_at,
        waits_since=started_at,
        lease=Lease(
            secret_digest=_NO_SECRET,
            client=_CLIENT,
            worker=name,
            leased_at=started_at,
            expires_at=next_look_at(now, started_at, stop_at),
            stop_at=stop_at,
        ),
    )
    entry = step_entries.attempt_started(
        running.path, number, step.uses, started_at, execution=name
    )
    entries = [*start_entries(running.snapshot, started_at), entry]
    return running.world.jobs.offer(
        running.snapshot, job, attempt.token, entries, inside=running.inside
    )


def _start(job: Job, running: RunningStep, input_text: str) -> str:
    """Start the execution of *job*, and stop it again if its attempt has ended meanwhile.

    Return what became of the attempt, for the log.
    """
    world, execution = running.world, execution_of(job)
    assert execution is not None  # noqa: S101 - `_recorded` gave the job its lease
    if not job.is_done:
        try:
            world.called_machines.start(execution, input_text)
        except ExecutorFailure as error:
            with suppress(ConflictError):  # the attempt was ended for another reason
                give_up(job, running, Reason.EXECUTOR_ERROR, str(error))
            return StepStatus.FAILED.value
    present = world.jobs.get(job.tenant, job.run_id, job.step_path)
    if present is None or not present.is_done or present.attempt != job.attempt:
        return _STARTED
    world.called_machines.stop(execution)
    ended_as = world.runs.outcomes(job.tenant, job.run_id, [job.step_path]).get(job.step_path)
    if ended_as is None:  # a cancelled run records no outcome
        raise run_ended(job.run_id, RunStatus.CANCELLED.value)
    answer(present, running, ended_as)
    return ended_as.status.value
