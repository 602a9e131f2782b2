"""A function's requests to AWS, seen at botocore's boundary and said in the words of IAM.

One call may need several permissions: a transaction those of each of its writes, an object with
tags one more, and a machine that is made the right to hand over its role.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from moto.core.models import DEFAULT_ACCOUNT_ID

from tests.template import folder, functions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

REGION = "us-east-1"
_WRITES = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
}
_PARTITION_KEYS = ("pk", "tenant_runs", "tenant_open_approvals", "unfinished", "run_list", "due")


@dataclass(frozen=True, slots=True)
class Need:
    """One action on one resource; *keys* are the partitions of the table that it touches."""

    action: str
    resource: str
    keys: frozenset[str] = frozenset()


@dataclass
class Recorder:
    """Collects what each function needs, by the function's folder.

    *strays* are calls of a thread in which no function plays: a function's, started by itself. The
    main thread is the test's own, and the machines' threads call functions and nothing else.
    """

    needs: dict[str, set[Need]] = field(default_factory=lambda: defaultdict(set))
    strays: set[str] = field(default_factory=set)
    _now: threading.local = field(default_factory=threading.local)

    def attach(self) -> None:
        """Look at all calls of clients that are made from here on by boto3's default session."""
        session = boto3.DEFAULT_SESSION
        assert session is not None
        session.events.register("provide-client-params", self._calls)
        session.events.register("after-call.s3", self._answers)

    def by_logical_id(self) -> dict[str, set[Need]]:
        """The needs by what the template calls the functions."""
        names = {folder(logical_id): logical_id for logical_id in functions()}
        return {names[name]: found for name, found in self.needs.items()}

    @contextmanager
    def playing(self, function: str) -> Iterator[None]:
        """Take the calls of this thread as those of *function* meanwhile."""
        before = getattr(self._now, "function", None)
        self._now.function = function
        try:
            yield
        finally:
            self._now.function = before

    def _calls(self, params: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401
        """Botocore's hook; it returns nothing, for that would be taken for other parameters."""
        function = getattr(self._now, "function", None)
        if function is None:
            if threading.current_thread() is not threading.main_thread() and model.name != "Invoke":
                self.strays.add(f"{model.service_model.service_name}:{model.name}")
            return
        found = needs(model.service_model.service_name, model.name, params)
        self.needs[function] |= set(found)

    def _answers(self, http_response: Any, context: dict[str, Any], **_: object) -> None:  # noqa: ANN401
        """S3 says 404 only to who may list the bucket; to all others what is not there is 403."""
        function = getattr(self._now, "function", None)
        if function is not None and http_response.status_code == 404:
            bucket = context["input_params"]["Bucket"]
            self.needs[function].add(Need("s3:ListBucket", f"arn:aws:s3:::{bucket}"))


def needs(service: str, operation: str, params: Mapping[str, Any]) -> Iterable[Need]:
    """Return the needs of one call; an unknown call is an error, so that none is missed."""
    match service:
        case "dynamodb":
            return _of_table(operation, params)
        case "s3":
            return _of_bucket(operation, params)
        case "stepfunctions":
            return _of_states(operation, params)
        case "lambda" if operation == "Invoke":
            name = params["FunctionName"]
            arn = name if name.startswith("arn:") else _arn("lambda", f"function:{name}")
            return [Need("lambda:InvokeFunction", arn)]
        case "secretsmanager":
            # Secrets Manager ends a secret's ARN with six letters of its own.
            arn = _arn("secretsmanager", f"secret:{params['SecretId']}-AbCdEf")
            return [Need(f"secretsmanager:{operation}", arn)]
        case "kms":
            return [Need(f"kms:{operation}", params["KeyId"])]
        case "sns" if operation == "Publish":
            return [Need("sns:Publish", params["TopicArn"])]
        case "events" if operation == "PutEvents":
            buses = {entry["EventBusName"] for entry in params["Entries"]}
            return [Need("events:PutEvents", _arn("events", f"event-bus/{bus}")) for bus in buses]
        case "ecr":
            where = f"{params['registryId']}:repository/{params['repositoryName']}"
            # With enhanced scanning, ECR asks Inspector with the caller's permissions.
            return [
                Need(f"ecr:{operation}", f"arn:aws:ecr:{REGION}:{where}"),
                Need("inspector2:ListFindings", "*"),
            ]
    raise LookupError(f"nobody has said what {service}:{operation} needs")


def _of_table(operation: str, params: Mapping[str, Any]) -> Iterator[Need]:
    match operation:
        case "TransactWriteItems":
            for write in params["TransactItems"]:
                for kind, body in write.items():
                    yield _of_item(_WRITES[kind], body)
        case "BatchGetItem":
            for table, asked in params["RequestItems"].items():
                keys = frozenset(key["pk"]["S"] for key in asked["Keys"])
                yield Need("dynamodb:BatchGetItem", _table(table), keys)
        case "Query":
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            # Every query compares its partition with the one value that its condition names first.
            name = params["KeyConditionExpression"].split(" ")[2]
            key = params["ExpressionAttributeValues"][name]["S"]
            assert params["KeyConditionExpression"].split(" ")[0] in _PARTITION_KEYS
            yield Need("dynamodb:Query", _table(params["TableName"]) + index, frozenset({key}))
        case "GetItem" | "PutItem" | "UpdateItem":
            yield _of_item(operation, params)
        case _:
            raise LookupError(f"nobody has said what dynamodb:{operation} needs")


def _of_item(action: str, body: Mapping[str, Any]) -> Need:
    key = body.get("Key") or body["Item"]
    return Need(f"dynamodb:{action}", _table(body["TableName"]), frozenset({key["pk"]["S"]}))


def _of_bucket(operation: str, params: Mapping[str, Any]) -> Iterator[Need]:
    arn = f"arn:aws:s3:::{params['Bucket']}/{params['Key']}"
    match operation:
        case "GetObject" | "HeadObject":  # of a presigned address too: it carries the role's rights
            yield Need("s3:GetObject", arn)
        case "PutObject":
            yield Need("s3:PutObject", arn)
            if "Tagging" in params:
                yield Need("s3:PutObjectTagging", arn)
        case _:
            raise LookupError(f"nobody has said what s3:{operation} needs")


def _of_states(operation: str, params: Mapping[str, Any]) -> Iterator[Need]:
    action = f"states:{operation}"
    match operation:
        case "SendTaskSuccess" | "SendTaskFailure":
            yield Need(action, "*")
        case "CreateStateMachine":
            arn = _arn("states", f"stateMachine:{params['name']}")
            yield Need(action, arn)
            if "tags" in params:
                yield Need("states:TagResource", arn)
            yield Need("iam:PassRole", params["roleArn"])
        case "StopExecution" | "DescribeExecution":
            yield Need(action, params["executionArn"])
        case "ListStateMachines":
            yield Need(action, "*")
        case "StartExecution" | "DescribeStateMachine" | "ListExecutions" | "DeleteStateMachine":
            yield Need(action, params["stateMachineArn"])
        case _:
            raise LookupError(f"nobody has said what {action} needs")


def _table(name: str) -> str:
    return _arn("dynamodb", f"table/{name}")


def _arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{DEFAULT_ACCOUNT_ID}:{rest}"
