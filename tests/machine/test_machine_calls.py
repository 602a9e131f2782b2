"""Steps that call state machines: recorded, started once, and ended as their executions end."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters.machine_events import step_reference
from taskrunner.usecases.reconcile import reconcile
from tests.machine.called_machines import FAIL, PASS, WAIT, CalledMachines
from tests.machine.runs import ended, log, outputs, start, state_of, statuses
from tests.machine.workers import LaterClock
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine

IMPORT = pack("- {id: load, run: {uses: states:import, with: {file: orders.csv}}}")


@pytest.fixture(name="machines")
def _machines(engine: Engine) -> CalledMachines:
    return CalledMachines(engine)


@pytest.fixture(name="clock")
def _clock(engine: Engine) -> LaterClock:
    return LaterClock(engine)


def test_a_machine_gets_the_parameters_and_its_output_is_read(
    ana: Client, machines: CalledMachines
) -> None:
    machines.make("import", PASS)
    manifest = pack(
        """
        - {id: load, run: {uses: states:import, with: {file: "{{ inputs.file }}", n: 2}}}
        - {id: after, run: {uses: builtin:noop, with: {f: "{{ steps.load.outputs.file }}"}}}
        """,
        spec="inputs: [{name: file, type: string, default: orders.csv}]",
    )
    run_id = start(ana, manifest)

    assert machines.report("import") == [{"status": "ended"}]
    state = ended(ana, run_id)
    caller = outputs(ana, state, "load").pop("taskrunner")

    assert state["status"] == "succeeded"
    assert outputs(ana, state, "load") | {"taskrunner": None} == {
        "file": "orders.csv",
        "n": 2,
        "taskrunner": None,
    }
    assert outputs(ana, state, "after") == {"f": "orders.csv"}
    assert caller | {"idempotencyKey": ""} == {
        "tenant": "tenant-prod",
        "run": run_id,
        "step": "load",
        "attempt": 1,
        "idempotencyKey": "",
    }
    assert len(caller["idempotencyKey"]) == 64


def test_the_step_runs_while_its_execution_does_and_the_log_names_it(
    ana: Client, machines: CalledMachines
) -> None:
    machines.make("import", WAIT)
    run_id = start(ana, IMPORT)
    execution = machines.running("import")

    state = state_of(ana, run_id)
    detail = ana("GET", f"runs/{run_id}/steps/load").json
    started = next(line for line in log(ana, run_id) if line["eventType"] == "step.started")
    ana("POST", f"runs/{run_id}/cancel")

    assert statuses(state) == {"load": "Running"}
    assert started["metadata"]["uses"] == "states:import"
    assert started["metadata"]["execution"] == execution["name"]
    arns = [step["executionArn"] for step in (state["steps"][0], detail)]
    arns += [attempt["executionArn"] for attempt in detail["attemptHistory"]]
    assert arns == [execution["executionArn"]] * 3


def test_a_failed_execution_fails_the_step_with_its_error(
    ana: Client, machines: CalledMachines
) -> None:
    machines.make("import", FAIL)
    run_id = start(ana, IMPORT)
    machines.report("import")

    state = ended(ana, run_id)

    assert statuses(state) == {"load": "Failed executor-error"}
    assert state["steps"][0]["errorMessage"] == "OutOfStock: the warehouse is empty"


def test_a_failed_attempt_is_another_execution_if_the_pack_says_so(
    engine: Engine, ana: Client, machines: CalledMachines
) -> None:
    machines.make("import", FAIL)
    manifest = pack(
        """
        - id: load
          retries: {maxAttempts: 2, backoffSeconds: 0}
          run: {uses: states:import}
        """
    )
    run_id = start(ana, manifest)
    machines.report("import")
    engine.until(lambda: len(machines.executions("import")) == 2, "there is no second attempt")
    machines.report("import")
    state = ended(ana, run_id)
    attempts = [
        json.loads(found["input"])["taskrunner"]["attempt"]
        for found in machines.executions("import")
    ]

    assert sorted(attempts) == [1, 2]
    assert state["steps"][0]["attempts"] == 2
    assert state["status"] == "failed"


def test_a_machine_that_does_not_exist_fails_the_step(ana: Client) -> None:
    state = ended(ana, start(ana, IMPORT))

    assert statuses(state) == {"load": "Failed executor-error"}
    assert "taskrunner_machine_import" in state["steps"][0]["errorMessage"]


def test_a_second_report_changes_nothing(ana: Client, machines: CalledMachines) -> None:
    machines.make("import", PASS)
    run_id = start(ana, IMPORT)
    machines.report("import")
    state = ended(ana, run_id)

    assert machines.report("import", status="FAILED") == [{"status": "ended"}]
    assert statuses(state_of(ana, run_id)) == statuses(state) == {"load": "Succeeded"}


def test_an_event_without_input_and_output_is_looked_up(
    ana: Client, machines: CalledMachines
) -> None:
    machines.make("import", PASS)
    run_id = start(ana, IMPORT)
    machines.report("import", input=None, output=None)

    state = ended(ana, run_id)

    assert outputs(ana, state, "load")["file"] == "orders.csv"


def test_an_execution_that_claims_the_step_of_another_ends_nothing(
    ana: Client, machines: CalledMachines, engine: Engine
) -> None:
    machines.make("import", WAIT)
    run_id = start(ana, IMPORT)
    machines.running("import")
    caller = {"tenant": "tenant-prod", "run": run_id, "step": "load", "attempt": 1}
    detail = {
        "stateMachineArn": "arn:aws:states:us-east-1:1:stateMachine:taskrunner_machine_import",
        "name": "mine",
        "status": "SUCCEEDED",
        "input": json.dumps({"taskrunner": caller}),
        "output": "{}",
    }

    answer = engine.invoke("end_machine_call", {"detail": detail})
    state = state_of(ana, run_id)
    ana("POST", f"runs/{run_id}/cancel")

    assert answer == {"status": "unknown"}
    assert statuses(state) == {"load": "Running"}


def test_a_cancelled_run_stops_its_executions(ana: Client, machines: CalledMachines) -> None:
    machines.make("import", WAIT)
    run_id = start(ana, IMPORT)
    machines.running("import")

    ana("POST", f"runs/{run_id}/cancel")
    machines.report("import")
    failed = [line for line in log(ana, run_id) if line["eventType"] == "step.failed"]

    assert [found["status"] for found in machines.executions("import")] == ["ABORTED"]
    assert failed[0]["metadata"]["reason"] == "cancelled"
    assert "cancelled with its run" in failed[0]["message"]


def test_a_failure_beside_it_has_the_reconciler_stop_the_execution(
    engine: Engine, ana: Client, machines: CalledMachines, clock: LaterClock
) -> None:
    machines.make("import", WAIT)
    manifest = pack(
        """
        - id: both
          parallel:
            steps:
              - {id: load, run: {uses: states:import}}
              - {id: breaks, run: {uses: builtin:fail, with: {message: no}}}
        """
    )

    def break_once_it_runs(event: dict[str, Any]) -> None:
        if step_reference(event).step_id == "breaks":
            machines.running("import")

    engine.before["run_step"] = break_once_it_runs
    run_id = start(ana, manifest)
    ended(ana, run_id)
    clock.ahead += timedelta(seconds=1)
    reconcile(engine.world)
    state = ended(ana, run_id)

    assert [found["status"] for found in machines.executions("import")] == ["ABORTED"]
    assert statuses(state)["load"] == "Failed run-failed"


def test_an_end_that_was_not_reported_is_found(
    engine: Engine, ana: Client, machines: CalledMachines, clock: LaterClock
) -> None:
    machines.make("import", PASS)
    run_id = start(ana, IMPORT)
    machines.ended("import")
    clock.ahead += timedelta(seconds=121)
    reconcile(engine.world)

    assert ended(ana, run_id)["status"] == "succeeded"


def test_an_execution_is_stopped_at_the_steps_time_limit(
    engine: Engine, ana: Client, machines: CalledMachines, clock: LaterClock
) -> None:
    machines.make("import", WAIT)
    manifest = pack("- {id: load, timeoutSeconds: 90, run: {uses: states:import}}")
    run_id = start(ana, manifest)
    machines.running("import")
    clock.ahead += timedelta(seconds=91)
    reconcile(engine.world)
    state = ended(ana, run_id)

    assert statuses(state) == {"load": "Failed timeout"}
    assert [found["status"] for found in machines.executions("import")] == ["ABORTED"]


def test_a_condition_skips_the_call(ana: Client) -> None:
    manifest = pack(
        """
        - {id: first, run: {uses: builtin:noop, with: {n: 1}}}
        - {id: load, when: steps.first.outputs.n == `2`, run: {uses: states:import}}
        """
    )

    state = ended(ana, start(ana, manifest))

    assert statuses(state)["load"] == "Skipped condition-false"
    assert state["status"] == "succeeded"


def test_a_call_that_was_cut_off_starts_one_execution(
    engine: Engine, ana: Client, machines: CalledMachines
) -> None:
    machines.make("import", PASS)
    run_id = start(ana, IMPORT)
    machines.running("import")
    event = next(event for name, event in engine.calls if name == "call_machine")

    again = engine.invoke("call_machine", event | {"token": "a newer token"})
    started = [line for line in log(ana, run_id) if line["eventType"] == "step.started"]
    engine.invoke("call_machine", event)
    machines.report("import")

    assert again["status"] == "started"
    assert len(machines.executions("import")) == 1
    assert len(started) == 1
    assert ended(ana, run_id)["status"] == "succeeded"
