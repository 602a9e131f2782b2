"""Executions of moto end with the AWS that they run on, wherever they wait."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.awslambda.utils import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.stepfunctions.parser.utils import TMP_THREADS

from tests import moto_executions
from tests.moto_aws import REGION, moto_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
CALL = {name: value for name, value in TASK.items() if name != "Retry"}
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


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


@contextmanager
def executing(invoke: Callable[..., bytes]) -> Iterator[Any]:
    """A client of Step Functions on an AWS whose functions are all *invoke*."""
    with moto_aws({"stepfunctions": {"execute_state_machine": True}}):
        backend: Any = get_backend(DEFAULT_ACCOUNT_ID, REGION)
        backend.invoke = invoke
        yield boto3.client("stepfunctions")


def started(states: Any, name: str, state: dict[str, Any]) -> str:  # noqa: ANN401 - boto3 is untyped
    """Start an execution of a machine of one state, and return its ARN."""
    machine = states.create_state_machine(
        name=name,
        definition=json.dumps({"StartAt": "Only", "States": {"Only": state}}),
        roleArn=ROLE,
    )
    run: str = states.start_execution(
        stateMachineArn=machine["stateMachineArn"], input='{"items": [1, 2]}'
    )["executionArn"]
    return run


@pytest.mark.parametrize("state", WAITING.values(), ids=WAITING)
def test_no_thread_of_an_execution_outlives_its_aws(state: dict[str, Any]) -> None:
    with executing(_invoke) as states:
        _until_it_waits(states, started(states, "m", state))
        threads = [thread for thread in TMP_THREADS if thread.is_alive()]

    assert threads
    assert [thread.name for thread in threads if thread.is_alive()] == []


def test_an_execution_that_begins_while_others_are_ended_ends_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_called, is_ending, threads = Event(), Event(), list[Thread]()

    def start_another(*_: object) -> bytes:
        is_called.set()
        assert is_ending.wait(60)
        started(states, "waiting", WAIT)
        threads.extend(TMP_THREADS)
        return b"{}"

    def wake(env: Any) -> None:  # noqa: ANN401 - moto is untyped
        is_ending.set()
        really_wake(env)

    really_wake = moto_executions._wake
    with executing(start_another) as states:
        started(states, "calling", CALL)
        assert is_called.wait(60)
        monkeypatch.setattr(moto_executions, "_wake", wake)

    assert threads
    assert [thread.name for thread in threads if thread.is_alive()] == []


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
