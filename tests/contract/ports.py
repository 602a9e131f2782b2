"""The ports over moto's AWS, with the table as the template defines it, and the same in memory."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from taskrunner.adapters.approvals import DynamoApprovals
from taskrunner.adapters.artifacts import ArtifactItems, StoredArtifacts
from taskrunner.adapters.bucket import Bucket
from taskrunner.adapters.claims import Claims
from taskrunner.adapters.evidence import KmsEvidence
from taskrunner.adapters.executions import Tokens
from taskrunner.adapters.functions import LambdaFunctions
from taskrunner.adapters.notifications import SnsNotifications
from taskrunner.adapters.plans import BucketPlans
from taskrunner.adapters.retention import Retention
from taskrunner.adapters.runs import DynamoRuns
from taskrunner.adapters.secrets import ManagedSecrets
from taskrunner.adapters.table import Table
from taskrunner.adapters.workshop import StoredWorkshop
from taskrunner.model.approval import Verdict
from taskrunner.model.journal import Entry, Event
from taskrunner.model.notification import Notification
from taskrunner.model.run import Run
from tests.fakes.world import MemoryWorld, StoppedClock
from tests.kms import signing_key
from tests.moto_aws import moto_aws
from tests.template import template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner import ports
    from taskrunner.executors.work import Functions
    from taskrunner.model.json_types import JsonObject
    from tests.fakes.world import MemoryNotifications

REGION = "us-east-1"
TABLE, BUCKET = "runs", "runs"
RETENTION = Retention(30 * 86400)
SECRET_PREFIX, EXECUTOR_PREFIX = "stack/", "stack-executor-"
_numbers = count(1)


@dataclass(frozen=True)
class Ports:
    """What both worlds have.

    *woken* has what each task token was answered, the first time, and *sent* every answer.
    """

    clock: StoppedClock
    plans: ports.Plans
    runs: ports.Runs
    approvals: ports.Approvals
    artifacts: ports.Artifacts
    evidence: ports.Evidence
    workshop: ports.Workshop
    secrets: ports.Secrets
    notifications: ports.Notifications
    functions: Functions
    topic: Topic | MemoryTopic
    store_secret: Callable[[str, str, str], None]
    deploy: Callable[[str, Callable[[Any], Any]], None]
    woken: dict[str, Verdict]
    sent: list[str]
    forget: Callable[[], None]


@dataclass
class MemoryTopic:
    """What a subscriber of the topic in memory is told, and how the topic goes away."""

    notifications: MemoryNotifications

    def received(self) -> list[Notification]:
        """What came since it was asked last, without ids, which no envelope has."""
        found = [replace(one, id="") for one in self.notifications.published]
        self.notifications.published.clear()
        return found

    def delete(self) -> None:
        self.notifications.is_down = True

    def clear(self) -> None:
        self.notifications.published.clear()
        self.notifications.is_down = False


def memory() -> Ports:
    world = MemoryWorld()
    topic = MemoryTopic(world.notifications)

    def forget() -> None:
        world.runs.stored.clear()
        world.approvals.stored.clear()
        world.approvals.gates.clear()
        topic.clear()

    return Ports(
        clock=world.clock,
        plans=world.plans,
        runs=world.runs,
        approvals=world.approvals,
        artifacts=world.artifacts,
        evidence=world.evidence,
        workshop=world.workshop,
        secrets=world.secrets,
        notifications=world.notifications,
        functions=world.functions,
        topic=topic,
        store_secret=lambda tenant, name, value: world.secrets.stored.update(
            {(tenant, name): value}
        ),
        deploy=world.functions.functions.__setitem__,
        woken=world.approvals.woken,
        sent=world.approvals.sent,
        forget=forget,
    )


@contextmanager
def moto() -> Iterator[None]:
    """moto's AWS with the template's table and a bucket in it."""
    with moto_aws({"lambda": {"use_docker": False}}):
        client("s3").create_bucket(Bucket=BUCKET)
        properties = template()["Resources"]["RunTable"]["Properties"]
        names = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
        client("dynamodb").create_table(
            TableName=TABLE, **{name: properties[name] for name in names}
        )
        yield


def client(service: str) -> Any:  # noqa: ANN401 - boto3 has no static types
    return boto3.client(
        service,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def aws(dynamodb: Any = None) -> Ports:  # noqa: ANN401 - boto3 has no static types
    """The adapters, inside `moto()`; *dynamodb* may be a client with something in front."""
    clock, states, topic = StoppedClock(), TaskTokens(), Topic()

    def forget() -> None:
        _empty_table()
        topic.clear()

    table = Table(dynamodb or client("dynamodb"), TABLE)
    bucket = Bucket(client("s3"), BUCKET)
    runs = dynamo_runs(table, bucket)
    return Ports(
        clock=clock,
        plans=BucketPlans(bucket, RETENTION),
        runs=runs,
        approvals=DynamoApprovals(table, runs, Tokens(states)),
        artifacts=StoredArtifacts(table, bucket, ArtifactItems(), RETENTION),
        evidence=KmsEvidence(client("kms"), signing_key(client("kms")), bucket, RETENTION),
        workshop=StoredWorkshop(table, bucket, clock, RETENTION),
        secrets=ManagedSecrets(client("secretsmanager"), SECRET_PREFIX),
        notifications=SnsNotifications(client("sns"), topic.arn),
        functions=LambdaFunctions(client("lambda"), EXECUTOR_PREFIX),
        store_secret=_store_secret,
        topic=topic,
        deploy=Deployed.of_moto().functions.__setitem__,
        woken=states.woken,
        sent=states.sent,
        forget=forget,
    )


@dataclass
class Topic:
    """moto's topic, with a queue that hears what is published to it."""

    arn: str = field(init=False)
    queue_url: str = field(init=False)

    def __post_init__(self) -> None:
        self.queue_url = client("sqs").create_queue(QueueName="heard")["QueueUrl"]
        self._create()

    def _create(self) -> None:
        """Create the topic, under the same ARN each time."""
        self.arn = client("sns").create_topic(Name="approvals")["TopicArn"]
        queue = client("sqs").get_queue_attributes(
            QueueUrl=self.queue_url, AttributeNames=["QueueArn"]
        )
        arn = queue["Attributes"]["QueueArn"]
        client("sns").subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=arn)

    def received(self) -> list[Notification]:
        """What came since it was asked last, without ids, which no envelope has."""
        answer = client("sqs").receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        for one in answer.get("Messages", []):
            client("sqs").delete_message(
                QueueUrl=self.queue_url, ReceiptHandle=one["ReceiptHandle"]
            )
        return [_heard(json.loads(one["Body"])) for one in answer.get("Messages", [])]

    def delete(self) -> None:
        client("sns").delete_topic(TopicArn=self.arn)

    def clear(self) -> None:
        """Be there, with nothing to hear."""
        if not client("sns").list_topics()["Topics"]:
            self._create()
        while self.received():
            pass


def _heard(envelope: JsonObject) -> Notification:
    """What SNS wraps a message in for a queue."""
    attributes = {
        name: value["Value"]
        for name, value in envelope["MessageAttributes"].items()
        if value["Type"] == "String"
    }
    return Notification(
        id="", subject=envelope["Subject"], attributes=attributes, body=envelope["Message"]
    )


def _store_secret(tenant: str, name: str, value: str) -> None:
    client("secretsmanager").create_secret(
        Name=f"{SECRET_PREFIX}{tenant}/{name}", SecretString=value
    )


class Deployed:
    """moto's Lambda with functions of our own, and errors as Lambda reports them."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[[Any], Any]] = {}

    @classmethod
    def of_moto(cls) -> Deployed:
        made = cls()
        backend: Any = get_backend(DEFAULT_ACCOUNT_ID, REGION)
        backend.invoke = made.invoke
        return made

    def invoke(
        self,
        function_name: str,
        _qualifier: str | None,
        body: Any,  # noqa: ANN401
        _headers: Any,  # noqa: ANN401
        response_headers: dict[str, Any],
    ) -> bytes:
        name = function_name.removeprefix(EXECUTOR_PREFIX)
        if not function_name.startswith(EXECUTOR_PREFIX) or name not in self.functions:
            raise UnknownFunctionException(function_name)
        try:
            return json.dumps(self.functions[name](json.loads(body))).encode()
        except Exception as error:  # noqa: BLE001 - Lambda reports whatever a function raises
            response_headers["x-amz-function-error"] = "Unhandled"
            told = {"errorMessage": str(error), "errorType": type(error).__name__}
            return json.dumps(told).encode()


def _empty_table() -> None:
    """moto copies all of a table for each transaction: a small one keeps the suite quick."""
    dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[TABLE].items.clear()


def dynamo_runs(table: Table, bucket: Bucket) -> DynamoRuns:
    return DynamoRuns(table, Claims(bucket, RETENTION), ArtifactItems(), RETENTION)


class TaskTokens:
    """Step Functions, as far as task tokens go: each is known until it is answered."""

    def __init__(self) -> None:
        self.woken: dict[str, Verdict] = {}
        self.sent: list[str] = []

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803 - AWS's
        assert output == "{}"
        self._answer("SendTaskSuccess", taskToken, Verdict.APPROVED)

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        assert cause
        rejected = error == "ApprovalRejectedError"
        self._answer(
            "SendTaskFailure", taskToken, Verdict.REJECTED if rejected else Verdict.EXPIRED
        )

    def _answer(self, operation: str, token: str, verdict: Verdict) -> None:
        self.sent.append(token)
        if token in self.woken:
            raise ClientError({"Error": {"Code": "TaskTimedOut", "Message": "used"}}, operation)
        self.woken[token] = verdict


def a_run(run_id: str = "", **changes: Any) -> Run:  # noqa: ANN401 - any field
    """A run of its own, of the tenant acme."""
    number = next(_numbers)
    fields: dict[str, Any] = {
        "tenant": "acme",
        "run_id": run_id or f"run-{number}",
        "plan_hash": "sha256:" + "a" * 64,
        "definition_hash": "sha256:" + "b" * 64,
        "pack_name": "deploy-app",
        "pack_version": "1.4.0",
        "machine": "taskrunner-deploy-app-bbbbbbbbbbbbbbbb",
        "execution": f"execution-{number}",
        "created_at": "2025-12-06T12:00:00.000Z",
        "created_by": "ana",
        "request_digest": "sha256:" + "c" * 64,
        "longest_s": 3600,
    }
    return Run(**(fields | changes))


def an_entry(entry_id: str, event: Event = Event.STEP_STARTED, **changes: Any) -> Entry:  # noqa: ANN401
    fields: dict[str, Any] = {
        "id": entry_id,
        "at": "2025-12-06T12:00:00.000Z",
        "event": event,
        "message": f"It is {entry_id}.",
    }
    return Entry(**(fields | changes))


CREATED = an_entry("run.created", Event.RUN_CREATED)
