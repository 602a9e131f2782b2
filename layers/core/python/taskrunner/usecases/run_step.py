"""Execute one attempt of one step, and record it."""

from __future__ import annotations

import json
import tempfile
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from taskrunner import executors
from taskrunner.compiler import arguments, parameters
from taskrunner.compiler.expressions import ExpressionError
from taskrunner.errors import StepFailedError
from taskrunner.executors.work import ExecutorFailure, Work
from taskrunner.model import json_path, moment, plan_document
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.json_types import unusable
from taskrunner.model.plan import RunStep
from taskrunner.model.run import Reason, StepOutcome, StepReference, StepStatus
from taskrunner.usecases.capture import capture
from taskrunner.usecases.live import check_live, run_started
from taskrunner.usecases.values import Values

if TYPE_CHECKING:
    from taskrunner.model.artifact import Artifact
    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.usecases.ports import Head
    from taskrunner.usecases.world import World

MAX_OUTPUT_BYTES: Final = 64 * 1024
_MAX_MESSAGE: Final = 1000
# Kept back from the function's own time, to capture files and record how the attempt ended.
_RECORDING_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What an attempt came to: outputs, or a reason and a message for the author."""

    outputs: Json = None
    reason: Reason | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One attempt of one step of one run."""

    head: Head
    step: RunStep
    document: JsonObject
    path: str
    iteration: str
    number: int

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
    tenant, run_id, own = reference.tenant, reference.run_id, reference.path
    head = world.runs.head(tenant, run_id)
    check_live(head.run)
    document = world.plans.get(tenant, head.run.plan_hash)
    plan = plan_document.from_document(document)
    step = plan.step(reference.step_id)
    assert isinstance(step, RunStep)  # noqa: S101 - the compiler wires only these to run_step
    values = Values(plan, head, world)
    values.read(parameters.references(step.parameters), reference.iteration, own)
    previous = values.outcome(own)
    if previous is not None and previous.final:
        return _answer(previous)
    number = 1 if previous is None else previous.attempt + 1
    attempt = _Attempt(
        head=head,
        step=step,
        document=document,
        path=own,
        iteration=reference.iteration,
        number=number,
    )
    began = world.clock.now()
    at = moment.to_text(began)
    world.runs.append(head, [*run_started(head, at), _started(attempt, at)])
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        time_s = min(float(step.timeout_s), remaining_s - _RECORDING_S)
        result = _execute(attempt, values, output, time_s, world)
        captured = capture(output, plan.outputs, head.run, moment.to_text(world.clock.now()), world)
    duration_s = (world.clock.now() - began).total_seconds()
    return _record(attempt, result, captured, duration_s, world)


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


def _execute(
    attempt: _Attempt, values: Values, output: Path, time_s: float, world: World
) -> _Result:
    executor = executors.find(attempt.step.uses)
    if executor is None:
        message = f"there is no executor {attempt.step.uses} in this release"
        return _Result(reason=Reason.EXECUTOR_ERROR, message=message)
    try:
        read = parameters.references(attempt.step.parameters)
        given = parameters.fill(attempt.step.parameters, values.context(read, attempt.iteration))
    except ExpressionError as error:
        return _Result(reason=Reason.EXECUTOR_ERROR, message=str(error))
    for at, problem in arguments.misfits(executor, given, ()):
        where = json_path.render(("with", *at))
        return _Result(reason=Reason.EXECUTOR_ERROR, message=f"{where}: {problem}")
    result = _within(executor, given, _work(attempt, output, world), time_s)
    return _checked(result)


def _work(attempt: _Attempt, output: Path, world: World) -> Work:
    run = attempt.head.run
    return Work(
        run_id=run.run_id,
        tenant=run.tenant,
        step_id=attempt.path,
        attempt=attempt.number,
        plan_document=attempt.document,
        output=output,
        stopped=threading.Event(),
        bundles=world.workshop.bundles(run),
        artifacts=world.artifacts.contents(run.tenant, run.run_id),
        environments=world.workshop.environments(run.tenant, run.run_id, attempt.path),
    )


def _within(executor: executors.Executor, given: Json, work: Work, time_s: float) -> _Result:
    """Execute in a thread, because only so a step that does not return can be left behind."""
    done: list[_Result | BaseException] = []

    def body() -> None:
        try:
            outputs = executor.execute(executor.Parameters.model_validate(given), work)
            done.append(_Result(outputs=outputs))
        except ExecutorFailure as failure:
            done.append(_Result(reason=Reason.EXECUTOR_ERROR, message=str(failure)))
        except BaseException as surprise:  # noqa: BLE001 - carried over, and raised in the caller
            done.append(surprise)

    thread = threading.Thread(target=body, name=f"step {work.step_id}", daemon=True)
    thread.start()
    thread.join(max(time_s, 0.0))
    if not done:
        work.stopped.set()
        return _Result(reason=Reason.TIMEOUT, message=f"not done after {time_s:g} seconds")
    if isinstance(done[0], BaseException):
        raise done[0]
    return done[0]


def _checked(result: _Result) -> _Result:
    """*result*, unless its outputs are too large or no JSON."""
    if result.reason is not None:
        return result
    for at, problem in unusable(result.outputs):
        message = f"the outputs are no JSON: {json_path.render(at)}: {problem}"
        return _Result(reason=Reason.EXECUTOR_ERROR, message=message)
    size = len(json.dumps(result.outputs, ensure_ascii=False).encode())
    if size > MAX_OUTPUT_BYTES:
        message = f"the outputs have {size} bytes, at most {MAX_OUTPUT_BYTES}; write an artifact"
        return _Result(reason=Reason.EXECUTOR_ERROR, message=message)
    return result


def _record(
    attempt: _Attempt,
    result: _Result,
    captured: list[Artifact],
    duration_s: float,
    world: World,
) -> JsonObject:
    retries = attempt.step.retries
    final = result.reason is None or attempt.number >= retries.max_attempts
    metadata = {"attempt": str(attempt.number), "duration": f"{duration_s:.3f}s"}
    if captured:
        metadata["artifacts"] = ",".join(artifact.name for artifact in captured)
    entry = _ended(attempt, result, metadata, world, final=final)
    outcome = StepOutcome(
        path=attempt.path,
        attempt=attempt.number,
        status=StepStatus.SUCCEEDED if result.reason is None else StepStatus.FAILED,
        outputs=result.outputs,
        final=final,
    )
    return _answer(world.runs.record_step(attempt.head, outcome, [entry], captured))


def _ended(
    attempt: _Attempt, result: _Result, metadata: dict[str, str], world: World, *, final: bool
) -> Entry:
    now = world.clock.now()
    if result.reason is None:
        return Entry(
            id=attempt.key("ended"),
            at=moment.to_text(now),
            event=Event.STEP_COMPLETED,
            step=attempt.path,
            message=f"Step completed: {attempt.path}",
            metadata=metadata,
        )
    metadata |= {"reason": result.reason.value}
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
        message=result.message[:_MAX_MESSAGE] or "the executor gave no message",
        metadata=metadata,
    )
