"""moto's answers, with the parts of moto that tests replace and without them: the same."""

from __future__ import annotations

import json
import time
from typing import Any

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.serialize import BaseJSONSerializer, ResponseSerializer

from tests.machine.deployment import deploy
from tests.moto_aws import REGION, moto_aws


def test_an_answer_is_written_as_by_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []

    def both(self: Any, result: Any) -> Any:  # noqa: ANN401 - moto is untyped
        answer = serialize(self, result)
        with pytest.MonkeyPatch.context() as alone:
            alone.setattr(ResponseSerializer, "get_value", value_by_moto)
            alone.setattr(BaseJSONSerializer, "_serialize_type_structure", structure_by_moto)
            assert answer == serialize(self, result)
        written.append(answer["body"])
        return answer

    serialize, value_by_moto = ResponseSerializer.serialize, ResponseSerializer.get_value
    structure_by_moto = BaseJSONSerializer._serialize_type_structure
    executed: Any = {"stepfunctions": {"execute_state_machine": True}}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setattr(ResponseSerializer, "serialize", both)
    with moto_aws(executed):
        deployed = deploy()
        boto3.client("ecr").create_repository(repositoryName="images")
        run = _executed(boto3.client("stepfunctions"))
        for _ in range(2):  # the names are known the second time
            boto3.client("stepfunctions").get_execution_history(executionArn=run)
            boto3.client("dynamodb").describe_table(TableName=deployed["TABLE_NAME"])
            boto3.client("kms").describe_key(KeyId=deployed["EVIDENCE_KEY_ARN"])
            boto3.client("ecr").describe_repositories()  # its parts have other names in moto

    assert len(written) > 8
    assert any("ExecutionSucceeded" in str(body) for body in written)
    assert any("repositoryName" in str(body) for body in written)


def _executed(states: Any) -> str:  # noqa: ANN401 - boto3 has no static types
    """Run a machine of one state, and return the execution's ARN when it has ended."""
    definition = {"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}}
    machine = states.create_state_machine(
        name="m",
        definition=json.dumps(definition),
        roleArn=f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/machines",
    )
    run: str = states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    deadline = time.monotonic() + 120
    while states.describe_execution(executionArn=run)["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return run
