"""A stack has no permission over another one, even if the name of one begins with the other's."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest

from tests.architecture.deployment import ACCOUNT, Deployment
from tests.architecture.policies import statements
from tests.architecture.translation import translations

OURS = "taskrunner"
OTHERS = ("taskrunner-dev", "taskrunner2", "taskrunner-executor", "taskrunner-executor-x", "task")
_HERE = f"us-east-1:{ACCOUNT}"
_SERVICES = {
    "AWS::Lambda::Function": "lambda:{here}:function:{name}",
    "AWS::DynamoDB::Table": "dynamodb:{here}:table/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SNS::Topic": "sns:{here}:{name}",
    "AWS::StepFunctions::StateMachine": "states:{here}:stateMachine:{name}",
}


@cache
def deployed(stack_name: str) -> dict[str, dict[str, Any]]:
    translated = translations()["aws", "Authorize"]
    parameters = {"ExampleExecutors": "true"}
    found = Deployment(translated, parameters, "aws", "us-east-1", stack_name).resources
    return dict(found)


def arns(stack_name: str) -> set[str]:
    """Return the ARNs of what a stack has, and of what the service makes for it.

    CloudFormation names a resource by its stack, its logical id and a random part.
    """
    found = {
        "arn:aws:"
        + _SERVICES[resource["Type"]].format(
            here=_HERE,
            account=ACCOUNT,
            name=resource["Properties"].get("FunctionName")
            or resource["Properties"].get("StateMachineName")
            or f"{stack_name}-{logical_id}-AbCdEf123456",
        )
        for logical_id, resource in deployed(stack_name).items()
        if resource["Type"] in _SERVICES
    }
    machine = f"states:{_HERE}:{{kind}}:{stack_name}_pack-0123456789abcdef"
    return found | {
        f"arn:aws:{machine.format(kind='stateMachine')}",
        f"arn:aws:{machine.format(kind='execution')}:run",
        f"arn:aws:secretsmanager:{_HERE}:secret:{stack_name}/tenant/token-AbCdEf",
        f"arn:aws:lambda:{_HERE}:function:{stack_name}_executor-deploy",
        f"arn:aws:logs:{_HERE}:log-group:/taskrunner/{stack_name}/functions:log-stream:a",
    }


def patterns(stack_name: str) -> set[tuple[str, str]]:
    """Return the resources of every Allow statement, but `*`, with the name of its resource."""
    return {
        (within, resource)
        for within, statement in statements(deployed(stack_name))
        if statement["Effect"] == "Allow"
        for resource in _list(statement.get("Resource", []))
        if resource not in {"*", "arn:aws:ecr:*:*:repository/*"}
    }


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - one of a list, or the list
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("other", OTHERS)
def test_no_permission_reaches_another_stack(other: str) -> None:
    for owner, stranger in ((OURS, other), (other, OURS)):
        reached = {
            (within, pattern, arn)
            for within, pattern in patterns(owner)
            for arn in arns(stranger)
            if fnmatchcase(arn, pattern)
        }
        assert reached == set()


def test_permissions_reach_what_the_stack_names_itself() -> None:
    """So the patterns above are the ones that matter, and the names are those of the service."""
    ours = arns(OURS)
    matched = {arn for arn in ours for _, pattern in patterns(OURS) if fnmatchcase(arn, pattern)}

    kinds = {arn.split(":")[2] for arn in matched}
    assert kinds == {"lambda", "secretsmanager", "states"}
