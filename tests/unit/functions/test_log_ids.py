"""The ids on a line about an error, wherever in a function's work the error comes from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pytest

from functions.call_machine.app import handler as call_machine
from functions.create_run.app import handler as create_run
from functions.end_machine_call.app import handler as end_machine_call
from functions.offer_job.app import handler as offer_job
from functions.publish_events.app import handler as publish_events
from functions.read_run.app import handler as read_run
from functions.reconcile.app import handler as reconcile
from functions.run_step.app import handler as run_step
from functions.serve_workers.app import handler as serve_workers
from functions.settle_run.app import handler as settle_run
from taskrunner.adapters.authorizer_context import to_context
from taskrunner.adapters.logs import logger
from taskrunner.errors import AttemptFailedError, TryAgainError
from taskrunner.model.caller import Caller
from taskrunner.model.machine_call import ExecutionStatus
from taskrunner.model.run import StepReference
from taskrunner.usecases.create_run import create_run as create_run_of
from taskrunner.usecases.enter_gate import enter_gate
from tests.fakes.failing_world import FailingWorld, Failure
from tests.log_lines import log_lines
from tests.machine.client import LambdaContext
from tests.packs import pack
from tests.template import ROOT
from tests.unit.usecases.machine_call_run import CALLING, a_calling_world, called, execution
from tests.unit.usecases.scenarios import GATED, PLAIN, TENANT, a_request, a_world

if TYPE_CHECKING:
    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld

Handler: TypeAlias = Callable[..., dict[str, Any]]

RUN = {"tenant": TENANT, "run": "run-7"}
LOG_IDS = ("tenant", "run", "step", "attempt")
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


def lines_of(handler: Handler, event: Mapping[str, Any], world: object) -> list[dict[str, Any]]:
    """Call a function, which may raise, and return what it has logged."""
    with log_lines() as lines, suppress(Exception):
        handler(event, LambdaContext(), world=cast("World", world))
    return lines


def ids_by_failing_call(
    handler: Handler, event: Mapping[str, Any], arrange: Callable[[], MemoryWorld]
) -> dict[str, tuple[Any, ...]]:
    """Let each call of a port fail, in turn, and return the ids on the line about its error.

    It is AWS that is busy for calls with an odd number, and a bug for the others.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for number in count(1):
        error = TryAgainError if number % 2 else KeyError
        world = FailingWorld(arrange(), Failure(number, effect_lost=True, error=error))
        lines = lines_of(handler, event, world)
        if not world.failed:
            return found
        expected = "AWS is too busy" if number % 2 else "unexpected error"
        # An answer of the API is a line of its own, and a few errors are no reason to fail.
        about = [line for line in lines if line["message"] == expected]
        for line in about:
            name = world.calls[number - 1]
            found[f"{number} {name}"] = tuple(line.get(name) for name in LOG_IDS)
    raise AssertionError


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
    caller = Caller(subject="ana", scopes=frozenset({"operator"}), tenants=(TENANT,))
    body = {"manifest": PLAIN, "runId": "run-7"}

    (line,) = lines_of(create_run, request("/v1/task-runner/runs", caller, body), a_world())

    assert line["code"] == "run_exists"
    assert {name: line.get(name) for name in RUN} == RUN


def test_the_end_of_an_execution_names_the_run() -> None:
    execution_input = {"run": {"tenant": TENANT, "id": "run-7"}, "path": ""}
    detail = {
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:pack:run-7",
        "status": "ABORTED",
        "input": json.dumps(execution_input),
    }

    found = ids_by_failing_call(settle_run, {"detail": detail}, a_world)

    assert {ids[:2] for ids in found.values()} == {(TENANT, "run-7")}


def end_of(world: MemoryWorld) -> dict[str, Any]:
    """Return EventBridge's event about the end of the execution that the step `load` waits for."""
    of = execution(world)
    report = world.called_machines.executions[of]
    return {
        "detail": {
            "stateMachineArn": f"arn:aws:states:x:1:stateMachine:t_machine_{of.machine}",
            "name": of.name,
            "status": ExecutionStatus.FAILED.value,
            "input": report.input_text,
        }
    }


def test_the_end_of_a_called_execution_names_the_attempt_once_its_job_is_read() -> None:
    found = ids_by_failing_call(end_machine_call, end_of(called(CALLING)), called)

    assert found.pop("1 jobs.get") == (None,) * 4
    assert len(found) > 2
    assert set(found.values()) == {(TENANT, "run-7", "load", 1)}


def test_an_execution_that_only_claims_a_step_names_nobody() -> None:
    event = end_of(called(CALLING))
    event["detail"]["name"] = "another"
    found = ids_by_failing_call(end_machine_call, event, called)

    assert set(found.values()) == {(None,) * 4}


def records(*runs: str, **changes: object) -> dict[str, Any]:
    """Return a batch of the table's stream, with a record about each of *runs*."""
    path = Path(ROOT, "events/publish_events/run_created.json")
    text = path.read_text(encoding="utf-8")
    batch = [
        json.loads(text.replace("T#tenant-prod#R#event-deploy", f"T#{TENANT}#R#{run}"))["Records"][
            0
        ]
        for run in runs
    ]
    for record in batch:
        record["dynamodb"] |= changes
    return {"Records": batch}


def test_a_record_that_cannot_be_read_names_its_run() -> None:
    bad = records("run-7", NewImage={"entries": {"L": [{"S": "no"}]}})
    (line,) = lines_of(publish_events, {"Records": bad["Records"] * 2}, a_world())[:1]

    assert line["message"] == "a record of the stream cannot be read"
    assert {name: line.get(name) for name in RUN} == RUN


def test_a_record_without_a_run_names_nobody() -> None:
    keys = {"pk": {"S": "nobody's"}}
    lines = lines_of(publish_events, records("run-7", Keys=keys), a_world())

    assert [line for line in lines if "run" in line] == []
    assert lines[0]["message"] == "a record of the stream cannot be read"


def test_a_batch_names_the_run_that_all_of_it_is_about() -> None:
    one, two = records("run-7", "run-7"), records("run-7", "run-8")

    assert {ids[:2] for ids in ids_by_failing_call(publish_events, one, a_world).values()} == {
        (TENANT, "run-7")
    }
    assert {ids[:2] for ids in ids_by_failing_call(publish_events, two, a_world).values()} == {
        (None, None)
    }


def with_gates_to_announce() -> MemoryWorld:
    """A world in which no approver was notified of the gates `review` of run-7 and run-8."""
    world = a_world(GATED)
    create_run_of(a_request(GATED, run_id="run-8"), world)
    world.notifications.is_down = True
    for run_id in ("run-7", "run-8"):
        enter_gate(StepReference(TENANT, run_id, "review", ""), f"token of {run_id}", world)
    world.clock.advance(61)
    return world


def test_a_pass_names_each_gate_on_the_lines_about_it() -> None:
    world = with_gates_to_announce()

    def refuse(_: object) -> bool:
        time.sleep(0.05)  # both are looked at by now
        logger.error("a notification was not published")
        return False

    world.notifications.publish = refuse  # type: ignore[method-assign]
    lines = lines_of(reconcile, {}, world)

    about = [line for line in lines if line["message"] == "a notification was not published"]
    assert sorted((line["run"], line["step"]) for line in about) == [
        ("run-7", "review"),
        ("run-8", "review"),
    ]
    assert {line["request_id"] for line in about} == {LambdaContext.aws_request_id}


def test_a_pass_names_the_step_of_an_item_that_failed() -> None:
    world = with_gates_to_announce()

    def fail(_: object) -> bool:
        raise PermissionError("no")

    world.notifications.publish = fail  # type: ignore[method-assign]
    lines = lines_of(reconcile, {}, world)

    about = [line for line in lines if line["message"] == "due work failed"]
    assert {line["run"]: (line["tenant"], line["step"]) for line in about} == {
        "run-7": (TENANT, "review"),
        "run-8": (TENANT, "review"),
    }
