"""AWS's decision on a call, by a role's policies, its boundary and the resource's policy.

This follows IAM's "Policy evaluation logic" within one account. A Deny of any policy decides.
Otherwise the role's policies and its boundary must both allow the call. A KMS key is the exception:
its own policy must allow the role too, because it does not delegate to the account's policies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.template import functions, template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.security.permissions.grants import Names
    from tests.security.permissions.needs import Need

Statement = dict[str, Any]
# The policies that SAM attaches to every function.
_ATTACHED: list[Statement] = [
    {
        "Effect": "Allow",
        "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": "*",
    },
    {
        "Effect": "Allow",
        "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        "Resource": "*",
    },
]
# A call over TLS, as the SDK makes it.
TLS: Mapping[str, list[str]] = {"aws:SecureTransport": ["true"]}


@dataclass(frozen=True)
class Call:
    """One action of the role of a function on one resource, with the request's context."""

    function: str
    action: str
    resource: str
    context: Mapping[str, list[str]] = field(default_factory=lambda: TLS)

    @classmethod
    def of(cls, function: str, need: Need) -> Call:
        """Return the call that *need* came from."""
        context = dict(TLS)
        if need.keys:
            context["dynamodb:LeadingKeys"] = sorted(need.keys)
        if need.action == "iam:PassRole":
            context["iam:PassedToService"] = ["states.amazonaws.com"]
        return cls(function, need.action, need.resource, context)


class Account:
    """The policies of the template, with the *names* that a deployment has."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._resources = template()["Resources"]

    def allows(self, call: Call) -> bool:
        """Return whether AWS would carry out *call*."""
        resource_policy = list(self._resource_policy(call.resource))
        identity, boundary = self._identity(call.function), self._boundary()
        applies = partial(self._applies, call)
        every = [*identity, *boundary, *resource_policy]
        if any(map(applies, _with_effect("Deny", every))):
            return False
        by_resource = any(map(applies, _with_effect("Allow", resource_policy)))
        return (
            any(map(applies, _with_effect("Allow", identity)))
            and any(map(applies, _with_effect("Allow", boundary)))
            and (by_resource or not call.action.startswith("kms:"))
        )

    def _identity(self, function: str) -> list[Statement]:
        own = [
            statement
            for policy in functions()[function].get("Policies", [])
            for statement in policy["Statement"]
        ]
        apart = [
            statement
            for resource in self._resources.values()
            if resource["Type"] == "AWS::IAM::Policy"
            and {"Ref": f"{function}Role"} in resource["Properties"]["Roles"]
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]
        ]
        return [*own, *apart, *_ATTACHED]

    def _boundary(self) -> list[Statement]:
        document = self._resources["FunctionsBoundary"]["Properties"]["PolicyDocument"]
        statements: list[Statement] = document["Statement"]
        return statements

    def _resource_policy(self, resource: str) -> Iterator[Statement]:
        policies = {
            "EvidenceKey.Arn": self._resources["EvidenceKey"]["Properties"]["KeyPolicy"],
            "RunBucket.Arn": self._resources["RunBucketPolicy"]["Properties"]["PolicyDocument"],
            "ApprovalTopic": self._resources["ApprovalTopicPolicy"]["Properties"]["PolicyDocument"],
        }
        for name, document in policies.items():
            arn = self._names.text({"Ref": name})
            if resource == arn or resource.startswith(f"{arn}/"):
                yield from document["Statement"]

    def _applies(self, call: Call, statement: Statement) -> bool:
        return (
            self._names_principal(call, statement)
            and _names_action(call, statement)
            and any(
                fnmatchcase(call.resource, self._names.text(pattern))
                for pattern in _list(statement["Resource"])
            )
            and all(
                _CONDITIONS[operator](call.context.get(key, []), _list(expected))
                for operator, keys in statement.get("Condition", {}).items()
                for key, expected in keys.items()
            )
        )

    @staticmethod
    def _names_principal(call: Call, statement: Statement) -> bool:
        match statement.get("Principal", "*"):
            case "*":
                return True
            case {"AWS": {"Fn::GetAtt": role}}:
                return bool(role == f"{call.function}Role.Arn")
            case {"AWS": {"Fn::Sub": text}}:
                # The account: it lets the policies of its roles decide.
                return str(text).endswith(":root")
        raise TypeError(f"a principal that no policy had so far: {statement['Principal']}")


def _names_action(call: Call, statement: Statement) -> bool:
    if "NotAction" in statement:
        return not any(fnmatchcase(call.action, each) for each in _list(statement["NotAction"]))
    return any(fnmatchcase(call.action, each) for each in _list(statement["Action"]))


def _for_all_like(values: list[str], patterns: list[str]) -> bool:
    """Return whether each value is like a pattern; IAM says yes where there is no value."""
    return all(any(fnmatchcase(value, pattern) for pattern in patterns) for value in values)


def _equal(values: list[str], expected: list[str]) -> bool:
    return any(value in expected for value in values)


def _equal_in_any_case(values: list[str], expected: list[str]) -> bool:
    return _equal([value.lower() for value in values], [value.lower() for value in expected])


# A condition that is not here is an error, so that none is passed over.
_CONDITIONS: dict[str, Callable[[list[str], list[str]], bool]] = {
    "Bool": _equal,
    "ForAllValues:StringLike": _for_all_like,
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _equal_in_any_case,
}


def _with_effect(effect: str, statements: list[Statement]) -> Iterator[Statement]:
    return (statement for statement in statements if statement["Effect"] == effect)


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - one of a list, or the list
    return value if isinstance(value, list) else [value]
