"""The registry of principals, read from the real table's form by the world that a function has."""

from __future__ import annotations

import boto3
import pytest

from taskrunner.bootstrap import AwsWorld
from taskrunner.errors import ForbiddenError
from tests.moto_aws import session
from tests.security.tenants.deployment import deployment

SESSION = "arn:aws:sts::123456789012:assumed-role/deployer/build-7"


def test_a_principal_is_read_where_signatures_count() -> None:
    with deployment() as made:
        environment = {**made.world.environment, "AUTHORIZATION": "AWS_IAM"}
        principals = AwsWorld(environment, session()).principals
        assert principals is not None
        with pytest.raises(ForbiddenError, match="not registered"):
            principals.caller({"userArn": SESSION})
        boto3.client("dynamodb").put_item(
            TableName=environment["TABLE_NAME"],
            Item={
                "pk": {"S": "I#arn:aws:iam::123456789012:role/deployer"},
                "sk": {"S": "I"},
                "tenants": {"L": [{"S": "acme"}]},
                "scopes": {"L": [{"S": "operator"}]},
            },
        )

        caller = principals.caller({"userArn": SESSION})

    assert (caller.subject, caller.tenants) == (
        "arn:aws:iam::123456789012:role/deployer",
        ("acme",),
    )
    assert caller.scopes == {"operator"}
