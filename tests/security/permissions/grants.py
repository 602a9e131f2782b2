"""The template's grants to each role: its statements with the names of a deployment in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import boto3
from moto.core.models import DEFAULT_ACCOUNT_ID

from tests.security.permissions.needs import REGION, Need
from tests.template import functions, template

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Lambda's own use of a function's role, before and after it calls the function.
BY_LAMBDA = frozenset({"LambdaReadsTheStream", "LambdaFindsTheStream", "LambdaKeepsWhatFailed"})
_PLACEHOLDER = re.compile(r"\$\{([\w.:]+)\}")


@dataclass(frozen=True, slots=True)
class Grant:
    """One action on one pattern of resources, by the statement *sid*, for *keys* alone if any."""

    sid: str
    action: str
    resource: str
    keys: tuple[str, ...] = ()

    def allows(self, need: Need) -> bool:
        """Return whether *need* is within it."""
        return (
            need.action == self.action
            and fnmatchcase(need.resource, self.resource)
            and all(self._has(key) for key in need.keys)
        )

    def _has(self, key: str) -> bool:
        return not self.keys or any(fnmatchcase(key, pattern) for pattern in self.keys)


class Names:
    """Resolves CloudFormation's references; *known* has what a deployment calls its resources."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = {
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::AccountId": DEFAULT_ACCOUNT_ID,
            **known,
        }

    def text(self, value: Any) -> str:  # noqa: ANN401 - any value of the template
        match value:
            case str():
                return value
            case {"Fn::Sub": str(text)}:
                return _PLACEHOLDER.sub(lambda match: self._known[match[1]], text)
            case {"Ref": str(name)} | {"Fn::GetAtt": str(name)}:
                return self._known[name]
        raise TypeError(f"a form that no policy had so far: {value}")


def names_of(deployed: Mapping[str, str]) -> Names:
    """The names that a deployment on moto has, from the variables that it sets for functions."""
    prototype = deployed["PACK_RUN_MACHINE_ARN"]
    machine = boto3.client("stepfunctions").describe_state_machine(stateMachineArn=prototype)
    table, bucket = deployed["TABLE_NAME"], deployed["BUCKET_NAME"]
    return Names(
        {
            "AWS::StackName": deployed["MACHINE_PREFIX"],
            "RunTable": table,
            "RunTable.Arn": f"arn:aws:dynamodb:{REGION}:{DEFAULT_ACCOUNT_ID}:table/{table}",
            "RunTable.StreamArn": (
                f"arn:aws:dynamodb:{REGION}:{DEFAULT_ACCOUNT_ID}:table/{table}/stream/2025"
            ),
            "DeadLetters.Arn": f"arn:aws:sqs:{REGION}:{DEFAULT_ACCOUNT_ID}:dead-letters",
            "EventBus": deployed["EVENT_BUS"],
            "RunBucket": bucket,
            "RunBucket.Arn": f"arn:aws:s3:::{bucket}",
            "FunctionsLogGroup.Arn": f"arn:aws:logs:{REGION}:{DEFAULT_ACCOUNT_ID}:log-group:ours:*",
            "PackRunMachine": prototype,
            "MachineRole.Arn": machine["roleArn"],
            "EvidenceKey.Arn": deployed["EVIDENCE_KEY_ARN"],
            "ApprovalTopic": deployed["APPROVAL_TOPIC_ARN"],
            "OpenGateFunction.Alias": deployed["OPEN_GATE_FUNCTION"],
            "SettleRunFunction.Alias": deployed["SETTLE_RUN_FUNCTION"],
        }
    )


def missing(needs: Mapping[str, Iterable[Need]], names: Names) -> list[str]:
    """Return the needs of functions, by their logical ids, that are not granted."""
    granted = of_functions(names)
    return [
        f"{function}: {need.action} on {need.resource} for {sorted(need.keys)}"
        for function, needed in needs.items()
        for need in sorted(needed, key=str)
        if not any(grant.allows(need) for grant in granted[function])
    ]


def of_functions(names: Names) -> dict[str, list[Grant]]:
    """Return the grants of each function's own policies, by its logical id."""
    found = {
        logical_id: [
            grant
            for policy in properties.get("Policies", [])
            for statement in policy["Statement"]
            for grant in grants(statement, names)
        ]
        for logical_id, properties in functions().items()
    }
    for resource in template()["Resources"].values():
        if resource["Type"] != "AWS::IAM::Policy":
            continue
        for role in resource["Properties"]["Roles"]:
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                if statement.get("Sid") not in BY_LAMBDA:
                    found[role["Ref"].removesuffix("Role")] += grants(statement, names)
    return found


def of_role(logical_id: str, names: Names) -> list[Grant]:
    """Return the grants of a role that the template itself declares."""
    policies = template()["Resources"][logical_id]["Properties"]["Policies"]
    return [
        grant
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        for grant in grants(statement, names, policy["PolicyName"])
    ]


def grants(statement: Mapping[str, Any], names: Names, within: str = "") -> Iterator[Grant]:
    """A statement as single grants: each of its actions on each of its resources.

    A Deny grants nothing. `evaluation` takes it into account.
    """
    if statement["Effect"] == "Deny":
        return
    assert statement["Effect"] == "Allow", statement
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}, statement
    for action in _list(statement["Action"]):
        for resource in _list(statement["Resource"]):
            yield Grant(
                statement.get("Sid", within), action, names.text(resource), _keys(statement)
            )


def _keys(statement: Mapping[str, Any]) -> tuple[str, ...]:
    match statement.get("Condition"):
        case None:
            return ()
        case {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}}:
            return tuple(keys)
        case {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}}:
            return ()  # who makes a machine passes a role to no other service
    raise TypeError(f"a condition that no policy had so far: {statement['Condition']}")


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - one of a list, or the list
    return value if isinstance(value, list) else [value]
