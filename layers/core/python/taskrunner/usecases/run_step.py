"""Execute one attempt of one step in its sandbox, and record it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskrunner import executors
from taskrunner.errors import SecretError, StepFailedError
from taskrunner.executors import arguments
from taskrunner.executors.work import Services
from taskrunner.expressions import ExpressionError, templates
from taskrunner.model import json_path, timestamp
from taskrunner.model.artifact import ArtifactStatus
from taskrunner.model.entries import step_entries
from taskrunner.model.entries.step_entries import AttemptReport, Failure
from taskrunner.model.plan import RunStep
from taskrunner.model.redaction import Redactor
from taskrunner.model.run import Reason, StepOutcome, StepReference, StepStatus
from taskrunner.ports.runs import NOTHING
from taskrunner.runtime.attempt_outputs import bounded, usable_and_bounded
from taskrunner.runtime.redacted_services import redacted_services
from taskrunner.runtime.run_lifecycle import check_not_ended
from taskrunner.runtime.running_step import RunningStep, find_step
from taskrunner.runtime.step_secrets import read_secrets, redacted_errors
from taskrunner.sandbox.attempt import OUTPUT_FOLDER, AttemptRequest, AttemptResult, Limits
from taskrunner.sandbox.attempt_folder import attempt_folder
from taskrunner.usecases.capture_files import capture_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.ports import World

# Reserved from the function's own time, to capture files and record how the attempt ended.
_RECORDING_S: Final = 30.0
_MILLICORES_PER_CORE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One attempt of one step; *remaining_s* seconds are left to execute it."""

    running: RunningStep
    step: RunStep
    number: int
    remaining_s: float


def run_step(reference: StepReference, world: World, *, remaining_s: float) -> JsonObject:
    """Run the next attempt of a step. The function has *remaining_s* seconds left.

    An attempt is recorded before it starts and after it has ended, so this call may be repeated
    after any crash. An attempt that has ended is answered again, and not executed. One that has not
    is executed again, under the same number.

    Raises:
        StepFailedError: the attempt failed, and its journal says so; the machine decides what
            follows.
        ConflictError: the run, or a block around the step, has ended, so nothing was started.
    """
    world.sandbox.prepare()
    running = find_step(reference, world)
    step = running.step
    assert isinstance(step, RunStep)  # noqa: S101 - the compiler wires only these to run_step
    references = templates.references(step.parameters)
    running.values.load(references, running.iteration, running.path)
    previous = running.values.outcome(running.path)
    if previous is not None and previous.final:
        return _answer(running, previous)
    check_not_ended(running.head.run)
    attempt = _Attempt(
        running=running,
        step=step,
        number=1 if previous is None else previous.attempt + 1,
        remaining_s=remaining_s - _RECORDING_S,
    )
    running.append(
        step_entries.attempt_started(running.path, attempt.number, step.uses, running.now())
    )
    with attempt_folder() as folder:
        ended, captured = _perform(attempt, folder)
    return _record(attempt, ended, captured)


def _answer(running: RunningStep, outcome: StepOutcome) -> JsonObject:
    if outcome.status is StepStatus.FAILED:
        if outcome.final:
            running.deliver(running.stopped_by_failure(running.now()))
        raise StepFailedError(f"step {outcome.path} failed; the run's log says why")
    return {"status": outcome.status.value, "attempt": outcome.attempt}


def _perform(attempt: _Attempt, folder: Path) -> tuple[AttemptResult, Sequence[Artifact]]:
    """Execute the attempt; return how it ended and what it captured, without any secret."""
    tenant, world = attempt.running.head.run.tenant, attempt.running.world
    try:
        secrets = read_secrets(templates.references(attempt.step.parameters), tenant, world)
    except SecretError as error:
        return _failed(str(error)), []
    redactor = Redactor(secrets)
    with redacted_errors(redactor):
        services = redacted_services(_services(attempt), redactor)
        # Outputs are bounded before they are searched, which walks through them once for each
        # spelling of a secret, and again afterwards, because a mask may be longer than its secret.
        ended = bounded(_execute(attempt, secrets, services, folder))
        ended = replace(
            ended, outputs=redactor.json(ended.outputs), message=redactor.text(ended.message)
        )
        captured = _capture(attempt, folder / OUTPUT_FOLDER, redactor)
    return usable_and_bounded(ended), captured


def _capture(attempt: _Attempt, folder: Path, redactor: Redactor) -> Sequence[Artifact]:
    """Capture what the attempt wrote, unless its run has ended and would not record it."""
    run, world = attempt.running.head.run, attempt.running.world
    if any(folder.iterdir()) and not world.runs.head(run.tenant, run.run_id).run.takes_artifacts:
        return []
    return capture_files(folder, attempt.running.plan.outputs, run, redactor, world)


# --- execution --------------------------------------------------------------------------------


def _execute(
    attempt: _Attempt, secrets: dict[str, str], services: Services, folder: Path
) -> AttemptResult:
    executor = executors.find(attempt.step.uses)
    if executor is None:
        return _failed(f"there is no executor {attempt.step.uses} in this release")
    limits, reason_when_over = _limits(attempt)
    if reason_when_over is Reason.QUOTA_EXCEEDED and limits.wall_s <= 0:
        return AttemptResult(reason=reason_when_over, message=_quota_message(attempt))
    try:
        parameters = _parameters(attempt, secrets)
    except ExpressionError as error:
        return _failed(str(error))
    for path, problem in arguments.misfits(executor, parameters, ()):
        return _failed(f"{json_path.render(('with', *path))}: {problem}")
    job = _job(attempt, parameters, folder, limits)
    ended = attempt.running.world.sandbox.execute(job, services)
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
    context = running.values.context(references, running.iteration)
    return templates.fill(attempt.step.parameters, context | {"secrets": secrets})


def _limits(attempt: _Attempt) -> tuple[Limits, Reason]:
    """The limits of the attempt, and the reason of its failure when its time is over."""
    sandbox = attempt.running.plan.sandbox
    own_s = min(float(attempt.step.timeout_s), attempt.remaining_s)
    quota_s = sandbox.quota_s - attempt.running.head.used_s
    wall_s = min(own_s, quota_s)
    limits = Limits(
        memory_mib=sandbox.memory_limit_mib,
        cpu_s=sandbox.cpu_limit_millicores / _MILLICORES_PER_CORE * wall_s,
        wall_s=wall_s,
    )
    return limits, Reason.QUOTA_EXCEEDED if quota_s < own_s else Reason.TIMEOUT


def _quota_message(attempt: _Attempt) -> str:
    return (
        f"the {attempt.running.plan.sandbox.quota_s} seconds are over that the pack's sandbox "
        "gives to all executors of a run together (quotaSeconds)"
    )


def _job(attempt: _Attempt, parameters: Json, folder: Path, limits: Limits) -> AttemptRequest:
    running, run = attempt.running, attempt.running.head.run
    return AttemptRequest(
        uses=attempt.step.uses,
        parameters=parameters,
        run_id=run.run_id,
        run_created_at=run.created_at,
        tenant=run.tenant,
        step_id=running.path,
        attempt=attempt.number,
        plan_document=running.world.plans.document(run.tenant, run.plan_hash),
        folder=folder,
        limits=limits,
    )


def _services(attempt: _Attempt) -> Services:
    running, run = attempt.running, attempt.running.head.run
    world, sandbox = running.world, running.plan.sandbox
    return Services(
        bundles=world.releases.bundles(run),
        artifacts=world.artifacts.contents(run.tenant, run.run_id),
        environments=world.releases.environments(run, running.path),
        network=world.networks.within(sandbox),
        functions=world.functions,
        images=world.registries.within(sandbox),
    )


# --- recording --------------------------------------------------------------------------------


def _record(attempt: _Attempt, ended: AttemptResult, captured: Sequence[Artifact]) -> JsonObject:
    """Record how the attempt ended, and answer with the outcome that counts."""
    running = attempt.running
    # No other attempt would have more of the quota, which is the run's.
    may_retry = ended.reason not in {None, Reason.QUOTA_EXCEEDED}
    is_final = not may_retry or attempt.number >= attempt.step.retries.max_attempts
    outcome = StepOutcome(
        path=running.path,
        attempt=attempt.number,
        status=StepStatus.SUCCEEDED if ended.reason is None else StepStatus.FAILED,
        outputs=ended.outputs,
        final=is_final,
    )
    entry = _ended_entry(attempt, ended, _report(attempt, ended, captured), is_final=is_final)
    stops = NOTHING
    if is_final and outcome.status is StepStatus.FAILED:
        stops = running.stopped_by_failure(entry.occurred_at)
    recorded = running.world.runs.record_step(
        running.head, outcome, [entry], captured, ended.usage.wall_s, stops=stops
    )
    return _answer(running, recorded)


def _report(attempt: _Attempt, ended: AttemptResult, captured: Sequence[Artifact]) -> AttemptReport:
    return AttemptReport(
        attempt=attempt.number,
        wall_s=ended.usage.wall_s,
        cpu_s=ended.usage.cpu_s,
        memory_mib=ended.usage.memory_mib,
        artifacts=[item.name for item in captured if item.status is ArtifactStatus.CAPTURED],
    )


def _ended_entry(
    attempt: _Attempt, ended: AttemptResult, report: AttemptReport, *, is_final: bool
) -> Entry:
    running = attempt.running
    now = running.world.clock.now()
    if ended.reason is None:
        return step_entries.step_completed(running.path, report, timestamp.to_text(now))
    # The States Language has no pause of zero seconds.
    pause = timedelta(seconds=max(1, attempt.step.retries.backoff_s))
    next_attempt_at = None if is_final else timestamp.to_text(now + pause)
    failure = Failure(ended.reason, ended.message, next_attempt_at)
    return step_entries.step_failed(running.path, report, failure, timestamp.to_text(now))
