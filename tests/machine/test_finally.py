"""`finally` runs once after the steps, however they ended, and never after a cancellation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters.clock import SystemClock
from taskrunner.adapters.machine_events import step_reference
from taskrunner.bootstrap import AwsWorld
from tests.machine.runs import (
    TENANT,
    decide,
    ended,
    has_entry,
    log,
    outputs,
    run,
    start,
    state_of,
    statuses,
)
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine

# The values that `finally` can read of the run and of the step `work`.
NOTIFY = """
finally:
  - id: notify
    run:
      uses: builtin:noop
      with:
        outcome: "{{ run.outcome }}"
        step: "{{ run.failedStep }}"
        reason: "{{ run.failureReason }}"
        work: "{{ steps.work.status }}"
        outputs: "{{ steps.work.outputs }}"
"""
WORK = "- {id: work, run: {uses: builtin:noop, with: {n: 1}}}"


def times_run(engine: Engine, step: str) -> int:
    """Return how often a machine has called the function of *step*."""
    events = [event for name, event in engine.calls if name == "run_step"]
    return sum(step_reference(event).path == step for event in events)


def read_by_notify(
    outcome: str,
    step: str | None,
    reason: str | None,
    work: str,
    outputs: Any,  # noqa: ANN401
) -> dict[str, Any]:
    return {"outcome": outcome, "step": step, "reason": reason, "work": work, "outputs": outputs}


def test_runs_once_after_steps_that_succeed(engine: Engine, ana: Client) -> None:
    state = run(ana, pack(WORK, spec=NOTIFY))

    assert state["status"] == "succeeded"
    assert statuses(state) == {"work": "Succeeded", "notify": "Succeeded"}
    assert outputs(ana, state, "notify") == read_by_notify(
        "succeeded", None, None, "Succeeded", {"n": 1}
    )
    assert times_run(engine, "notify") == 1


def test_runs_once_after_a_failure_which_still_fails_the_run(engine: Engine, ana: Client) -> None:
    broken = """
    - {id: broken, run: {uses: builtin:fail, with: {message: no luck}}}
    - {id: work, run: {uses: builtin:noop}}
    """
    state = run(ana, pack(broken, spec=NOTIFY))

    assert state["status"] == "failed"
    assert statuses(state) == {
        "broken": "Failed executor-error",
        "work": "Skipped run-failed",
        "notify": "Succeeded",
    }
    assert outputs(ana, state, "notify") == read_by_notify(
        "failed", "broken", "executor-error", "Skipped", None
    )
    assert times_run(engine, "notify") == 1
    assert log(ana, state["runId"])[-1]["message"] == "Run failed: step broken failed."


@pytest.mark.parametrize("verdict", ["rejected", "expired"])
def test_runs_once_after_a_gate_that_is_not_approved(
    engine: Engine, ana: Client, verdict: str
) -> None:
    gate = """
    - {id: review, gate: {approval: {id: security}}}
    - {id: work, run: {uses: builtin:noop}}
    """
    run_id = start(ana, pack(gate, spec=f"approvals: [{{id: security}}]\n{NOTIFY}"))
    decide(engine.client(subject="bob", scopes="operator admin"), run_id, "security", verdict)

    state = ended(ana, run_id)

    assert statuses(state) == {
        "review": f"Failed approval-{verdict}",
        "work": "Skipped run-failed",
        "notify": "Succeeded",
    }
    assert outputs(ana, state, "notify") == read_by_notify(
        "failed", "review", f"approval-{verdict}", "Skipped", None
    )
    assert times_run(engine, "notify") == 1


def test_runs_once_after_a_failure_beside_other_lanes_whose_gates_are_closed(
    engine: Engine, ana: Client, bob: Client
) -> None:
    lanes = """
    - {id: first, run: {uses: builtin:noop, with: {n: 1}}}
    - id: lanes
      parallel:
        steps:
          - {id: review, gate: {approval: {id: security}}}
          - {id: broken, when: "steps.first.outputs.n", run: {uses: builtin:fail}}
    - {id: work, run: {uses: builtin:noop}}
    """
    run_id = start(ana, pack(lanes, spec=f"approvals: [{{id: security}}]\n{NOTIFY}"))

    state = ended(ana, run_id)

    assert statuses(state) == {
        "first": "Succeeded",
        "lanes": "Failed",
        "review": "Skipped run-failed",
        "broken": "Failed executor-error",
        "work": "Skipped run-failed",
        "notify": "Succeeded",
    }
    assert times_run(engine, "notify") == 1
    answer = bob(
        "POST",
        f"runs/{run_id}/approvals/security",
        {"decision": "approved", "planHash": state["planHash"]},
    )
    assert (answer.status, answer.json["error"]["code"]) == (409, "approval_not_open")


def test_does_not_run_after_a_cancellation(engine: Engine, ana: Client) -> None:
    gate = "- {id: work, gate: {approval: {id: security}}}"
    spec = NOTIFY.replace('        outputs: "{{ steps.work.outputs }}"\n', "")
    run_id = start(ana, pack(gate, spec=f"approvals: [{{id: security}}]\n{spec}"))
    engine.until(lambda: has_entry(ana, run_id, "work", "gate.awaiting"), "no gate waits")

    ana("POST", f"runs/{run_id}/cancel")

    assert statuses(state_of(ana, run_id)) == {
        "work": "Skipped cancelled",
        "notify": "Skipped cancelled",
    }
    assert times_run(engine, "notify") == 0


def test_fails_a_run_whose_steps_succeeded(ana: Client) -> None:
    final = """
    finally:
      - {id: cleanup, run: {uses: builtin:fail}}
      - {id: later, run: {uses: builtin:noop}}
    """
    state = run(ana, pack(WORK, spec=final))

    assert state["status"] == "failed"
    assert statuses(state) == {
        "work": "Succeeded",
        "cleanup": "Failed executor-error",
        "later": "Skipped run-failed",
    }
    assert log(ana, state["runId"])[-1]["message"] == "Run failed: step cleanup failed."


def test_leaves_the_failure_of_the_steps_the_reason_of_the_run(ana: Client) -> None:
    final = "finally: [{id: cleanup, run: {uses: builtin:fail}}]"
    state = run(ana, pack("- {id: broken, run: {uses: builtin:fail}}", spec=final))

    listed = ana("GET", "runs").json["runs"][0]
    last = log(ana, state["runId"])[-1]["message"]

    assert state["status"] == "failed"
    assert listed["statusReason"]["stepId"] == "broken"
    assert last == "Run failed: step broken failed, and in finally step cleanup failed."


def test_holds_every_kind_of_step_that_asks_nobody(ana: Client) -> None:
    final = """
    policies:
      - {id: clean, version: "1", rules: [{id: r, require: "run.outcome == 'failed'"}]}
    outputs:
      - {name: undone, type: object, expression: "steps.each.outputs.results"}
    finally:
      - {id: policy, gate: {policy: {id: clean}}}
      - id: both
        parallel:
          steps:
            - {id: left, run: {uses: builtin:noop}}
            - {id: right, when: "run.outcome == 'succeeded'", run: {uses: builtin:noop}}
      - id: each
        map:
          items: "split('a,b', ',')"
          steps: [{id: undo, run: {uses: builtin:noop, with: {name: "{{ item }}"}}}]
      - id: turns
        loop:
          items: {static: [1, 2]}
          until: "steps.turn.outputs.n == `1`"
          body: [{id: turn, run: {uses: builtin:noop, with: {n: "{{ item }}"}}}]
      - id: choice
        conditional:
          branches:
            - condition: run.failedStep == 'broken'
              steps: [{id: yes, run: {uses: builtin:noop}}]
          else: [{id: no, run: {uses: builtin:noop}}]
    """
    state = run(ana, pack("- {id: broken, run: {uses: builtin:fail}}", spec=final))

    assert statuses(state) == {
        "broken": "Failed executor-error",
        "policy": "Succeeded",
        "both": "Succeeded",
        "left": "Succeeded",
        "right": "Skipped condition-false",
        "each": "Succeeded",
        "each[0]::undo": "Succeeded",
        "each[1]::undo": "Succeeded",
        "turns": "Succeeded",
        "turns[0]::turn": "Succeeded",
        "choice": "Succeeded",
        "yes": "Succeeded",
        "no": "Skipped branch-not-taken",
    }
    ana.engine.rest()  # the outputs of a failed run are recorded after its end
    undone = next(
        item
        for item in ana("GET", f"runs/{state['runId']}/artifacts").json
        if item["name"] == "undone"
    )
    assert undone["expressionJson"] == '[{"name":"a"},{"name":"b"}]'


def test_a_run_is_in_progress_while_finally_runs(engine: Engine, ana: Client) -> None:
    seen: list[dict[str, Any]] = []

    def look(event: dict[str, Any]) -> None:
        reference = step_reference(event)
        if reference.path == "notify":
            seen.append(state_of(ana, reference.run_id))

    engine.before["run_step"] = look
    run(ana, pack("- {id: work, run: {uses: builtin:fail}}", spec=NOTIFY))

    assert [state["status"] for state in seen] == ["running"]
    assert statuses(seen[0]) == {"work": "Failed executor-error", "notify": "Pending"}
    assert engine.world.runs.snapshot(TENANT, seen[0]["runId"]).run.outcome is not None


def has_ended(engine: Engine, run_id: str) -> bool:
    return engine.world.runs.snapshot(TENANT, run_id).run.outcome is not None


def stop(engine: Engine, run_id: str) -> dict[str, Any]:
    """Stop the run's execution as an operator does, and return it."""
    run = engine.world.runs.snapshot(TENANT, run_id).run
    states = engine.world.environment["PACK_RUN_MACHINE_ARN"].partition(":stateMachine:")[0]
    arn = f"{states}:execution:{run.machine}:{run.execution}"
    engine.states.stop_execution(executionArn=arn)
    execution: dict[str, Any] = engine.states.describe_execution(executionArn=arn)
    return execution


def report(engine: Engine, execution: dict[str, Any]) -> None:
    """Report the end of an execution as EventBridge does, and twice, as it may."""
    detail = {
        "executionArn": execution["executionArn"],
        "status": "ABORTED",
        "input": execution["input"],
    }
    for _ in range(2):
        engine.invoke("settle_run", {"detail": detail})


class Later(SystemClock):
    """A clock that is two minutes ahead: what a minute ago was left to do is due."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(minutes=2)


def reconcile(engine: Engine) -> None:
    """Let the reconciler make a pass in two minutes."""
    world = AwsWorld(engine.world.environment)
    vars(world)["clock"] = Later()
    engine.worlds["reconcile"] = world
    assert engine.invoke("reconcile", {})["failed"] == 0


GATED = """
- {id: review, gate: {approval: {id: security}}}
- {id: work, run: {uses: builtin:noop}}
"""
GATED_SPEC = f"approvals: [{{id: security}}]\n{NOTIFY}"


def start_gated(engine: Engine, ana: Client) -> str:
    run_id = start(ana, pack(GATED, spec=GATED_SPEC))
    engine.until(lambda: has_entry(ana, run_id, "review", "gate.awaiting"), "no gate waits")
    return run_id


def test_runs_once_in_another_execution_after_its_own_was_stopped(
    engine: Engine, ana: Client
) -> None:
    run_id = start_gated(engine, ana)

    report(engine, stop(engine, run_id))
    assert state_of(ana, run_id)["status"] == "running"
    reconcile(engine)
    state = ended(ana, run_id)

    assert state["status"] == "failed"
    assert statuses(state) == {
        "review": "Skipped run-failed",
        "work": "Skipped run-failed",
        "notify": "Succeeded",
    }
    assert outputs(ana, state, "notify") == read_by_notify(
        "failed", None, "ABORTED", "Skipped", None
    )
    assert times_run(engine, "notify") == 1
    last = log(ana, run_id)[-1]["message"]
    assert last == "Run failed: the execution of its steps ended with ABORTED."
    report(engine, stop(engine, run_id))
    reconcile(engine)
    assert times_run(engine, "notify") == 1


def test_does_not_begin_again_when_its_execution_is_stopped(engine: Engine, ana: Client) -> None:
    final = """
    finally:
      - {id: notify, run: {uses: builtin:noop}}
      - {id: later, run: {uses: builtin:noop}}
    """
    executions: list[dict[str, Any]] = []

    def stop_before(event: dict[str, Any]) -> None:
        reference = step_reference(event)
        if reference.path == "later" and not executions:
            executions.append(stop(engine, reference.run_id))
            # The function is called all the same, and finds that the run has ended.
            engine.until(lambda: has_ended(engine, reference.run_id), "the run does not end")

    engine.before["run_step"] = stop_before
    run_id = start(ana, pack("- {id: broken, run: {uses: builtin:fail}}", spec=final))
    engine.until(lambda: bool(executions), "finally does not begin")
    report(engine, executions[0])
    reconcile(engine)

    state = ended(ana, run_id)

    assert state["status"] == "failed"
    assert times_run(engine, "notify") == 1
    assert log(ana, run_id)[-1]["message"].startswith("Run failed: step broken failed")
