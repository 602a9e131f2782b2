from __future__ import annotations

import io
import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from taskrunner.adapters.settlements import LambdaSettlements
from taskrunner.errors import TryAgainError
from tests.contract.samples import a_run

RUN = a_run("run-7")
REQUEST = {
    "FunctionName": "taskrunner-SettleRun",
    "InvocationType": "Event",
    "Payload": json.dumps({"tenant": "acme", "run": "run-7", "error": "ABORTED"}).encode(),
}


def a_client() -> Any:  # noqa: ANN401 - boto3 has no static types
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("lambda", region_name="us-east-1", **keys)


def test_calls_settle_run_and_does_not_wait_for_it() -> None:
    client = a_client()
    with Stubber(client) as stubber:
        stubber.add_response("invoke", {"StatusCode": 202, "Payload": io.BytesIO()}, REQUEST)

        LambdaSettlements(client, "taskrunner-SettleRun").request(RUN, "ABORTED")

        stubber.assert_no_pending_responses()


def test_asks_the_caller_to_try_again_when_lambda_is_busy() -> None:
    client = a_client()
    with Stubber(client) as stubber:
        stubber.add_client_error("invoke", "TooManyRequestsException", expected_params=REQUEST)

        with pytest.raises(TryAgainError):
            LambdaSettlements(client, "taskrunner-SettleRun").request(RUN, "ABORTED")
