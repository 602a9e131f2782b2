"""The two worlds of the contracts: the adapters over moto's AWS, and the fakes in memory."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from taskrunner.adapters.approvals import DynamoApprovals
from taskrunner.adapters.artifacts import StoredArtifacts
from taskrunner.adapters.bucket import Bucket
from taskrunner.adapters.due_work import DynamoDueWork
from taskrunner.adapters.evidence import KmsEvidence
from taskrunner.adapters.functions import LambdaFunctions
from taskrunner.adapters.jobs import DynamoJobs
from taskrunner.adapters.journal_chunks import JournalChunks
from taskrunner.adapters.large_texts import LargeTexts
from taskrunner.adapters.machine_counts import StoredMachineCounts
from taskrunner.adapters.notifications import SnsNotifications
from taskrunner.adapters.plans import BucketPlans
from taskrunner.adapters.pools import DynamoPools
from taskrunner.adapters.releases import StoredReleases
from taskrunner.adapters.retention import Retention
from taskrunner.adapters.runs import DynamoRuns
from taskrunner.adapters.secrets import ManagedSecrets
from taskrunner.adapters.step_outcomes import StepOutcomes
from taskrunner.adapters.table import Table
from taskrunner.adapters.task_tokens import TaskTokens
from taskrunner.model.approval import Verdict
from taskrunner.model.notification import Notification
from tests.fakes.clock import StoppedClock
from tests.fakes.world import MemoryWorld
from tests.kms import signing_key
from tests.moto_aws import moto_aws
from tests.template import template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner import ports
    from taskrunner.executors.work import Functions
    from taskrunner.model.json_types import JsonObject
    from tests.fakes.notifications import MemoryNotifications

REGION = "us-east-1"
TABLE, BUCKET = "runs", "runs"
RETENTION = Retention(30 * 86400)
SECRET_PREFIX, EXECUTOR_PREFIX = "stack/", "stack_executor-"


@dataclass(frozen=True)
class Ports:
    """The ports of either world, and what tests need besides.

    *woken* has the first answer to each task token of a gate, and *sent* the tokens of all answers.
    *answers* has the answers to tokens of jobs, each with the name of the error or None.
    *in_another_process* makes another port Runs over the same store, which remembers nothing.
    *upload* stores a file by the URL for it, and returns whether that was accepted.
    *evidence_public_key* returns the key of the port Evidence in PEM.
    """

    clock: StoppedClock
    plans: ports.Plans
    runs: ports.Runs
    in_another_process: Callable[[], ports.Runs]
    approvals: ports.Approvals
    jobs: ports.Jobs
    pools: ports.Pools
    due_work: ports.DueWork
    machine_counts: ports.MachineCounts
    artifacts: ports.Artifacts
    upload: Callable[[ports.Upload, bytes], bool]
    evidence: ports.Evidence
    releases: ports.Releases
    secrets: ports.Secrets
    notifications: ports.Notifications
    functions: Functions
    topic: Topic | MemoryTopic
    store_secret: Callable[[str, str, str], None]
    deploy: Callable[[str, Callable[[Any], Any]], None]
    woken: dict[str, Verdict]
    sent: list[str]
    answers: list[tuple[str, str | None]]
    forget: Callable[[], None]
    evidence_public_key: Callable[[], bytes]


@dataclass
class MemoryTopic:
    """The subscriber of the topic in memory, which can also remove the topic."""

    notifications: MemoryNotifications

    def received(self) -> list[Notification]:
        """Return the notifications since the last call, without ids, which no envelope has."""
        received = [replace(published, id="") for published in self.notifications.published]
        self.notifications.published.clear()
        return received

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
        world.runs.known.clear()
        world.approvals.stored.clear()
        world.approvals.stored_gates.clear()
        world.jobs.stored.clear()
        world.pools.stored.clear()
        world.due_work.items.clear()
        world.machine_counts.stored = None
        world.jobs.answers.clear()
        topic.clear()

    return Ports(
        clock=world.clock,
        plans=world.plans,
        runs=world.runs,
        in_another_process=lambda: replace(world.runs, known={}),
        approvals=world.approvals,
        jobs=world.jobs,
        pools=world.pools,
        due_work=world.due_work,
        machine_counts=world.machine_counts,
        artifacts=world.artifacts,
        upload=lambda upload, content: world.artifacts.put(upload.url, content),
        evidence=world.evidence,
        releases=world.releases,
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
        answers=world.jobs.answers,
        forget=forget,
        evidence_public_key=lambda: world.evidence.public_key,
    )


@contextmanager
def moto() -> Iterator[None]:
    """Start moto's AWS with the template's table and a bucket."""
    with moto_aws({"lambda": {"use_docker": False}}, takes_urls=True):
        client("s3").create_bucket(Bucket=BUCKET)
        properties = template()["Resources"]["RunTable"]["Properties"]
        names = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
        client("dynamodb").create_table(
            TableName=TABLE, **{name: properties[name] for name in names}
        )
        yield


def client(service: str, **settings: Any) -> Any:  # noqa: ANN401 - boto3 has no static types
    return boto3.client(
        service,
        region_name=REGION,
        config=Config(**settings),
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def aws(dynamodb: Any = None) -> Ports:  # noqa: ANN401 - boto3 has no static types
    """Return the adapters, inside `moto()`; *dynamodb* may be a wrapped client."""
    clock, states, topic = StoppedClock(), StepFunctions(), Topic()

    def forget() -> None:
        _empty_table()
        # No environment of a function outlives the runs that it has seen, but this one does.
        for each in (journal, runs._journal):
            each._last_chunks.clear()
            each.known._journals.clear()
        pools._places.clear()
        states.answers.clear()
        topic.clear()

    key_arn = signing_key(client("kms"))
    table = Table(dynamodb or client("dynamodb"), TABLE)
    bucket = Bucket(client("s3", signature_version="s3v4"), BUCKET)
    journal = JournalChunks(table, RETENTION)
    runs = dynamo_runs(table, bucket)
    pools = DynamoPools(table)
    return Ports(
        clock=clock,
        plans=BucketPlans(bucket, RETENTION),
        runs=runs,
        in_another_process=lambda: dynamo_runs(table, bucket),
        approvals=DynamoApprovals(table, journal, TaskTokens(states), RETENTION),
        jobs=DynamoJobs(table, journal, TaskTokens(states), RETENTION),
        pools=pools,
        due_work=DynamoDueWork(table),
        machine_counts=StoredMachineCounts(table),
        artifacts=StoredArtifacts(table, bucket, RETENTION),
        upload=_put,
        evidence=KmsEvidence(client("kms"), key_arn, bucket, RETENTION),
        releases=StoredReleases(table, bucket, clock),
        secrets=ManagedSecrets(client("secretsmanager"), SECRET_PREFIX, time.time),
        notifications=SnsNotifications(client("sns"), topic.arn),
        functions=LambdaFunctions(client("lambda"), EXECUTOR_PREFIX, time.time),
        store_secret=_store_secret,
        topic=topic,
        deploy=Deployed.of_moto().functions.__setitem__,
        woken=states.woken,
        sent=states.sent,
        answers=states.answers,
        forget=forget,
        evidence_public_key=lambda: _public_key_in_pem(key_arn),
    )


@dataclass
class Topic:
    """moto's topic, with a queue that is subscribed to it."""

    arn: str = field(init=False)
    queue_url: str = field(init=False)

    def __post_init__(self) -> None:
        self._sns, self._sqs = client("sns"), client("sqs")
        self.queue_url = self._sqs.create_queue(QueueName="subscriber")["QueueUrl"]
        self._create()

    def _create(self) -> None:
        """Create the topic. Its ARN is the same each time."""
        self.arn = self._sns.create_topic(Name="approvals")["TopicArn"]
        queue = self._sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])
        arn = queue["Attributes"]["QueueArn"]
        self._sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=arn)

    def received(self) -> list[Notification]:
        """Return the notifications since the last call, without ids, which no envelope has."""
        response = self._sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        messages = response.get("Messages", [])
        for message in messages:
            self._sqs.delete_message(
                QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"]
            )
        return [_from_envelope(json.loads(message["Body"])) for message in messages]

    def delete(self) -> None:
        self._sns.delete_topic(TopicArn=self.arn)

    def clear(self) -> None:
        """Restore the topic and empty its queue."""
        if not self._sns.list_topics()["Topics"]:
            self._create()
        while self.received():
            pass


def _from_envelope(envelope: JsonObject) -> Notification:
    """Return the notification in the envelope that SNS sends to a queue."""
    attributes = {
        name: value["Value"]
        for name, value in envelope["MessageAttributes"].items()
        if value["Type"] == "String"
    }
    return Notification(
        id="", subject=envelope["Subject"], attributes=attributes, body=envelope["Message"]
    )


def _public_key_in_pem(key_arn: str) -> bytes:
    der = client("kms").get_public_key(KeyId=key_arn)["PublicKey"]
    return serialization.load_der_public_key(der).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _put(upload: ports.Upload, content: bytes) -> bool:
    response = requests.put(upload.url, data=content, headers=upload.headers, timeout=10)
    return response.status_code == HTTPStatus.OK


def _store_secret(tenant: str, name: str, value: str) -> None:
    client("secretsmanager").create_secret(
        Name=f"{SECRET_PREFIX}{tenant}/{name}", SecretString=value
    )


class Deployed:
    """moto's Lambda with Python functions, and errors in Lambda's form."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[[Any], Any]] = {}

    @classmethod
    def of_moto(cls) -> Deployed:
        deployed = cls()
        backend: Any = get_backend(DEFAULT_ACCOUNT_ID, REGION)
        backend.invoke = deployed.invoke
        return deployed

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
        except Exception as error:  # noqa: BLE001 - Lambda reports every exception
            response_headers["x-amz-function-error"] = "Unhandled"
            report = {"errorMessage": str(error), "errorType": type(error).__name__}
            return json.dumps(report).encode()


def _empty_table() -> None:
    """Empty the table, because moto copies all of it for each transaction."""
    dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[TABLE].items.clear()


def dynamo_runs(table: Table, bucket: Bucket) -> DynamoRuns:
    outcomes = StepOutcomes(table, LargeTexts(bucket, RETENTION), RETENTION)
    return DynamoRuns(table, JournalChunks(table, RETENTION), outcomes, RETENTION)


class StepFunctions:
    """A Step Functions client with task tokens only, each of which can be answered once."""

    def __init__(self) -> None:
        self.woken: dict[str, Verdict] = {}
        self.sent: list[str] = []
        self.answers: list[tuple[str, str | None]] = []

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803 - AWS's
        assert output == "{}"
        self._answer("SendTaskSuccess", taskToken, Verdict.APPROVED, None)

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        assert cause
        is_rejected = error == "ApprovalRejectedError"
        verdict = Verdict.REJECTED if is_rejected else Verdict.EXPIRED
        self._answer("SendTaskFailure", taskToken, verdict, error)

    def _answer(self, operation: str, token: str, verdict: Verdict, error: str | None) -> None:
        self.sent.append(token)
        self.answers.append((token, error))
        if token in self.woken:
            raise ClientError({"Error": {"Code": "TaskTimedOut", "Message": "used"}}, operation)
        self.woken[token] = verdict
