"""The ids on a line about an error, wherever in a function's work the error comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from functions.call_machine.app import handler as call_machine
from functions.create_run.app import handler as create_run
from functions.offer_job.app import handler as offer_job
from functions.read_run.app import handler as read_run
from functions.run_step.app import handler as run_step
from functions.serve_workers.app import handler as serve_workers
from taskrunner.adapters.authorizer_context import to_context
from taskrunner.errors import AttemptFailedError, TryAgainError
from taskrunner.model.caller import Caller
from taskrunner.model.run import StepOutcome, StepStatus
from tests.fakes.failing_world import FailingWorld, Failure
from tests.machine.client import LambdaContext
from tests.packs import pack
from tests.unit.functions.log_calls import Handler, ids_by_failing_call, lines_of
from tests.unit.usecases.machine_call_run import CALLING, a_calling_world
from tests.unit.usecases.scenarios import GATED, PLAIN, TENANT, a_world

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.world import MemoryWorld

RUN = {"tenant": TENANT, "run": "run-7"}
RETRIED = pack("- {id: ship, retries: {maxAttempts: 2}, run: {uses: builtin:fail}}", name="retried")
TWO = pack(
    """
    - {id: first, run: {uses: builtin:noop, with: {n: 1}}}
    - {id: second, run: {uses: builtin:noop, with: {n: "{{ steps.first.outputs.n }}"}}}
    """
)
ON_WORKERS = pack("- {id: tests, run: {uses: worker:linux, with: {script: make}}}", name="workers")
WORKER = Caller(
    subject="build",
    scopes=frozenset({"worker", "viewer"}),
    tenants=(TENANT, "globex"),
    pools=frozenset({"linux"}),
)
ANA = Caller(subject="ana", scopes=frozenset({"viewer"}), tenants=(TENANT,))
LEASES = "/v1/task-runner/worker/leases"
READING = {"sandbox.prepare", "runs.remembered", "runs.outcomes", "runs.snapshot", "plans.get"}
POLL = {"pool": "linux", "worker": "build-7"}


def machine_event(step: str, **members: str | int) -> dict[str, Any]:
    return {"place": {"run": {"tenant": TENANT, "id": "run-7"}, "path": ""}, "step": step} | members


def request(resource: str, caller: Caller, body: object = None, **path: str) -> dict[str, Any]:
    """Return a request as API Gateway hands it over; `leaseId` and others are in its path."""
    return {
        "httpMethod": "GET" if body is None else "POST",
        "resource": resource,
        "pathParameters": path or None,
        "headers": {"Content-Type": "application/json", "Host": "api.test"},
        "requestContext": {
            "requestId": "trace",
            "path": f"/live{resource}",
            "authorizer": to_context(caller),
        },
        "body": None if body is None else json.dumps(body),
    }


def offered() -> MemoryWorld:
    world = a_world(ON_WORKERS)
    offer_job(machine_event("tests", token="t"), None, world=world)
    return world


def leased() -> tuple[MemoryWorld, dict[str, Any]]:
    world = offered()
    answer = serve_workers(request(LEASES, WORKER, POLL), None, world=world)
    job: dict[str, Any] = json.loads(answer["body"])
    return world, job


def after_a_failure() -> MemoryWorld:
    world = a_world(RETRIED)
    with pytest.raises(AttemptFailedError):
        run_step(machine_event("ship", retry=0), LambdaContext(), world=world)
    return world


def failed(manifest: str, step: str) -> MemoryWorld:
    """A world in which the step has failed for good, and its machine asks again."""
    world = a_world(manifest)
    outcome = StepOutcome(path=step, attempt=3, status=StepStatus.FAILED, final=True)
    world.runs.record_step(world.runs.snapshot(TENANT, "run-7"), outcome, [])
    return world


def warm() -> MemoryWorld:
    """A world whose function remembers the run, because it has run the step before."""
    world = a_world(TWO)
    run_step(machine_event("first", retry=0), LambdaContext(), world=world)
    return world


@pytest.mark.parametrize(
    ("handler", "event", "arrange", "attempt"),
    [
        (run_step, machine_event("ship", retry=0), a_world, 1),
        (run_step, machine_event("second", retry=0), warm, 1),
        (run_step, machine_event("ship", retry=1), after_a_failure, 2),
        (offer_job, machine_event("tests", token="t"), lambda: a_world(ON_WORKERS), 1),
        (call_machine, machine_event("load", token="t"), a_calling_world, 1),
        (offer_job, machine_event("tests", token="t"), lambda: failed(ON_WORKERS, "tests"), 3),
        (call_machine, machine_event("load", token="t"), lambda: failed(CALLING, "load"), 3),
    ],
)
def test_a_line_about_an_error_has_the_attempt_once_the_run_is_read(
    handler: Handler,
    event: dict[str, Any],
    arrange: Callable[[], MemoryWorld],
    attempt: int,
) -> None:
    found = ids_by_failing_call(handler, event, arrange)

    missing = {name.partition(" ")[2] for name, ids in found.items() if ids[3] is None}
    assert {ids[:3] for ids in found.values()} == {(TENANT, "run-7", event["step"])}
    assert {ids[3] for ids in found.values()} == {None, attempt}
    assert missing <= READING


def test_the_line_about_gates_that_were_not_answered_has_the_attempt() -> None:
    lines = []
    for number in range(1, 6):
        lost = Failure(number, effect_lost=True, error=TryAgainError)
        world = FailingWorld(failed(GATED, "build"), lost)
        lines += lines_of(run_step, machine_event("build", retry=1), world)

    about = [line for line in lines if line["message"].startswith("not all gates")]
    assert {(line["step"], line["attempt"]) for line in about} == {("build", 3)}


def test_a_poll_names_the_job_that_it_was_about() -> None:
    found = ids_by_failing_call(serve_workers, request(LEASES, WORKER, POLL), offered)

    named = {name.partition(" ")[2]: ids for name, ids in found.items() if ids[1] is not None}
    assert named["jobs.lease"] == (TENANT, "run-7", "tests", 1)
    assert "jobs.waiting" not in named


def test_a_poll_does_not_name_a_job_that_was_passed_over() -> None:
    def without_run() -> MemoryWorld:
        world = offered()
        world.runs.stored.clear()
        return world

    event = request(LEASES, WORKER, POLL | {"waitSeconds": 2})
    found = ids_by_failing_call(serve_workers, event, without_run)

    calls = [name.partition(" ")[2] for name in found]
    assert calls.index("jobs.withdraw") < len(calls) - 1
    named = {name for name, ids in zip(calls, found.values(), strict=True) if ids[1]}
    assert named == {"runs.snapshot", "jobs.withdraw"}


@pytest.mark.parametrize(
    ("route", "members"),
    [
        ("heartbeat", {}),
        ("artifacts", {"path": "a.txt", "sizeBytes": 1, "sha256": "0" * 64}),
        ("completion", {"status": "succeeded"}),
    ],
)
def test_a_report_of_a_worker_names_its_job(route: str, members: dict[str, Any]) -> None:
    _, job = leased()
    body = {"secret": job["secret"], **members}
    event = request(f"{LEASES}/{{leaseId}}/{route}", WORKER, body, leaseId=job["leaseId"])

    found = ids_by_failing_call(serve_workers, event, lambda: leased()[0])

    assert len(found) > 2
    assert set(found.values()) == {(TENANT, "run-7", "tests", 1)}


def test_a_report_does_not_name_a_job_of_a_tenant_that_the_worker_does_not_serve() -> None:
    world, job = leased()
    stranger = Caller(
        subject="eve", scopes=WORKER.scopes, tenants=("globex",), pools=frozenset({"linux"})
    )
    body = {"secret": job["secret"]}
    event = request(f"{LEASES}/{{leaseId}}/heartbeat", stranger, body, leaseId=job["leaseId"])

    (line,) = lines_of(serve_workers, event, world)

    assert (line["tenant"], line.get("run"), line.get("step")) == ("globex", None, None)


def test_a_request_about_a_step_names_the_step() -> None:
    resource = "/v1/task-runner/runs/{runId}/steps/{stepId}"
    event = request(resource, ANA, runId="run-7", stepId="each%5B1%5D%3A%3Aship")

    (line,) = lines_of(read_run, event, a_world())

    assert line["code"] == "not_found"
    assert {name: line.get(name) for name in ("tenant", "run", "step")} == {
        **RUN,
        "step": "each[1]::ship",
    }


def test_a_refused_run_is_named() -> None:
    caller = Caller(subject="ana", scopes=frozenset({"operator"}), tenants=(TENANT, "globex"))
    body = {"manifest": PLAIN, "runId": "run-7", "tenantId": TENANT}

    (line,) = lines_of(create_run, request("/v1/task-runner/runs", caller, body), a_world())

    assert line["code"] == "run_exists"
    assert {name: line.get(name) for name in RUN} == RUN
