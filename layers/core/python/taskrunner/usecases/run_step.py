"""Execute one attempt of one step in its sandbox, and record it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskrunner import executors
from taskrunner.errors import (
    SecretError,
    TryAgainError,
)
from taskrunner.executors.work import Services
from taskrunner.expressions import ExpressionError, templates
from taskrunner.model import timestamp
from taskrunner.model.entries import step_entries
from taskrunner.model.entries.step_entries import Failure
from taskrunner.model.plan import RunStep
from taskrunner.model.redaction import Redactor
from taskrunner.model.run import Reason, StepOutcome, StepReference, StepStatus
from taskrunner.ports.runs import NOTHING
from taskrunner.runtime.attempt_ends import error_of, next_attempt_at, record_end
from taskrunner.runtime.attempt_outputs import bounded, usable_and_bounded
from taskrunner.runtime.attempt_starts import attempt_starts
from taskrunner.runtime.earlier_artifacts import EarlierArtifacts, EarlierBundles
from taskrunner.runtime.recording_time import patience_s
from taskrunner.runtime.redacted_services import redacted_services
from taskrunner.runtime.remembered_steps import begin_from_memory, remembered_step
from taskrunner.runtime.run_lifecycle import check_not_ended
from taskrunner.runtime.running_step import RunningStep, find_step
from taskrunner.runtime.step_secrets import read_secrets, redacted_errors
from taskrunner.sandbox.attempt import OUTPUT_FOLDER, AttemptRequest, AttemptResult, Limits
from taskrunner.sandbox.attempt_folder import attempt_folder
from taskrunner.usecases.capture_files import capture_files
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.ports import World

# Reserved from the function's own time, to capture files and record how the attempt ended.
_RECORDING_S: Final = 30.0
# The part of that which is reserved to store files after the search for secrets, and to record.
_STORING_S: Final = 15.0
_MILLICORES_PER_CORE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One attempt of one step; *remaining_s* seconds are left to execute it.

    *deadline* is the end of the function's time. *deferrals* is how often AWS refused it before.
    *request* is what its process has begun.
    """

    running: RunningStep
    step: RunStep
    number: int
    remaining_s: float
    deadline: datetime
    now: str | None = None
    deferrals: int = 0
    request: AttemptRequest | None = None


def run_step(
    reference: StepReference, world: World, *, remaining_s: float, is_retry: bool = True
) -> JsonObject:
    """Run the next attempt of a step. The function has *remaining_s* seconds left.

    An attempt is recorded before it can have an effect, and after it has ended, so this call may be
    repeated after any crash. An attempt that has ended is answered again, and not executed. One
    that has started and not ended is lost: it is recorded as failed, and never executed again,
    because nobody knows what it has done. An attempt that AWS refused has done nothing, and is made
    again under the same number. *is_retry* is false for the first invocation for this step.

    Raises:
        TryAgainError: AWS refused something, and the attempt is not counted.
        AttemptFailedError: the attempt failed, and the pack allows another one.
        StepFailedError: the step has failed. The journal has the end of each attempt.
        ConflictError: the run, or a block around the step, has ended, so nothing was started.
    """
    deadline = world.clock.now() + timedelta(seconds=remaining_s)
    world.sandbox.prepare()
    remembered = None if is_retry else remembered_step(reference, world)
    if remembered is not None:
        world.logs.add(attempt=1)
        attempt = _attempt(remembered, remaining_s, deadline)
        with attempt_folder() as folder, _begun(attempt, folder) as attempt:
            ended = _perform(attempt, folder) if begin_from_memory(remembered) else None
        if ended is not None:
            return _record(attempt, *ended)
    running = find_step(reference, world, reference.path)
    attempt = _attempt(running, remaining_s, deadline)
    step = attempt.step
    references = templates.references(step.parameters)
    running.values.load(references, running.prefix, running.path)
    previous = running.values.outcome(running.path)
    if previous is not None and previous.final:
        return _answer(running, previous)
    number = 1 if previous is None else previous.attempt + 1
    world.logs.add(attempt=number)
    starts = attempt_starts(running, number, may_have_started=is_retry)
    attempt = replace(attempt, number=number, deferrals=starts.deferrals)
    # A lost attempt is recorded also when its run has ended meanwhile: nobody else would do it.
    lost = _record_lost(attempt) if starts.is_lost else None
    check_not_ended(running.snapshot.run)
    if lost is not None:
        return _answer(running, lost, Failure(Reason.EXECUTOR_ERROR, step_entries.LOST, None))
    if previous is None and running.is_skipped():
        return {"status": StepStatus.SKIPPED.value}
    # Before the start, because nothing may be recorded between that and the attempt.
    attempt = replace(attempt, now=running.time_reached(references))
    with attempt_folder() as folder, _begun(attempt, folder) as attempt:
        running.append(
            step_entries.attempt_started(
                running.path, number, step.uses, running.now(), deferrals=starts.deferrals
            )
        )
        ended = _perform(attempt, folder)
    return _record(attempt, *ended)


def _attempt(running: RunningStep, remaining_s: float, deadline: datetime) -> _Attempt:
    """Return the first attempt of a step."""
    step = running.step
    assert isinstance(step, RunStep)  # noqa: S101 - the compiler wires only these to run_step
    return _Attempt(
        running=running,
        step=step,
        number=1,
        remaining_s=remaining_s - _RECORDING_S,
        deadline=deadline,
    )


@contextmanager
def _begun(attempt: _Attempt, folder: Path) -> Iterator[_Attempt]:
    """Let the attempt's process begin while the start is recorded, and end it if that is refused.

    The function answers none of its calls before the start is recorded. So it can have no effect
    until then, and may be ended and begun again. Secrets are read after the start, so an attempt
    that needs them begins later.
    """
    limits, _ = _limits(attempt)
    sandbox, step = attempt.running.world.sandbox, attempt.step
    if limits.wall_s <= 0 or not executors.exists(step.uses):
        yield attempt
    elif templates.secrets(templates.references(step.parameters)):
        sandbox.prepare_for(step.uses, limits)
        yield attempt
    elif (request := _known_request(attempt, folder, limits)) is None:
        yield attempt
    else:
        with sandbox.begun(request):
            yield replace(attempt, request=request)


def _known_request(attempt: _Attempt, folder: Path, limits: Limits) -> AttemptRequest | None:
    try:
        return _request(attempt, {}, folder, limits)
    except ExpressionError:
        return None  # the attempt fails once its start is recorded


def _answer(
    running: RunningStep, outcome: StepOutcome, failure: Failure | None = None
) -> JsonObject:
    """Answer the machine with a recorded outcome; *failure* is for the log of this function."""
    error = error_of(outcome, failure)
    if error is None:
        return {"status": outcome.status.value, "attempt": outcome.attempt}
    if outcome.final:
        running.world.logs.add(attempt=outcome.attempt)
        running.deliver(running.stopped_by_failure(running.now()))
    raise error


def _perform(attempt: _Attempt, folder: Path) -> tuple[AttemptResult, Sequence[Artifact]]:
    """Execute the attempt; return how it ended and what it captured, without any secret."""
    tenant, world = attempt.running.snapshot.run.tenant, attempt.running.world
    try:
        with _deferred_when_refused(attempt):
            secrets = read_secrets(templates.references(attempt.step.parameters), tenant, world)
        redactor = Redactor(secrets)
    except SecretError as error:
        return _failed(str(error)), []
    with redacted_errors(redactor):
        services = redacted_services(_services(attempt), redactor)
        with _deferred_when_refused(attempt, redactor):
            executed = _execute(attempt, secrets, services, folder)
        # Outputs are bounded before they are searched, which walks through them once for each
        # spelling of a secret, and again afterwards, because a mask may be longer than its secret.
        ended = bounded(executed)
        ended = replace(
            ended, outputs=redactor.json(ended.outputs), message=redactor.text(ended.message)
        )
        output = folder / OUTPUT_FOLDER
        captured = _capture(attempt, output, redactor) if ended.may_have_files else []
    return usable_and_bounded(ended), captured


@contextmanager
def _deferred_when_refused(attempt: _Attempt, redactor: Redactor | None = None) -> Iterator[None]:
    """Record it if AWS refuses what is done inside, which then has had no effect."""
    try:
        yield
    except TryAgainError as error:
        running = attempt.running
        cause = str(error) if redactor is None else redactor.text(str(error))
        running.append(
            step_entries.attempt_deferred(
                running.path, attempt.number, cause, running.now(), deferrals=attempt.deferrals
            )
        )
        raise


def _capture(attempt: _Attempt, folder: Path, redactor: Redactor) -> Sequence[Artifact]:
    """Capture what the attempt wrote, unless its run has ended and would not record it."""
    try:
        if not any(folder.iterdir()):
            return []
    except (FileNotFoundError, NotADirectoryError):  # the executor has removed it
        return []
    run, world = attempt.running.snapshot.run, attempt.running.world
    if not world.runs.snapshot(run.tenant, run.run_id).run.takes_artifacts:
        return []
    captured = capture_files(
        folder,
        attempt.running.plan.outputs,
        run,
        redactor,
        world,
        search_until=attempt.deadline - timedelta(seconds=_STORING_S),
    )
    return [replace(artifact, step_path=attempt.running.path) for artifact in captured]


# --- execution --------------------------------------------------------------------------------


def _execute(
    attempt: _Attempt, secrets: dict[str, str], services: Services, folder: Path
) -> AttemptResult:
    if not executors.exists(attempt.step.uses):
        return _failed(f"there is no executor {attempt.step.uses} in this release")
    limits, reason_when_over = _limits(attempt)
    if reason_when_over is Reason.QUOTA_EXCEEDED and limits.wall_s <= 0:
        return AttemptResult(reason=reason_when_over, message=_quota_message(attempt))
    if limits.wall_s <= 0:
        message = "the function had no time left to execute it"
        return AttemptResult(reason=reason_when_over, message=message)
    try:
        request = attempt.request or _request(attempt, secrets, folder, limits)
    except ExpressionError as error:
        return _failed(str(error))
    ended = attempt.running.world.sandbox.execute(request, services)
    if ended.reason is Reason.TIMEOUT and reason_when_over is Reason.QUOTA_EXCEEDED:
        message = _quota_message(attempt)
        return AttemptResult(reason=reason_when_over, message=message, usage=ended.usage)
    return ended


def _failed(message: str) -> AttemptResult:
    return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message)


def _parameters(attempt: _Attempt, secrets: dict[str, str]) -> Json:
    """The step's parameters with all templates filled in."""
    running = attempt.running
    references = templates.references(attempt.step.parameters)
    context = running.context(references, now=attempt.now)
    return templates.fill(attempt.step.parameters, context | {"secrets": secrets})


def _limits(attempt: _Attempt) -> tuple[Limits, Reason]:
    """The limits of the attempt, and the reason of its failure when its time is over."""
    sandbox = attempt.running.plan.sandbox
    own_s = max(0.0, min(float(attempt.step.timeout_s), attempt.remaining_s))
    quota_s = sandbox.quota_s - attempt.running.snapshot.used_s
    wall_s = min(own_s, quota_s)
    limits = Limits(
        memory_mib=sandbox.memory_limit_mib,
        cpu_s=sandbox.cpu_limit_millicores / _MILLICORES_PER_CORE * wall_s,
        wall_s=wall_s,
    )
    return limits, Reason.QUOTA_EXCEEDED if quota_s < own_s else Reason.TIMEOUT


def _quota_message(attempt: _Attempt) -> str:
    return (
        f"the run has used all {attempt.running.plan.sandbox.quota_s} seconds of executor time "
        "that its sandbox allows (quotaSeconds)"
    )


def _request(
    attempt: _Attempt, secrets: dict[str, str], folder: Path, limits: Limits
) -> AttemptRequest:
    running, run = attempt.running, attempt.running.snapshot.run
    return AttemptRequest(
        uses=attempt.step.uses,
        parameters=_parameters(attempt, secrets),
        run_id=run.run_id,
        run_created_at=run.created_at,
        tenant=run.tenant,
        step_path=running.path,
        attempt=attempt.number,
        plan_document=running.world.plans.document(run.tenant, run.plan_hash),
        folder=folder,
        limits=limits,
    )


def _services(attempt: _Attempt) -> Services:
    running, run = attempt.running, attempt.running.snapshot.run
    world, sandbox = running.world, running.plan.sandbox
    artifacts = EarlierArtifacts(running)
    return Services(
        bundles=EarlierBundles(world.releases.bundles(run.tenant), artifacts, running),
        artifacts=artifacts,
        environments=world.releases.environments(run, running.path),
        network=world.networks.within(sandbox),
        functions=world.functions,
        images=world.registries.within(sandbox),
    )


# --- recording --------------------------------------------------------------------------------


def _record(attempt: _Attempt, ended: AttemptResult, captured: Sequence[Artifact]) -> JsonObject:
    """Record how the attempt ended, and answer with the outcome that counts."""
    running = attempt.running
    recorded, failure = record_end(
        running, attempt.number, ended, captured, patience_s=_patience_s(attempt)
    )
    answer = _answer(running, recorded, failure)
    # For the next attempt: nobody waits for it now. Lambda may freeze it until the next event.
    running.world.sandbox.prepare()
    return answer


def _patience_s(attempt: _Attempt) -> float:
    """Return how long to try to record the end: an end that is not recorded loses the attempt."""
    return patience_s(attempt.deadline, attempt.running.world)


def _record_lost(attempt: _Attempt) -> StepOutcome:
    """Record that the attempt was lost, and return the outcome that counts."""
    running = attempt.running
    is_final = not attempt.step.retries.allow(attempt.number, Reason.EXECUTOR_ERROR)
    outcome = StepOutcome(
        path=running.path, attempt=attempt.number, status=StepStatus.FAILED, final=is_final
    )
    now = running.world.clock.now()
    entry = step_entries.attempt_lost(
        running.path,
        attempt.number,
        None if is_final else next_attempt_at(running, attempt.number, now),
        timestamp.to_text(now),
    )
    stops = running.stopped_by_failure(entry.occurred_at) if is_final else NOTHING
    return running.world.runs.record_step(
        running.snapshot, outcome, [entry], stops=stops, patience_s=_patience_s(attempt)
    )
