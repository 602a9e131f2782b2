"""Executions of moto end with the AWS that they run on, wherever they wait."""

from __future__ import annotations

import json
import time
from typing import Any

import boto3
import pytest
from moto.awslambda.utils import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.stepfunctions.parser.utils import TMP_THREADS

from tests.moto_aws import REGION, moto_aws

LONG_S = 600
ROLE = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/machines"
WAIT = {"Type": "Wait", "Seconds": LONG_S, "End": True}
GATE = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
    "Parameters": {"FunctionName": "works", "Payload": {"token.$": "$$.Task.Token"}},
    "TimeoutSeconds": LONG_S,
    "End": True,
}
TASK = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke",
    "Parameters": {"FunctionName": "fails", "Payload": {}},
    "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": LONG_S, "MaxAttempts": 3}],
    "End": True,
}
WAITING = {
    "a wait": WAIT,
    "a gate": GATE,
    "a retry": TASK,
    "branches": {
        "Type": "Parallel",
        "Branches": [{"StartAt": "Only", "States": {"Only": state}} for state in (WAIT, GATE)],
        "End": True,
    },
    "iterations": {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemProcessor": {"StartAt": "Only", "States": {"Only": TASK}},
        "End": True,
    },
}


@pytest.mark.parametrize("state", WAITING.values(), ids=WAITING)
def test_no_thread_of_an_execution_outlives_its_aws(
    state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    others = set(TMP_THREADS)

    with moto_aws({"stepfunctions": {"execute_state_machine": True}}):
        backend: Any = get_backend(DEFAULT_ACCOUNT_ID, REGION)
        backend.invoke = _invoke
        states = boto3.client("stepfunctions")
        machine = states.create_state_machine(
            name="m",
            definition=json.dumps({"StartAt": "Only", "States": {"Only": state}}),
            roleArn=ROLE,
        )
        run = states.start_execution(
            stateMachineArn=machine["stateMachineArn"], input='{"items": [1, 2]}'
        )
        _until_it_waits(states, run["executionArn"])

    left = [thread.name for thread in TMP_THREADS if thread not in others and thread.is_alive()]
    assert left == []


def _invoke(
    function_name: str,
    _qualifier: object,
    _body: object,
    _headers: object,
    response_headers: dict[str, Any],
) -> bytes:
    if function_name == "fails":
        response_headers["x-amz-function-error"] = "Unhandled"
    return b'{"errorType": "Broken", "errorMessage": "it is broken"}'


def _until_it_waits(states: Any, run: str) -> None:  # noqa: ANN401 - boto3 has no static types
    """Return when the execution's history has stayed the same for a while."""
    deadline, seen, since = time.monotonic() + 60, 0, time.monotonic()
    while seen < 2 or time.monotonic() < since + 0.1:
        assert time.monotonic() < deadline
        events = len(states.get_execution_history(executionArn=run)["events"])
        if events != seen:
            seen, since = events, time.monotonic()
        time.sleep(0.01)
