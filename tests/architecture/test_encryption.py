"""Stored data is encrypted, and bucket and topic serve the account only, over TLS only."""

from __future__ import annotations

from typing import Any

from tests.architecture.policies import actions, statements
from tests.template import ROOT, functions, template

RESOURCES: dict[str, dict[str, Any]] = template()["Resources"]
# CloudWatch Logs always encrypts its groups. The tests below check the others.
STORES = {
    "AWS::DynamoDB::Table",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
}
# Cognito always encrypts its client registry and the keys of a user pool.
STORES_NOTHING_OF_OURS = {
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Cognito::UserPoolResourceServer",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Lambda::EventSourceMapping",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SSM::Parameter",  # it holds the stack's name
    "AWS::SQS::QueuePolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Serverless::Api",
    "AWS::Serverless::Function",
    "AWS::Serverless::LayerVersion",
    "AWS::Serverless::StateMachine",
    "Custom::PackMachines",
    "Custom::SettingsDigest",
    "AWS::WAFv2::WebACLAssociation",
}


def properties_of(kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource.get("Properties", {})
        for name, resource in RESOURCES.items()
        if resource["Type"] == kind
    }


def test_every_kind_of_store_is_checked_here() -> None:
    assert {resource["Type"] for resource in RESOURCES.values()} == STORES | STORES_NOTHING_OF_OURS


def test_a_kms_key_whose_use_is_logged_encrypts_the_table() -> None:
    """KMS logs its use in the account's trail, and DynamoDB's own key has no log."""
    specified = [
        table["SSESpecification"] for table in properties_of("AWS::DynamoDB::Table").values()
    ]

    assert specified == [{"SSEEnabled": True}]


def test_a_queue_is_encrypted_by_a_key_that_eventbridge_can_use() -> None:
    """EventBridge cannot use a key of KMS that AWS manages."""
    queues = properties_of("AWS::SQS::Queue").values()

    assert [queue["SqsManagedSseEnabled"] for queue in queues] == [True]
    assert [queue.keys() & {"KmsMasterKeyId"} for queue in queues] == [set()]


def test_the_bucket_is_encrypted_and_refuses_public_access_and_acls() -> None:
    [bucket] = properties_of("AWS::S3::Bucket").values()
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]

    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in {"AES256", "aws:kms"}
    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket.keys() & {"AccessControl", "WebsiteConfiguration"} == set()


def test_the_bucket_refuses_plain_http() -> None:
    [policy] = properties_of("AWS::S3::BucketPolicy").values()
    [statement] = policy["PolicyDocument"]["Statement"]

    assert policy["Bucket"] == {"Ref": "RunBucket"}
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == (
        "Deny",
        "*",
        "s3:*",
    )
    assert statement["Resource"] == [
        {"Fn::GetAtt": "RunBucket.Arn"},
        {"Fn::Sub": "${RunBucket.Arn}/*"},
    ]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_kms_key_whose_use_is_logged_encrypts_the_topic() -> None:
    """SNS does not encrypt without a key. The use of this one is in the account's trail."""
    keys = [topic["KmsMasterKeyId"] for topic in properties_of("AWS::SNS::Topic").values()]

    assert keys == ["alias/aws/sns"]


def test_the_publisher_needs_no_permission_for_that_key() -> None:
    """The key's own policy allows the use. Only settle_run has a permission for a key."""
    allowed = {action for _, statement in statements(functions()) for action in actions(statement)}

    assert "sns:Publish" in allowed
    assert {action for action in allowed if action.startswith("kms:")} == set()


def test_the_topic_refuses_plain_http() -> None:
    [policy] = properties_of("AWS::SNS::TopicPolicy").values()
    statement, _ = policy["PolicyDocument"]["Statement"]

    assert policy["Topics"] == [{"Ref": "ApprovalTopic"}]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert set(statement["Action"]) == {
        "sns:AddPermission",
        "sns:DeleteTopic",
        "sns:GetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
        "sns:Publish",
        "sns:RemovePermission",
        "sns:SetTopicAttributes",
        "sns:Subscribe",
    }
    assert statement["Resource"] == {"Ref": "ApprovalTopic"}
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_topic_refuses_subscribers_over_plain_http() -> None:
    [policy] = properties_of("AWS::SNS::TopicPolicy").values()
    _, statement = policy["PolicyDocument"]["Statement"]

    assert (statement["Effect"], statement["Principal"], statement["Action"]) == (
        "Deny",
        "*",
        "sns:Subscribe",
    )
    assert statement["Resource"] == {"Ref": "ApprovalTopic"}
    assert statement["Condition"] == {"StringEqualsIgnoreCase": {"sns:Protocol": "http"}}


def test_the_stack_subscribes_nobody() -> None:
    """The operator decides who gets which tenant's notifications."""
    [topic] = properties_of("AWS::SNS::Topic").values()

    assert "Subscription" not in topic
    assert properties_of("AWS::SNS::Subscription") == {}
    allowed = {action for _, statement in statements(functions()) for action in actions(statement)}
    assert "sns:Subscribe" not in allowed


def test_only_the_deployment_to_the_emulator_allows_plain_http() -> None:
    assert template()["Parameters"]["BucketTlsOnly"]["Default"] == "true"
    assert RESOURCES["RunBucketPolicy"]["Condition"] == "TlsOnly"
    assert RESOURCES["ApprovalTopicPolicy"]["Condition"] == "TlsOnly"
    assert template()["Conditions"]["TlsOnly"] == {"Fn::Equals": [{"Ref": "BucketTlsOnly"}, "true"]}
    sources = [*ROOT.glob("*.toml"), *ROOT.glob("cli/**/*.py"), ROOT / "Makefile"]
    setting = {path.name for path in sources if "BucketTlsOnly" in path.read_text("utf-8")}
    assert setting == {"deployment.py"}


def test_logs_go_to_our_groups_and_expire() -> None:
    groups = properties_of("AWS::Logs::LogGroup")

    assert {group["RetentionInDays"]["Ref"] for group in groups.values()} == {"LogRetentionDays"}
    assert template()["Globals"]["Function"]["LoggingConfig"] == {
        "LogGroup": {"Ref": "FunctionsLogGroup"},
        "LogFormat": "JSON",
    }
