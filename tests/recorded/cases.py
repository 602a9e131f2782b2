"""The actions of people and of AWS while each pack of packs/ runs for a recording."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from taskrunner.adapters.executions import StepFunctionsMachines
from taskrunner.adapters.machine_events import step_reference
from taskrunner.bootstrap import AwsWorld
from taskrunner.errors import TryAgainError
from taskrunner.sandbox.launcher import ForkedSandbox
from taskrunner.usecases.settle_run import NOT_STARTED
from tests.machine.called_machines import FAIL, PASS, CalledMachines
from tests.machine.runs import TENANT, decide, ended, has_entry, start
from tests.machine.workers import LaterClock, Worker, worker_client
from tests.moto_aws import session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.executors.work import Services
    from taskrunner.sandbox.attempt import AttemptRequest, AttemptResult
    from tests.machine.client import Client
    from tests.machine.engine import Engine

# Starts a run of a manifest, acts on it until it has ended, and returns its id.
Play: TypeAlias = "Callable[[Engine, str], str]"


def _undisturbed(engine: Engine, manifest: str) -> str:
    ana = engine.client(subject="ana")
    run_id = start(ana, manifest)
    ended(ana, run_id)
    return run_id


def _with_a_large_text(engine: Engine, manifest: str) -> str:
    """Deploy the function `text`, whose answer is nearly as large as outputs may be.

    Python keeps a text with such a last character in four bytes for each.
    """
    engine.functions["text"] = lambda _: {"text": "x" * 60_000 + "\N{LARGE RED CIRCLE}"}
    return _undisturbed(engine, manifest)


def _deciding(*decisions: tuple[str, str, str]) -> Play:
    """Let each caller decide an approval, in this order: `(caller, approval, decision)`."""

    def play(engine: Engine, manifest: str) -> str:
        ana = engine.client(subject="ana")
        run_id = start(ana, manifest)
        for subject, approval, decision in decisions:
            scopes = "admin" if decision == "expired" else "operator"
            caller = engine.client(subject=subject, scopes=scopes)
            answer = decide(caller, run_id, approval, decision)
            assert answer.status == 200, answer.body
        ended(ana, run_id)
        return run_id

    return play


def _cancelling_after(*entries: tuple[str, str]) -> Play:
    """Cancel the run once its journal has all of *entries*: `(step path, event)`."""

    def play(engine: Engine, manifest: str) -> str:
        ana = engine.client(subject="ana")
        run_id = start(ana, manifest)
        for step_path, event in entries:
            _wait_for_entry(ana, run_id, step_path, event)
        assert ana("POST", f"runs/{run_id}/cancel").status == 202
        return run_id

    return play


def _failing_beside_a_running_step(failure: tuple[str | None, str]) -> Play:
    """Let the step `bad` fail while `slow` runs, which ends once the journal has *failure*.

    The step `last`, where a pack has one, begins when `slow` has ended.
    """
    slow = "each[0]::slow"

    def play(engine: Engine, manifest: str) -> str:
        ana = engine.client(subject="ana")
        held = {"bad": (slow, "step.started"), "last": (slow, "step.completed")}

        def hold(event: dict[str, Any]) -> None:
            step = step_reference(event)
            if step.step_id in held:
                _wait_for_entry(ana, step.run_id, *held[step.step_id])

        def run_slowly(payload: dict[str, Any]) -> dict[str, Any]:
            _wait_for_entry(ana, payload["run"]["id"], *failure)
            return {}

        engine.before["run_step"] = hold
        engine.functions["slow"] = run_slowly
        run_id = start(ana, manifest)
        ended(ana, run_id)
        _wait_for_entry(ana, run_id, slow, "step.completed")
        del engine.before["run_step"]
        return run_id

    return play


def _losing_a_function(engine: Engine, manifest: str) -> str:
    """Let the function that runs the step `dies` die before it has recorded the attempt's end."""
    engine.worlds["run_step"] = _WorldWhereAFunctionDies(engine.world)
    run_id = _undisturbed(engine, manifest)
    del engine.worlds["run_step"]
    return run_id


def _refusing_an_attempt(engine: Engine, manifest: str) -> str:
    """Let AWS refuse the first attempt of the step `refused` once."""
    engine.worlds["run_step"] = _WorldThatRefusesOnce(engine.world)
    run_id = _undisturbed(engine, manifest)
    del engine.worlds["run_step"]
    return run_id


def _never_starting(engine: Engine, manifest: str) -> str:
    """Let Step Functions refuse to start the execution until the reconciler gives up."""
    engine.worlds["create_run"] = _WorldWithoutExecutions(engine.world)
    run_id = start(engine.client(subject="ana"), manifest)
    del engine.worlds["create_run"]
    engine.invoke("settle_run", {"tenant": TENANT, "run": run_id, "error": NOT_STARTED})
    return run_id


def _deciding_too_late(engine: Engine, manifest: str) -> str:
    """Approve once the reconciler has seen that the run and its gate take too long."""
    ana = engine.client(subject="ana")
    run_id = start(ana, manifest)
    for step_path in (None, "review"):
        _wait_for_entry(ana, run_id, step_path, "run.slo-breached", before_each_look="reconcile")
    assert decide(engine.client(subject="bob"), run_id, "security", "approved").status == 200
    ended(ana, run_id)
    return run_id


def _with_workers(engine: Engine, manifest: str) -> str:
    """Fail the first attempt of `tests` and lose a worker of the second, and the one of `publish`.

    The clock of the service goes ahead until the reconciler sees the loss.
    """
    ana = engine.client(subject="ana")
    worker, clock = Worker(worker_client(engine)), LaterClock(engine)
    run_id = start(ana, manifest)
    worker.take().fail(message="exit status 2")
    _lose(worker, clock)
    work = worker.take()
    work.heartbeat({"sequence": 1, "stream": "stdout", "text": "312 passed\n"})
    written = {"sequence": 2, "stream": "stderr", "text": "1 warning\n"}
    work.complete(outputs={"passed": 312}, output=[written])
    _lose(worker, clock)
    ended(ana, run_id)
    clock.remove()
    return run_id


def _calling_machines(engine: Engine, manifest: str) -> str:
    """Let the machine `import` return its input, and the machine `refuse` fail."""
    ana = engine.client(subject="ana")
    machines = CalledMachines(engine)
    machines.make("import", PASS)
    machines.make("refuse", FAIL)
    run_id = start(ana, manifest)
    for name in ("import", "refuse"):
        machines.report(name)
    ended(ana, run_id)
    return run_id


def _lose(worker: Worker, clock: LaterClock) -> None:
    """Let the worker take a job, and never report about it."""
    worker.take()
    clock.ahead += timedelta(seconds=60)
    worker.client.engine.invoke("reconcile", {})


def _wait_for_entry(
    client: Client,
    run_id: str,
    step_path: str | None,
    event: str,
    *,
    before_each_look: str | None = None,
) -> None:
    """Wait for an entry; call the function *before_each_look* before each look, if there is one."""

    def is_there() -> bool:
        if before_each_look is not None:
            client.engine.invoke(before_each_look, {})
        return has_entry(client, run_id, step_path, event)

    client.engine.until(is_there, f"no {event} of {step_path}")


class _WorldWhereAFunctionDies(AwsWorld):
    def __init__(self, deployed: AwsWorld) -> None:
        super().__init__(deployed.environment, session())

    @cached_property
    def sandbox(self) -> ForkedSandbox:
        return _DyingSandbox()


class _DyingSandbox(ForkedSandbox):
    def execute(self, job: AttemptRequest, services: Services) -> AttemptResult:
        if job.step_path == "dies":
            message = "the function is gone"
            raise RuntimeError(message)
        return super().execute(job, services)


class _WorldThatRefusesOnce(AwsWorld):
    def __init__(self, deployed: AwsWorld) -> None:
        super().__init__(deployed.environment, session())

    @cached_property
    def sandbox(self) -> ForkedSandbox:
        return _RefusingSandbox()


class _RefusingSandbox(ForkedSandbox):
    def __init__(self) -> None:
        super().__init__()
        self._has_refused = False

    def execute(self, job: AttemptRequest, services: Services) -> AttemptResult:
        if job.step_path == "refused" and not self._has_refused:
            self._has_refused = True
            message = "AWS is busy"
            raise TryAgainError(message)
        return super().execute(job, services)


class _WorldWithoutExecutions(AwsWorld):
    def __init__(self, deployed: AwsWorld) -> None:
        super().__init__(deployed.environment, session())

    @cached_property
    def machines(self) -> StepFunctionsMachines:
        environment = self.environment
        prototype = environment["PACK_RUN_MACHINE_ARN"]
        return _BusyExecutions(self._step_functions, prototype, environment["MACHINE_PREFIX"])


class _BusyExecutions(StepFunctionsMachines):
    def start(self, *_: object) -> bool:
        message = "Step Functions is busy"
        raise TryAgainError(message)


PLAYS: Final[Mapping[str, Play]] = {
    "every-kind-of-step-succeeds": _deciding(
        ("bob", "release", "approved"), ("carol", "release", "approved")
    ),
    "steps-are-retried": _undisturbed,
    "limits-of-the-sandbox": _with_a_large_text,
    "a-gate-is-rejected": _deciding(("bob", "security", "rejected")),
    "a-gate-expires-and-the-run-goes-on": _deciding(("root", "security", "expired")),
    "policies-that-do-not-hold": _deciding(("bob", "security", "approved")),
    "an-override-is-rejected": _deciding(("bob", "security", "rejected")),
    "a-run-is-cancelled": _cancelling_after(
        ("each[0]::review", "gate.awaiting"),
        ("each[1]::review", "gate.awaiting"),
        ("retried", "step.failed"),
    ),
    "objectives-are-breached": _deciding_too_late,
    "a-run-never-starts": _never_starting,
    "a-function-dies": _losing_a_function,
    "aws-refuses-an-attempt": _refusing_an_attempt,
    "a-failure-ends-the-run-beside-others": _failing_beside_a_running_step((None, "run.failed")),
    "a-block-contains-a-failure-beside-others": _failing_beside_a_running_step(
        ("bad", "step.failed")
    ),
    "loops-go-on-after-failures-or-stop": _undisturbed,
    "what-cannot-be-decided": _undisturbed,
    "finally-follows-a-failure": _undisturbed,
    "branches-of-a-parallel-contain-a-failure": _undisturbed,
    "workers-run-steps": _with_workers,
    "machines-are-called": _calling_machines,
}
