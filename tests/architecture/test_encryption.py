"""What is stored is encrypted; bucket and topic are nobody's but the account's, over TLS alone."""

from __future__ import annotations

from typing import Any

from tests.template import ROOT, functions, template

RESOURCES: dict[str, dict[str, Any]] = template()["Resources"]
# CloudWatch Logs encrypts every group, always; the others are looked at below.
STORES = {"AWS::DynamoDB::Table", "AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::SNS::Topic"}
# The client registry and the keys of the user pool are Cognito's, which encrypts them, always.
STORES_NOTHING_OF_OURS = {
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolDomain",
    "AWS::ApiGateway::UsagePlan",
    "AWS::Cognito::UserPoolResourceServer",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::Serverless::Api",
    "AWS::Serverless::Function",
    "AWS::Serverless::LayerVersion",
    "AWS::Serverless::StateMachine",
}


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: one.get("Properties", {}) for name, one in RESOURCES.items() if one["Type"] == kind
    }


def test_nothing_stores_data_that_is_not_looked_at_here() -> None:
    """A queue, when there is one, is to be encrypted by a key that it names, as the topic is."""
    assert {one["Type"] for one in RESOURCES.values()} == STORES | STORES_NOTHING_OF_OURS


def test_the_table_is_encrypted_by_a_key_whose_use_is_logged() -> None:
    """By a key of KMS, in this account's trail, and not by one of DynamoDB's own."""
    specified = [table["SSESpecification"] for table in of("AWS::DynamoDB::Table").values()]

    assert specified == [{"SSEEnabled": True}]


def test_the_bucket_is_encrypted_and_refuses_public_access_and_acls() -> None:
    [bucket] = of("AWS::S3::Bucket").values()
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]

    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in {"AES256", "aws:kms"}
    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket.keys() & {"AccessControl", "WebsiteConfiguration", "CorsConfiguration"} == set()


def test_the_bucket_refuses_plain_http_for_all_that_is_in_it() -> None:
    [policy] = of("AWS::S3::BucketPolicy").values()
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


def test_the_topic_is_encrypted_by_a_key_whose_use_is_logged() -> None:
    """Without one SNS encrypts nothing; this one is AWS's, and in this account's trail."""
    named = [topic["KmsMasterKeyId"] for topic in of("AWS::SNS::Topic").values()]

    assert named == ["alias/aws/sns"]


def test_who_publishes_needs_no_right_to_that_key() -> None:
    """Its own policy has it; nobody but settle_run has a right to any key."""
    policies = [one["Policies"] for one in functions().values() if "Policies" in one]

    assert "sns:Publish" in str(policies)
    assert "kms:" not in str(policies)


def test_the_topic_refuses_plain_http_for_all_that_is_done_with_it() -> None:
    [policy] = of("AWS::SNS::TopicPolicy").values()
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


def test_nobody_hears_of_gates_over_plain_http() -> None:
    [policy] = of("AWS::SNS::TopicPolicy").values()
    _, statement = policy["PolicyDocument"]["Statement"]

    assert (statement["Effect"], statement["Principal"], statement["Action"]) == (
        "Deny",
        "*",
        "sns:Subscribe",
    )
    assert statement["Resource"] == {"Ref": "ApprovalTopic"}
    assert statement["Condition"] == {"StringEqualsIgnoreCase": {"sns:Protocol": "http"}}


def test_the_stack_subscribes_nobody() -> None:
    """Who is told of which tenant's gates is the operator's to say."""
    [topic] = of("AWS::SNS::Topic").values()

    assert "Subscription" not in topic
    assert of("AWS::SNS::Subscription") == {}
    assert "sns:Subscribe" not in str(functions())


def test_only_the_emulator_which_has_no_tls_is_spared_that() -> None:
    assert template()["Parameters"]["BucketTlsOnly"]["Default"] == "true"
    assert RESOURCES["RunBucketPolicy"]["Condition"] == "TlsOnly"
    assert RESOURCES["ApprovalTopicPolicy"]["Condition"] == "TlsOnly"
    assert template()["Conditions"]["TlsOnly"] == {"Fn::Equals": [{"Ref": "BucketTlsOnly"}, "true"]}
    sources = [*ROOT.glob("*.toml"), *ROOT.glob("cli/**/*.py"), ROOT / "Makefile"]
    sparing = {path.name for path in sources if "BucketTlsOnly" in path.read_text("utf-8")}
    assert sparing == {"deployment.py"}


def test_logs_go_to_groups_of_ours_that_end_some_day() -> None:
    groups = of("AWS::Logs::LogGroup")

    assert {one["RetentionInDays"]["Ref"] for one in groups.values()} == {"LogRetentionDays"}
    assert template()["Globals"]["Function"]["LoggingConfig"] == {
        "LogGroup": {"Ref": "FunctionsLogGroup"}
    }
