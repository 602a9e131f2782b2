"""TaskRunner deployed in moto: table and frame as in the template, a bucket, a key and a topic."""

from __future__ import annotations

import json
from functools import cache
from typing import Final

import boto3
import yaml
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from tests.kms import signing_key
from tests.moto_aws import REGION
from tests.template import ROOT, functions, template

TABLE: Final = "runs"
BUCKET: Final = "runs"
MACHINE_PREFIX: Final = "taskrunner"
SECRET_PREFIX: Final = "taskrunner/"
EXECUTOR_PREFIX: Final = "taskrunner_executor-"
CALLED_MACHINE_PREFIX: Final = f"{MACHINE_PREFIX}_machine_"
# The functions that machines call, by their names in the frame and by their folders.
MACHINE_FUNCTIONS: Final = {
    "RunStep": "run_step",
    "OpenGate": "open_gate",
    "OfferJob": "offer_job",
    "CallMachine": "call_machine",
    "DecideFlow": "decide_flow",
    "SettleRun": "settle_run",
}
_FUNCTION_ARN: Final = f"arn:aws:lambda:{REGION}:{DEFAULT_ACCOUNT_ID}:function:"
_TABLE_PROPERTIES = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
BUS: Final = "default"


def deploy() -> dict[str, str]:
    """Create every resource in moto, and return the environment of the functions."""
    table = template()["Resources"]["RunTable"]["Properties"]
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        **{name: table[name] for name in _TABLE_PROPERTIES},
    )
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    role = boto3.client("iam").create_role(RoleName="machines", AssumeRolePolicyDocument="{}")
    frame = boto3.client("stepfunctions").create_state_machine(
        name=f"{MACHINE_PREFIX}_prototype",
        definition=deployed_frame(),
        roleArn=role["Role"]["Arn"],
    )
    return {
        "TABLE_NAME": TABLE,
        "BUCKET_NAME": BUCKET,
        "PACK_RUN_MACHINE_ARN": frame["stateMachineArn"],
        "MACHINE_PREFIX": MACHINE_PREFIX,
        "MACHINE_RETENTION_DAYS": "30",
        "MACHINE_WARNING_COUNT": "90000",
        "AWS_ENDPOINT_URL": "http://moto",
        "SECRET_PREFIX": SECRET_PREFIX,
        "EXECUTOR_PREFIX": EXECUTOR_PREFIX,
        "CALLED_MACHINE_PREFIX_ARN": called_machine_arn(""),
        "OPEN_GATE_FUNCTION": alias_arn("OpenGate"),
        "SETTLE_RUN_FUNCTION": alias_arn("SettleRun"),
        "EVENT_BUS": BUS,
        "EVIDENCE_KEY_ARN": signing_key(boto3.client("kms")),
        "APPROVAL_TOPIC_ARN": boto3.client("sns").create_topic(Name="approvals")["TopicArn"],
    }


@cache
def deployed_frame() -> str:
    """The frame with the functions' ARNs in it, as CloudFormation deploys it."""
    text = (ROOT / "statemachine/pack_run.asl.yaml").read_text(encoding="utf-8")
    text = text.replace("${Partition}", "aws")
    for name in MACHINE_FUNCTIONS:
        text = text.replace(f"${{{name}FunctionArn}}", alias_arn(name))
    return json.dumps(yaml.load(text, yaml.CSafeLoader))


def alias_arn(name: str) -> str:
    """The ARN of the alias by which a function is called."""
    alias = functions()[f"{name}Function"]["AutoPublishAlias"]
    return f"{_FUNCTION_ARN}{name}:{alias}"


def called_machine_arn(name: str) -> str:
    """The ARN of the machine that packs call by *name*."""
    return (
        f"arn:aws:states:{REGION}:{DEFAULT_ACCOUNT_ID}:stateMachine:{CALLED_MACHINE_PREFIX}{name}"
    )


def name_of_function(called: str) -> str:
    """The function that a machine calls by its alias; machines of 0.1 name no alias."""
    return called.removeprefix(_FUNCTION_ARN).partition(":")[0]


def published() -> list[str]:
    """Everything published to the deployment's topic: subjects, bodies and attributes."""
    topics = sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics.values()
    return [
        f"{subject}\n{body}\n{attributes}"
        for topic in topics
        for _, body, subject, attributes, _ in topic.sent_notifications
    ]
