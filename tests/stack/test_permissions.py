"""The rights of a function's role, which the emulator enforces, and what CloudWatch receives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.packs import pack
from tests.security.permissions.telltales import BEARER, SIGNED
from tests.stack.api import until
from tests.stack.logs import lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

SECRET = "nobody-may-read-this-0815"
NAME = f"logged-nowhere-{uuid4().hex[:8]}"  # a name that no interrupted test has left behind
MANIFEST = pack(
    """
    - {id: build, run: {uses: builtin:build}}
    - {id: known, gate: {policy: {policy: known, failureAction: warn,
       with: {token: "{{ secrets.NAME }}"}}}}
    - {id: review, gate: {approval: {id: security}}}
    """.replace("NAME", NAME),
    spec="""
    secrets: [{name: NAME}]
    approvals: [{id: security}]
    outputs: [{name: zip, type: file, path: /output/bundle.zip}]
    policies: [{id: known, version: "1", rules: [{id: r, require: "with.token == 'x'"}]}]
    """.replace("NAME", NAME),
)


@pytest.fixture(name="as_cancel_run")
def _as_cancel_run(stack: Stack, aws: Callable[[str], Any]) -> Callable[[str], Any]:
    """Clients with the rights of the function that cancels runs."""
    physical = aws("cloudformation").describe_stack_resource(
        StackName=stack.machine_prefix, LogicalResourceId="CancelRunFunctionRole"
    )["StackResourceDetail"]["PhysicalResourceId"]
    role = aws("iam").get_role(RoleName=physical)["Role"]["Arn"]
    taken = aws("sts").assume_role(RoleArn=role, RoleSessionName="a-test")["Credentials"]

    def client(service: str) -> Any:  # noqa: ANN401 - boto3 has no static types
        return boto3.client(
            service,
            endpoint_url=stack.endpoint_url,
            region_name=stack.region,
            aws_access_key_id=taken["AccessKeyId"],
            aws_secret_access_key=taken["SecretAccessKey"],
            aws_session_token=taken["SessionToken"],
        )

    return client


def test_a_role_cannot_do_what_its_policies_do_not_grant(
    stack: Stack, as_cancel_run: Callable[[str], Any]
) -> None:
    dynamodb, s3 = as_cancel_run("dynamodb"), as_cancel_run("s3")
    table = {"TableName": stack.table_name}
    key = {"pk": {"S": "T#tenant-prod#R#nobodys"}, "sk": {"S": "R"}}
    calls: dict[str, Callable[[], Any]] = {
        "dynamodb:Scan": lambda: dynamodb.scan(**table),
        "dynamodb:PutItem": lambda: dynamodb.put_item(**table, Item=key),
        "dynamodb:DeleteItem": lambda: dynamodb.delete_item(**table, Key=key),
        "s3:GetObject": lambda: s3.get_object(Bucket=stack.bucket_name, Key="t/plans/x.json"),
        "s3:PutObject": lambda: s3.put_object(Bucket=stack.bucket_name, Key="t/plans/x.json"),
        "states:StartExecution": lambda: as_cancel_run("stepfunctions").start_execution(
            stateMachineArn=stack.pack_run_machine_arn
        ),
        "secretsmanager:GetSecretValue": lambda: as_cancel_run("secretsmanager").get_secret_value(
            SecretId=f"{stack.machine_prefix}/tenant-prod/any"
        ),
        "kms:Sign": lambda: as_cancel_run("kms").sign(
            KeyId=stack.evidence_key_arn,
            Message=b"\0" * 32,
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        ),
    }

    answers = {action: _refusal(call) for action, call in calls.items()}
    granted = dynamodb.query(
        **table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": key["pk"]},
    )

    refused = {name for name, (code, _) in answers.items() if code.startswith("AccessDenied")}
    assert refused == calls.keys(), answers
    assert {name for name, (_, message) in answers.items() if name not in message} == set()
    assert granted["Items"] == []


def _refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """The code and the message of the error that *call* gets."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "nothing", "it was answered"


def test_no_log_holds_a_token_a_secret_or_a_presigned_address(
    operator: Api, approver: Api, stack: Stack, aws: Callable[[str], Any]
) -> None:
    secrets = aws("secretsmanager")
    secret_id = f"{stack.machine_prefix}/tenant-prod/{NAME}"
    secrets.create_secret(Name=secret_id, SecretString=SECRET)
    try:
        run_id = operator.run(MANIFEST)
        operator.wait(run_id, "waiting")
        item = aws("dynamodb").get_item(
            TableName=stack.table_name,
            Key={"pk": {"S": f"T#tenant-prod#R#{run_id}"}, "sk": {"S": "G#review"}},
        )["Item"]
        address = operator("GET", f"runs/{run_id}/artifacts/zip").headers["Location"]
        refused = operator("POST", f"runs/{run_id}/approvals/security", {"decision": "perhaps"})
        approver.decide(run_id, "security", "approved")
        assert operator.ended(run_id)["status"] == "succeeded"
    finally:
        secrets.delete_secret(SecretId=secret_id, ForceDeleteWithoutRecovery=True)
    trace = refused.json()["error"]["traceId"]
    logs = aws("logs")
    # The refusal is logged last, so once it is there all earlier lines are.
    until(lambda: trace in _logged(logs), "the refusal is logged")

    text = _logged(logs)

    tokens = [item["task_token"]["S"]]
    client_secrets = [client.client_secret for client in stack.clients.values()]
    secrets_in_use = [SECRET, address, operator.token, approver.token, *tokens, *client_secrets]
    assert all(tokens)
    assert [secret for secret in secrets_in_use if secret in text] == []
    assert SIGNED.search(text) is None
    assert BEARER.search(text) is None


def _logged(logs: Any) -> str:  # noqa: ANN401 - boto3 has no static types
    """All log lines in CloudWatch, of functions and of machines."""
    return "\n".join(
        line
        for group in logs.describe_log_groups()["logGroups"]
        for line in lines(logs, group["logGroupName"])
    )
