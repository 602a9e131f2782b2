"""Policy gates whose policy takes a function or secrets; these packs have no other steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3

from tests.machine.runs import TENANT, decide, ended, run, start, statuses
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine


SECRET = "correct-horse-battery"


SPEC = """
secrets: [{name: token}]
approvals: [{id: security}]
policies:
  - {id: window, version: "3", uses: "lambda:window"}
  - {id: known, version: "1", rules: [{id: r, require: "starts_with(with.token, 'correct')"}]}
"""


def gates(*policies: str) -> str:
    """A pack of policy gates, g0, g1, ..."""
    steps = "\n".join(
        f"- {{id: g{number}, gate: {{policy: {{{policy}}}}}}}"
        for number, policy in enumerate(policies)
    )
    return pack(steps, spec=SPEC)


def questions(engine: Engine) -> list[tuple[str, str | None]]:
    """The functions that the machines called, and the question that each was asked."""
    return [(name, event.get("ask")) for name, event in engine.calls if name != "settle_run"]


def test_run_step_evaluates_functions_and_decide_flow_evaluates_rules(
    engine: Engine, ana: Client
) -> None:
    engine.functions["window"] = lambda _: {"passed": True}

    rules = "policy: known, with: {token: x}, failureAction: warn"

    state = run(ana, gates("policy: window", rules))

    assert statuses(state) == {"g0": "Succeeded", "g1": "Succeeded policy-warned"}
    assert questions(engine) == [("run_step", "policy"), ("decide_flow", "policy")]


def test_a_function_that_denies_is_asked_again_and_then_fails_the_run(
    engine: Engine, ana: Client
) -> None:
    payloads = []

    def window(payload: dict[str, Any]) -> Any:  # noqa: ANN401
        payloads.append(payload)
        return {"passed": False, "failures": [{"id": "freeze", "message": "not on Friday"}]}

    engine.functions["window"] = window

    state = run(ana, gates("policy: window, retries: {count: 1}", "policy: window"))

    assert state["status"] == "failed"
    assert statuses(state) == {"g0": "Failed policy-failed", "g1": "Skipped run-failed"}
    assert state["steps"][0]["errorMessage"] == "Policy window does not hold: freeze: not on Friday"
    assert state["steps"][0]["attempts"] == 2
    assert [payload["attempt"] for payload in payloads] == [1, 2]
    assert payloads[0]["run"] == {"id": state["runId"], "tenant": TENANT}


def test_an_override_and_a_branch_follow_a_functions_denial(
    engine: Engine, ana: Client, bob: Client
) -> None:
    engine.functions["window"] = lambda payload: {"passed": payload["step"] == "inner"}
    run_id = start(
        ana,
        gates(
            "policy: window, failureAction: requestOverride, override: {approval: security}",
            "policy: window, failureAction: branch, "
            "branch: [{id: inner, gate: {policy: {policy: window}}}]",
        ),
    )
    decide(bob, run_id, "security")

    state = ended(ana, run_id)

    assert state["status"] == "succeeded"
    assert statuses(state) == {
        "g0": "Succeeded",
        "g1": "Succeeded policy-failed",
        "inner": "Succeeded",
    }
    # One state: run_step evaluates the policy, and hands the gate on.
    assert questions(engine)[:2] == [("run_step", None), ("open_gate", None)]


def test_continue_on_error_lets_the_run_go_on_without_the_function(
    engine: Engine, ana: Client
) -> None:
    manifest = gates("policy: window", "policy: known, with: {token: x}, failureAction: warn")

    state = run(ana, manifest.replace("{id: g0,", "{id: g0, continueOnError: true,"))

    assert state["status"] == "succeeded"
    assert statuses(state) == {"g0": "Failed policy-failed", "g1": "Succeeded policy-warned"}
    assert "there is no executor function 'window'" in state["steps"][0]["errorMessage"]
    assert engine.functions == {}


def test_a_secret_reaches_its_function_and_nothing_that_is_stored(
    engine: Engine, ana: Client
) -> None:
    tokens = []

    def window(payload: dict[str, Any]) -> Any:  # noqa: ANN401
        tokens.append(payload["with"]["token"])
        raise RuntimeError(f"401 for {payload['with']['token']}")

    engine.functions["window"] = window
    engine.store_secret(TENANT, "token", SECRET)
    with_it = 'policy: window, with: {token: "{{ secrets.token }}"}'

    state = run(ana, gates(f"{with_it}, failureAction: warn", with_it))

    assert tokens == [SECRET, SECRET]
    message = "Policy window does not hold: the function 'window' failed: RuntimeError: 401 for ***"
    assert state["steps"][1]["errorMessage"] == message
    assert SECRET not in everything_stored(engine)
    assert "401 for ***" in everything_stored(engine)


def test_run_step_evaluates_rules_that_read_a_secret(engine: Engine, ana: Client) -> None:
    engine.store_secret(TENANT, "token", SECRET)

    state = run(ana, gates('policy: known, with: {token: "{{ secrets.token }}"}'))

    assert statuses(state) == {"g0": "Succeeded"}
    assert questions(engine) == [("run_step", "policy")]


def test_a_missing_secret_fails_the_gate_by_name(engine: Engine, ana: Client) -> None:
    engine.functions["window"] = lambda _: {"passed": True}
    engine.store_secret("another-tenant", "token", SECRET)

    state = run(
        ana, gates('policy: window, with: {token: "{{ secrets.token }}"}, failureAction: warn')
    )

    assert statuses(state) == {"g0": "Failed executor-error"}
    assert "there is no secret 'token'" in state["steps"][0]["errorMessage"]


def everything_stored(engine: Engine) -> str:
    """The content of the table, the bucket, the machines and their executions at the end."""
    engine.all_executed()
    table, bucket = boto3.client("dynamodb"), boto3.client("s3")
    stored = [json.dumps(table.scan(TableName="runs")["Items"])]
    stored += [
        bucket.get_object(Bucket="runs", Key=found["Key"])["Body"].read().decode()
        for found in bucket.list_objects_v2(Bucket="runs")["Contents"]
    ]
    for machine in engine.states.list_state_machines()["stateMachines"]:
        arn = machine["stateMachineArn"]
        stored.append(engine.states.describe_state_machine(stateMachineArn=arn)["definition"])
        for execution in engine.states.list_executions(stateMachineArn=arn)["executions"]:
            history = engine.states.get_execution_history(executionArn=execution["executionArn"])[
                "events"
            ]
            stored.append(json.dumps(history, default=str))
    return "\n".join(stored)
