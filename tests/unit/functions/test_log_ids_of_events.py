"""The ids on lines of functions that EventBridge and the table's stream call."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from functions.end_machine_call.app import handler as end_machine_call
from functions.publish_events.app import handler as publish_events
from functions.reconcile.app import handler as reconcile
from functions.settle_run.app import handler as settle_run
from taskrunner.adapters.logs import logger
from taskrunner.adapters.stream_records import run_of
from taskrunner.model.machine_call import ExecutionStatus
from taskrunner.model.run import StepReference
from taskrunner.usecases.create_run import create_run as create_run_of
from taskrunner.usecases.enter_gate import enter_gate
from tests.machine.client import LambdaContext
from tests.template import ROOT
from tests.unit.functions.log_calls import ids_by_failing_call, lines_of
from tests.unit.usecases.machine_call_run import CALLING, called, execution
from tests.unit.usecases.scenarios import GATED, TENANT, a_request, a_world

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

_PATIENCE_S = 60
RUN = {"tenant": TENANT, "run": "run-7"}


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


@pytest.mark.parametrize("odd", [{"dynamodb": None}, {"dynamodb": {"Keys": {"pk": {"S": 7}}}}, {}])
def test_an_odd_record_fails_no_batch_by_its_line(odd: dict[str, Any]) -> None:
    good = records("run-7")["Records"][0]

    assert run_of([odd]) == run_of([good, odd]) == {}
    assert run_of([good]) == RUN


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

    both = Barrier(2, timeout=_PATIENCE_S)

    def refuse(_: object) -> bool:
        both.wait()  # until both are looked at
        logger.error("a notification was not published")
        return False

    world.notifications.publish = refuse  # type: ignore[method-assign, assignment]
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

    world.notifications.publish = fail  # type: ignore[method-assign, assignment]
    lines = lines_of(reconcile, {}, world)

    about = [line for line in lines if line["message"] == "due work failed"]
    assert {line["run"]: (line["tenant"], line["step"]) for line in about} == {
        "run-7": (TENANT, "review"),
        "run-8": (TENANT, "review"),
    }
