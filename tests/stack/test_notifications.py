"""Approvers who subscribe are notified of a waiting gate, and decide it with what they receive."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.packs import pack
from tests.stack.api import until
from tests.stack.logs import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

NAME = "notified"
MANIFEST = pack(
    """
    - {id: build, run: {uses: builtin:noop}}
    - {id: review, gate: {approval: {id: security, message: "Grüße ☃"}}}
    - {id: again, gate: {approval: {id: security}}}
    """,
    spec="approvals: [{id: security, grants: [packs.approve]}]",
    name=NAME,
)
OVERRIDDEN = pack(
    """
    - id: checked
      gate:
        policy: {policy: never, failureAction: requestOverride, override: {approval: exception}}
    """,
    spec="""
    policies: [{id: never, version: "1", rules: [{id: no, require: "`false`"}]}]
    approvals: [{id: exception, message: Only in an emergency}]
    """,
    name=NAME,
)

# Members of an entry in the list of open approvals that a notification does not have: what only its
# reader may do, and what an approver reads before a decision.
OF_THE_LIST_ALONE = frozenset(
    {
        "approvedBy",
        "canDecide",
        "cannotDecideReason",
        "distinctFromRequester",
        "inputs",
        "minApprovals",
        "secrets",
    }
)


@dataclass
class Queue:
    """A queue that receives notifications of gates; *received* holds all of them in order."""

    sqs: Any
    url: str
    received: list[dict[str, Any]] = field(default_factory=list)

    def receive(self) -> list[dict[str, Any]]:
        """Return all notifications so far: their documents, with the message's `attributes`."""
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        for message in answer.get("Messages", []):
            attributes = {
                name: value["StringValue"] for name, value in message["MessageAttributes"].items()
            }
            self.received.append(json.loads(message["Body"]) | {"attributes": attributes})
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.received

    def of(self, run_id: str) -> dict[str, Any]:
        """Wait for the one notification of that run, and return it."""
        until(
            lambda: run_id in {notification["runId"] for notification in self.receive()},
            f"a notification of {run_id} arrives",
        )
        (notification,) = [
            notification for notification in self.received if notification["runId"] == run_id
        ]
        return notification


@contextmanager
def subscribed(aws: Callable[[str], Any], stack: Stack, tenant: str) -> Iterator[Queue]:
    """A queue subscribed to the gates of *tenant* as docs/notifications.md says."""
    sqs, sns = aws("sqs"), aws("sns")
    with ExitStack() as cleanup:
        url = sqs.create_queue(QueueName=f"gates-{uuid.uuid4()}")["QueueUrl"]
        cleanup.callback(sqs.delete_queue, QueueUrl=url)
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = attributes["Attributes"]["QueueArn"]
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": stack.approval_topic_arn}},
                }
            ],
        }
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        subscription = sns.subscribe(
            TopicArn=stack.approval_topic_arn,
            Protocol="sqs",
            Endpoint=arn,
            ReturnSubscriptionArn=True,
            Attributes={
                "RawMessageDelivery": "true",
                "FilterPolicy": json.dumps({"tenant": [tenant], "pack": [NAME]}),
            },
        )
        cleanup.callback(sns.unsubscribe, SubscriptionArn=subscription["SubscriptionArn"])
        yield Queue(sqs, url)


@pytest.fixture(name="queue")
def _queue(aws: Callable[[str], Any], stack: Stack) -> Iterator[Queue]:
    with subscribed(aws, stack, "tenant-prod") as queue:
        yield queue


def test_a_notification_holds_what_its_approver_needs_to_decide(
    operator: Api, approver: Api, queue: Queue
) -> None:
    run_id = operator.run(MANIFEST)
    notification = queue.of(run_id)
    (listed,) = [each for each in operator.open_approvals() if each["runId"] == run_id]

    answer = approver(
        "POST",
        notification["decisionPath"],
        {"decision": "approved", "planHash": notification["planHash"]},
    )

    assert (answer.status_code, answer.json()["resumed"]) == (200, True)
    assert operator.ended(run_id)["status"] == "succeeded"
    shown = listed.keys() - OF_THE_LIST_ALONE
    assert {name: notification[name] for name in shown} == {name: listed[name] for name in shown}
    assert notification["attributes"] == {
        "tenant": "tenant-prod",
        "pack": NAME,
        "approvalId": "security",
        "kind": "awaiting-approval",
    }
    assert (notification["message"], notification["minApprovals"]) == ("Grüße ☃", 1)
    # The second gate was satisfied by the same approval, and is over now.
    assert [received["stepId"] for received in queue.receive()] == ["review"]


def test_notifies_who_may_override_a_policy(operator: Api, approver: Api, queue: Queue) -> None:
    run_id = operator.run(OVERRIDDEN)
    notification = queue.of(run_id)

    answer = approver(
        "POST",
        notification["decisionPath"],
        {"decision": "approved", "planHash": notification["planHash"]},
    )

    assert answer.status_code == 200, answer.text
    assert operator.ended(run_id)["status"] == "succeeded"
    assert (notification["kind"], notification["stepId"]) == ("awaiting-override", "checked")


def test_no_notification_holds_a_task_token(
    operator: Api, approver: Api, stack: Stack, aws: Callable[[str], Any], queue: Queue
) -> None:
    run_id = operator.run(MANIFEST)
    notification = queue.of(run_id)
    key = {"pk": {"S": f"T#tenant-prod#R#{run_id}"}, "sk": {"S": "G#review"}}
    item = aws("dynamodb").get_item(TableName=stack.table_name, Key=key, ConsistentRead=True)

    token = item["Item"]["task_token"]["S"]

    assert token
    assert token not in json.dumps(notification)
    approver.decide(run_id, "security", "rejected")
    operator.ended(run_id)


def test_a_filter_by_tenant_lets_only_its_notifications_pass(
    operator: Api, stack: Stack, aws: Callable[[str], Any], queue: Queue
) -> None:
    other = operator.as_("other-tenant-operator")
    with subscribed(aws, stack, stack.clients[other.name].tenant) as others:
        ours, theirs = operator.run(MANIFEST), other.run(MANIFEST)
        notification, other_notification = queue.of(ours), others.of(theirs)

        assert [received["runId"] for received in queue.receive()] == [ours]
        assert [received["runId"] for received in others.receive()] == [theirs]
        assert notification["tenant"] != other_notification["tenant"]
    operator("POST", f"runs/{ours}/cancel")
    other("POST", f"runs/{theirs}/cancel")


def test_a_gate_waits_although_its_notification_is_refused(
    operator: Api, approver: Api, stack: Stack, aws: Callable[[str], Any]
) -> None:
    """The function's role may publish to its own topic only, so another one is refused."""
    functions, logs = aws("lambda"), aws("logs")
    physical = aws("cloudformation").describe_stack_resource(
        StackName=stack.machine_prefix, LogicalResourceId="OpenGateFunction"
    )["StackResourceDetail"]["PhysicalResourceId"]
    before = functions.get_function_configuration(FunctionName=physical)["Environment"]
    live = functions.get_alias(FunctionName=physical, Name="live")["FunctionVersion"]
    other = {"APPROVAL_TOPIC_ARN": f"{stack.approval_topic_arn}-of-others"}
    changed = {"Variables": before["Variables"] | other}
    functions.update_function_configuration(FunctionName=physical, Environment=changed)
    other_version = functions.publish_version(FunctionName=physical)["Version"]
    functions.update_alias(FunctionName=physical, Name="live", FunctionVersion=other_version)
    try:
        run_id = operator.run(MANIFEST)
        operator.wait(run_id, "waiting")
        until(lambda: _refused(logs, stack, run_id) == 1, "the refusal is logged")
    finally:
        functions.update_alias(FunctionName=physical, Name="live", FunctionVersion=live)
        functions.update_function_configuration(FunctionName=physical, Environment=before)

    assert approver.decide(run_id, "security", "approved").status_code == 200
    assert operator.ended(run_id)["status"] == "succeeded"


def _refused(logs: Any, stack: Stack, run_id: str) -> int:  # noqa: ANN401 - boto3 has no static types
    """The number of a run's notifications that SNS has refused.

    The emulator ignores filter patterns.
    """
    refusals = [
        json.loads(line)
        for line in lines(logs, f"/taskrunner/{stack.machine_prefix}/functions")
        if '"a notification was not published"' in line
    ]
    reasons = [refusal["reason"] for refusal in refusals if refusal["run"] == run_id]
    return reasons.count("AuthorizationError")
