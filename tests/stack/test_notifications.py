"""Approvers who subscribe are told of a gate that waits, and decide it by what they are told."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.packs import pack
from tests.stack.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner_cli.local import Stack
    from tests.stack.conftest import Api

NAME = "told-of"
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


@dataclass
class Queue:
    """A queue that hears of gates; *heard* has all that came, by its order."""

    sqs: Any
    url: str
    heard: list[dict[str, Any]] = field(default_factory=list)

    def listen(self) -> list[dict[str, Any]]:
        """What came so far: documents, with what the subscription filtered by as `attributes`."""
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        for one in answer.get("Messages", []):
            attributes = {
                name: value["StringValue"] for name, value in one["MessageAttributes"].items()
            }
            self.heard.append(json.loads(one["Body"]) | {"attributes": attributes})
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=one["ReceiptHandle"])
        return self.heard

    def of(self, run_id: str) -> dict[str, Any]:
        """The one notification of that run, once it is there."""
        until(lambda: any(one["runId"] == run_id for one in self.listen()), f"{run_id} is told of")
        (found,) = [one for one in self.heard if one["runId"] == run_id]
        return found


@contextmanager
def subscribed(aws: Callable[[str], Any], stack: Stack, tenant: str) -> Iterator[Queue]:
    """A queue that is told of the gates of *tenant*, as docs/notifications.md subscribes one."""
    sqs, sns = aws("sqs"), aws("sns")
    with ExitStack() as cleanup:
        url = sqs.create_queue(QueueName=f"gates-{uuid.uuid4()}")["QueueUrl"]
        cleanup.callback(sqs.delete_queue, QueueUrl=url)
        asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = asked["Attributes"]["QueueArn"]
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
        made = sns.subscribe(
            TopicArn=stack.approval_topic_arn,
            Protocol="sqs",
            Endpoint=arn,
            ReturnSubscriptionArn=True,
            Attributes={
                "RawMessageDelivery": "true",
                "FilterPolicy": json.dumps({"tenant": [tenant], "pack": [NAME]}),
            },
        )
        cleanup.callback(sns.unsubscribe, SubscriptionArn=made["SubscriptionArn"])
        yield Queue(sqs, url)


@pytest.fixture(name="queue")
def _queue(aws: Callable[[str], Any], stack: Stack) -> Iterator[Queue]:
    with subscribed(aws, stack, "tenant-prod") as made:
        yield made


def test_a_gate_is_decided_by_what_its_approver_was_told(
    operator: Api, approver: Api, queue: Queue
) -> None:
    run_id = operator.run(MANIFEST)
    told = queue.of(run_id)
    (listed,) = [
        one for one in operator("GET", "approvals").json()["approvals"] if one["runId"] == run_id
    ]

    answer = approver(
        "POST", told["decisionPath"], {"decision": "approved", "planHash": told["planHash"]}
    )

    assert (answer.status_code, answer.json()["resumed"]) == (200, True)
    assert operator.ended(run_id)["status"] == "succeeded"
    assert {name: told[name] for name in listed} == listed
    assert told["attributes"] == {
        "tenant": "tenant-prod",
        "pack": NAME,
        "approvalId": "security",
        "kind": "awaiting-approval",
    }
    assert (told["message"], told["minApprovals"]) == ("Grüße ☃", 1)
    # The second gate was satisfied by the same approval, and is over now.
    assert [one["stepId"] for one in queue.listen()] == ["review"]


def test_who_may_override_a_policy_is_told_as_well(
    operator: Api, approver: Api, queue: Queue
) -> None:
    run_id = operator.run(OVERRIDDEN)
    told = queue.of(run_id)

    answer = approver(
        "POST", told["decisionPath"], {"decision": "approved", "planHash": told["planHash"]}
    )

    assert answer.status_code == 200, answer.text
    assert operator.ended(run_id)["status"] == "succeeded"
    assert (told["kind"], told["stepId"]) == ("awaiting-override", "checked")


def test_a_task_token_is_in_nothing_that_is_heard(
    operator: Api, approver: Api, stack: Stack, aws: Callable[[str], Any], queue: Queue
) -> None:
    run_id = operator.run(MANIFEST)
    told = queue.of(run_id)
    key = {"pk": {"S": f"T#tenant-prod#R#{run_id}"}, "sk": {"S": "G#review"}}
    item = aws("dynamodb").get_item(TableName=stack.table_name, Key=key, ConsistentRead=True)

    token = item["Item"]["task_token"]["S"]

    assert token
    assert token not in json.dumps(told)
    approver.decide(run_id, "security", "rejected")
    operator.ended(run_id)


def test_who_filters_by_a_tenant_hears_of_that_one_alone(
    operator: Api, stack: Stack, aws: Callable[[str], Any], queue: Queue
) -> None:
    other = operator.as_("other-tenant-operator")
    with subscribed(aws, stack, stack.clients[other.name].tenant) as others:
        ours, theirs = operator.run(MANIFEST), other.run(MANIFEST)
        told, told_others = queue.of(ours), others.of(theirs)

        assert [one["runId"] for one in queue.listen()] == [ours]
        assert [one["runId"] for one in others.listen()] == [theirs]
        assert told["tenant"] != told_others["tenant"]
    operator("POST", f"runs/{ours}/cancel")
    other("POST", f"runs/{theirs}/cancel")


def test_a_gate_waits_where_nobody_can_be_told(
    operator: Api, approver: Api, stack: Stack, aws: Callable[[str], Any]
) -> None:
    """Its role lets the function publish to the one topic, so that any other is refused."""
    functions, logs = aws("lambda"), aws("logs")
    physical = aws("cloudformation").describe_stack_resource(
        StackName=stack.machine_prefix, LogicalResourceId="OpenGateFunction"
    )["StackResourceDetail"]["PhysicalResourceId"]
    before = functions.get_function_configuration(FunctionName=physical)["Environment"]
    other = {"APPROVAL_TOPIC_ARN": f"{stack.approval_topic_arn}-of-others"}
    changed = {"Variables": before["Variables"] | other}
    refused = _refused(logs, stack)
    functions.update_function_configuration(FunctionName=physical, Environment=changed)
    try:
        run_id = operator.run(MANIFEST)
        operator.wait(run_id, "waiting")
        until(lambda: _refused(logs, stack) == refused + 1, "the refusal is logged")
    finally:
        functions.update_function_configuration(FunctionName=physical, Environment=before)

    assert approver.decide(run_id, "security", "approved").status_code == 200
    assert operator.ended(run_id)["status"] == "succeeded"


def _refused(logs: Any, stack: Stack) -> int:  # noqa: ANN401 - boto3 has no static types
    """How many notifications SNS has refused; the emulator's log is read by no pattern."""
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/taskrunner/{stack.machine_prefix}/functions"
    )
    messages = [event["message"] for page in pages for event in page["events"]]
    lines = [json.loads(one) for one in messages if '"a notification was not published"' in one]
    return sum(line["reason"] == "AuthorizationError" for line in lines)
