from __future__ import annotations

import io
import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from taskrunner.adapters.overrides import LambdaOverrides
from taskrunner.errors import ConflictError, TryAgainError
from taskrunner.model.run import StepReference

GATE = StepReference("acme", "run-7", "check", "each[1]::")
RUN = {"tenant": "acme", "id": "run-7"}


def request(**place: object) -> dict[str, Any]:
    """Return what Lambda is asked: the call that a machine makes at a gate."""
    event = {
        "place": {"run": RUN, "path": "each[1]::", **place},
        "step": "check",
        "token": "a-token",
    }
    return {"FunctionName": "taskrunner-OpenGate", "Payload": json.dumps(event).encode()}


def a_client() -> Any:  # noqa: ANN401 - boto3 has no static types
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("lambda", region_name="us-east-1", **keys)


def enter(client: Any, *, has_timed_out: bool = False) -> None:  # noqa: ANN401 - boto3's own
    overrides = LambdaOverrides(client, "taskrunner-OpenGate")
    overrides.enter(GATE, "a-token", has_timed_out=has_timed_out)


def answer(report: object, **more: str) -> dict[str, Any]:
    return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(report).encode()), **more}


@pytest.mark.parametrize(
    ("late", "place"), [(False, {}), (True, {"timeout": {"Error": "States.Timeout"}})]
)
def test_calls_open_gate_as_a_machine_does(place: dict[str, object], *, late: bool) -> None:
    client = a_client()
    with Stubber(client) as stubber:
        stubber.add_response("invoke", answer({"status": "open"}), request(**place))

        enter(client, has_timed_out=late)

        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("ConflictError", ConflictError),
        ("TryAgainError", TryAgainError),
        ("Runtime.ExitError", TryAgainError),
    ],
)
def test_a_failure_of_open_gate_is_the_callers(name: str, error: type[Exception]) -> None:
    client = a_client()
    report = {"errorType": name, "errorMessage": "the run has ended"}
    with Stubber(client) as stubber:
        stubber.add_response("invoke", answer(report, FunctionError="Unhandled"), request())

        with pytest.raises(error):
            enter(client)


def test_asks_the_caller_to_try_again_when_lambda_is_busy() -> None:
    client = a_client()
    with Stubber(client) as stubber:
        stubber.add_client_error("invoke", "TooManyRequestsException", expected_params=request())

        with pytest.raises(TryAgainError):
            enter(client)
