"""Execute one attempt of one step in its sandbox, and record it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from taskrunner import executors
from taskrunner.errors import SecretError, StepFailedError
from taskrunner.executors import arguments
from taskrunner.executors.work import Services
from taskrunner.expressions import templates
from taskrunner.expressions.parser import ExpressionError
from taskrunner.model import json_path, moment, plan_document
from taskrunner.model.artifact import ArtifactStatus
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.json_types import too_deep, unusable
from taskrunner.model.plan import RunStep
from taskrunner.model.redaction import Redactor
from taskrunner.model.run import Reason, StepOutcome, StepReference, StepStatus
from taskrunner.runtime.liveness import check_live, run_started
from taskrunner.runtime.redacting import guarded, secret_in
from taskrunner.runtime.secret_values import secret_values, told_without_secrets
from taskrunner.runtime.values import Values
from taskrunner.sandbox.attempt import OUTPUT_FOLDER, AttemptRequest, AttemptResult, Limits
from taskrunner.sandbox.attempt_folder import attempt_folder
from taskrunner.usecases.capture_files import capture

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.ports import Head
    from taskrunner.ports.world import World

MAX_OUTPUT_BYTES: Final = 64 * 1024
_MAX_MESSAGE: Final = 1000
# Kept back from the function's own time, to capture files and record how the attempt ended.
_RECORDING_S: Final = 30.0
_MILLICORES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One attempt of one step of one run."""

    head: Head
    plan: Plan
    step: RunStep
    document: JsonObject
    path: str
    iteration: str
    number: int
    values: Values
    world: World

    def key(self, what: str) -> str:
        return f"{self.path}#{self.number}#{what}"


def run_step(reference: StepReference, world: World, *, remaining_s: float) -> JsonObject:
    """Run the next attempt of a step; *remaining_s* seconds are left to the function.

    An attempt is recorded before it starts and when it has ended, so it may be repeated after any
    crash: what has ended is answered again and not executed, what has not is executed under the
    same number.

    Raises:
        StepFailedError: the attempt failed, and that is in the journal; the machine knows the rest.
        ConflictError: the run has ended meanwhile, so nothing was started.
    """
    world.sandbox.prepare()
    tenant, run_id, own = reference.tenant, reference.run_id, reference.path
    head = world.runs.head(tenant, run_id)
    check_live(head.run)
    document = world.plans.get(tenant, head.run.plan_hash)
    plan = plan_document.from_document(document)
    step = plan.step(reference.step_id)
    assert isinstance(step, RunStep)  # noqa: S101 - the compiler wires only these to run_step
    values = Values(plan, head, world)
    values.read(templates.references(step.parameters), reference.iteration, own)
    previous = values.outcome(own)
    if previous is not None and previous.final:
        return _answer(previous)
    number = 1 if previous is None else previous.attempt + 1
    attempt = _Attempt(
        head=head,
        plan=plan,
        step=step,
        document=document,
        path=own,
        iteration=reference.iteration,
        number=number,
        values=values,
        world=world,
    )
    at = moment.to_text(world.clock.now())
    world.runs.append(head, [*run_started(head, at), _started(attempt, at)])
    with attempt_folder() as folder:
        ended, captured = _attempted(attempt, folder, remaining_s - _RECORDING_S)
    return _record(attempt, ended, captured)


def _answer(outcome: StepOutcome) -> JsonObject:
    if outcome.status is StepStatus.FAILED:
        raise StepFailedError(f"step {outcome.path} failed; the run's log says why")
    return {"status": outcome.status.value, "attempt": outcome.attempt}


def _started(attempt: _Attempt, at: str) -> Entry:
    return Entry(
        id=attempt.key("started"),
        at=at,
        event=Event.STEP_STARTED,
        step=attempt.path,
        message=f"Starting step: {attempt.path}",
        metadata={"attempt": str(attempt.number), "uses": attempt.step.uses},
    )


def _attempted(
    attempt: _Attempt, folder: Path, function_s: float
) -> tuple[AttemptResult, list[Artifact]]:
    """How the attempt ended and what it left, without any secret in either."""
    run, world = attempt.head.run, attempt.world
    try:
        secrets = secret_values(templates.references(attempt.step.parameters), run.tenant, world)
    except SecretError as error:
        return _failed(str(error)), []
    redactor = Redactor(secrets)
    with told_without_secrets(redactor):
        services = guarded(_services(attempt), redactor)
        ended = _bounded(_execute(attempt, secrets, services, folder, function_s))
        ended = replace(
            ended, outputs=redactor.json(ended.outputs), message=redactor.text(ended.message)
        )
        captured = _captured(attempt, folder / OUTPUT_FOLDER, redactor)
    return _checked(ended), captured


def _captured(attempt: _Attempt, folder: Path, redactor: Redactor) -> list[Artifact]:
    """What the attempt left, stored; nothing of a run that has ended meanwhile.

    That would not be recorded.
    """
    run, world = attempt.head.run, attempt.world
    if any(folder.iterdir()) and world.runs.head(run.tenant, run.run_id).run.outcome is not None:
        return []
    at = moment.to_text(world.clock.now())
    return capture(
        folder,
        attempt.plan.outputs,
        run,
        at,
        world,
        refuse=partial(_refusal, redactor=redactor),
        shown=redactor.text,
    )


def _refusal(file: Path, *, redactor: Redactor) -> str | None:
    """Why a file must not be stored, if it must not."""
    name = secret_in(file, redactor)
    return None if name is None else f"it holds the secret '{name}', so it is not stored"


def _execute(
    attempt: _Attempt,
    secrets: dict[str, str],
    services: Services,
    folder: Path,
    function_s: float,
) -> AttemptResult:
    executor = executors.find(attempt.step.uses)
    if executor is None:
        return _failed(f"there is no executor {attempt.step.uses} in this release")
    limits, reason = _limits(attempt, function_s)
    if reason is Reason.QUOTA_EXCEEDED and limits.wall_s <= 0:
        return AttemptResult(reason=reason, message=_quota_message(attempt))
    try:
        read = templates.references(attempt.step.parameters)
        context = attempt.values.context(read, attempt.iteration) | {"secrets": secrets}
        given = templates.fill(attempt.step.parameters, context)
    except ExpressionError as error:
        return _failed(str(error))
    for at, problem in arguments.misfits(executor, given, ()):
        where = json_path.render(("with", *at))
        return _failed(f"{where}: {problem}")
    ended = attempt.world.sandbox.execute(_job(attempt, given, folder, limits), services)
    if ended.reason is Reason.TIMEOUT and reason is Reason.QUOTA_EXCEEDED:
        return AttemptResult(reason=reason, message=_quota_message(attempt), usage=ended.usage)
    return ended


def _failed(message: str) -> AttemptResult:
    return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message)


def _limits(attempt: _Attempt, function_s: float) -> tuple[Limits, Reason]:
    """What the attempt may use, and the reason to give when its time is over before it is done."""
    sandbox = attempt.plan.sandbox
    own_s = min(float(attempt.step.timeout_s), function_s)
    left_s = sandbox.quota_s - attempt.head.used_s
    wall_s = min(own_s, left_s)
    limits = Limits(
        memory_mib=sandbox.memory_limit_mib,
        cpu_s=sandbox.cpu_limit_millicores / _MILLICORES * wall_s,
        wall_s=wall_s,
    )
    return limits, Reason.QUOTA_EXCEEDED if left_s < own_s else Reason.TIMEOUT


def _quota_message(attempt: _Attempt) -> str:
    return (
        f"the {attempt.plan.sandbox.quota_s} seconds are over that the pack's sandbox gives to "
        "all executors of a run together (quotaSeconds)"
    )


def _job(attempt: _Attempt, given: Json, folder: Path, limits: Limits) -> AttemptRequest:
    run = attempt.head.run
    return AttemptRequest(
        uses=attempt.step.uses,
        parameters=given,
        run_id=run.run_id,
        run_created_at=run.created_at,
        tenant=run.tenant,
        step_id=attempt.path,
        attempt=attempt.number,
        plan_document=attempt.document,
        folder=folder,
        limits=limits,
    )


def _services(attempt: _Attempt) -> Services:
    run, sandbox, world = attempt.head.run, attempt.plan.sandbox, attempt.world
    return Services(
        bundles=world.releases.bundles(run),
        artifacts=world.artifacts.contents(run.tenant, run.run_id),
        environments=world.releases.environments(run, attempt.path),
        network=world.networks.within(sandbox),
        functions=world.functions,
        images=world.registries.within(sandbox),
    )


def _bounded(ended: AttemptResult) -> AttemptResult:
    """*ended*, unless its outputs are too deep or too large.

    This is asked before they are searched, which walks through them once for each secret's
    spelling; and afterwards, as what is put in a secret's place counts too.
    """
    if ended.reason is not None:
        return ended
    if (problem := too_deep(ended.outputs)) is not None:
        message = f"the outputs cannot be kept: {problem}"
        return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message, usage=ended.usage)
    text = json.dumps(ended.outputs, ensure_ascii=False)
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_OUTPUT_BYTES:
        message = f"the outputs have {size} bytes, at most {MAX_OUTPUT_BYTES}; write an artifact"
        return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message, usage=ended.usage)
    return ended


def _checked(ended: AttemptResult) -> AttemptResult:
    """*ended*, unless its outputs are too large or no JSON."""
    for at, problem in unusable(ended.outputs) if ended.reason is None else ():
        message = f"the outputs are no JSON: {json_path.render(at)}: {problem}"
        return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message, usage=ended.usage)
    return _bounded(ended)


def _record(attempt: _Attempt, ended: AttemptResult, captured: list[Artifact]) -> JsonObject:
    retries = attempt.step.retries
    # The quota is the run's: no further attempt can have more of it.
    is_hopeless = ended.reason is Reason.QUOTA_EXCEEDED
    final = ended.reason is None or is_hopeless or attempt.number >= retries.max_attempts
    usage = ended.usage
    metadata = {
        "attempt": str(attempt.number),
        "duration": f"{usage.wall_s:.3f}s",
        "cpu": f"{usage.cpu_s:.3f}s",
        "memory": f"{usage.memory_mib}MiB",
    }
    stored = [one.name for one in captured if one.status is ArtifactStatus.CAPTURED]
    if stored:
        metadata["artifacts"] = ",".join(stored)
    entry = _ended(attempt, ended, metadata, final=final)
    outcome = StepOutcome(
        path=attempt.path,
        attempt=attempt.number,
        status=StepStatus.SUCCEEDED if ended.reason is None else StepStatus.FAILED,
        outputs=ended.outputs,
        final=final,
    )
    runs = attempt.world.runs
    return _answer(runs.record_step(attempt.head, outcome, [entry], captured, usage.wall_s))


def _ended(
    attempt: _Attempt, ended: AttemptResult, metadata: dict[str, str], *, final: bool
) -> Entry:
    now = attempt.world.clock.now()
    if ended.reason is None:
        return Entry(
            id=attempt.key("ended"),
            at=moment.to_text(now),
            event=Event.STEP_COMPLETED,
            step=attempt.path,
            message=f"Step completed: {attempt.path}",
            metadata=metadata,
        )
    metadata |= {"reason": ended.reason.value}
    if not final:
        # The States Language knows no pause of zero seconds.
        pause = timedelta(seconds=max(1, attempt.step.retries.backoff_s))
        metadata["nextAttemptAt"] = moment.to_text(now + pause)
    return Entry(
        id=attempt.key("ended"),
        at=moment.to_text(now),
        event=Event.STEP_FAILED,
        level=Level.ERROR if final else Level.WARN,
        step=attempt.path,
        message=ended.message[:_MAX_MESSAGE] or "the executor gave no message",
        metadata=metadata,
    )
