"""A first deployment does not fail for its names, and leaves nothing behind if it fails."""

from __future__ import annotations

import re
from typing import Any

import pytest

from taskrunner.compiler.machine.names import machine_name
from tests.template import example_executors, template

RESOURCES: dict[str, dict[str, Any]] = template()["Resources"]
# Limits of AWS: Step Functions, CreateStateMachine; Lambda, CreateFunction; Cognito,
# CreateUserPoolDomain.
MACHINE_NAME, FUNCTION_NAME, DOMAIN = 80, 64, 63
PACK_LETTERS = 6
KEPT = {"RunTable", "RunBucket", "EvidenceKey", "UserPool"}


def longest_stack_name() -> str:
    check = RESOURCES["StackNameOfAtMost40Characters"]["Properties"]
    assert check["Value"] == {"Ref": "AWS::StackName"}
    [length] = re.findall(r"^\^\.\{1,(\d+)\}\$$", check["AllowedPattern"])
    return "s" * int(length)


def test_the_longest_stack_name_leaves_room_for_a_machines_name() -> None:
    name = machine_name(longest_stack_name(), "p" * 63, "0" * 64)

    assert len(name) <= MACHINE_NAME
    assert name.startswith(longest_stack_name() + "_" + "p" * PACK_LETTERS)


def test_the_longest_stack_name_leaves_room_for_every_named_function_and_machine() -> None:
    names = [
        *(resource["Properties"]["FunctionName"] for resource in example_executors().values()),
        RESOURCES["PackRunMachine"]["Properties"]["Name"],
    ]

    deployed = [
        name["Fn::Sub"].replace("${AWS::StackName}", longest_stack_name()) for name in names
    ]
    assert all("$" not in name for name in deployed)
    assert {len(name) <= FUNCTION_NAME for name in deployed} == {True}


@pytest.mark.parametrize("prefix", ["", "a", "acme-taskrunner", "9", "a" * DOMAIN])
def test_accepts_a_prefix_that_cognito_accepts(prefix: str) -> None:
    assert re.fullmatch(template()["Parameters"]["UserPoolDomainPrefix"]["AllowedPattern"], prefix)


@pytest.mark.parametrize(
    "prefix",
    ["aws", "my-aws-runner", "amazonas", "cognito", "xcognitox", "-a", "a-", "A", "a_b", "a" * 64],
)
def test_refuses_a_prefix_that_cognito_refuses(prefix: str) -> None:
    pattern = template()["Parameters"]["UserPoolDomainPrefix"]["AllowedPattern"]

    assert not re.fullmatch(pattern, prefix)


def test_the_default_domain_has_cognitos_form_whatever_the_stack_is_called() -> None:
    [condition, given, default] = RESOURCES["UserPoolDomain"]["Properties"]["Domain"]["Fn::If"]
    text, variables = default["Fn::Sub"]
    arn = "arn:aws:cloudformation:us-east-1:123456789012:stack/my-aws/0d3f4a5b-1c2d-11ee-a1b2"

    group = arn.split("/")[2].split("-", maxsplit=1)[0]
    domain = text.replace("${AWS::AccountId}", "123456789012").replace("${Group}", group)

    assert (condition, given) == ("GivenDomainPrefix", {"Ref": "UserPoolDomainPrefix"})
    assert variables == {
        "Group": {
            "Fn::Select": [
                0,
                {
                    "Fn::Split": [
                        "-",
                        {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]},
                    ]
                },
            ]
        }
    }
    assert domain == "taskrunner-123456789012-0d3f4a5b"
    test_accepts_a_prefix_that_cognito_accepts(domain)


def test_what_the_record_needs_outlives_the_stack_but_not_a_failed_first_deployment() -> None:
    policies = {
        name: (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
        for name, resource in RESOURCES.items()
        if resource.get("DeletionPolicy", "Delete") != "Delete"
    }

    assert policies == dict.fromkeys(KEPT, ("RetainExceptOnCreate", "Retain"))


def test_nothing_is_protected_until_the_first_deployment_has_succeeded() -> None:
    """CloudFormation could not clean up a protected table after a failed first deployment."""
    protected = RESOURCES["RunTable"]["Properties"]["DeletionProtectionEnabled"]
    pool = RESOURCES["UserPool"]["Properties"]["DeletionProtection"]

    assert template()["Parameters"]["DeletionProtection"]["Default"] == "false"
    assert protected == {"Fn::If": ["Protected", True, False]}
    assert pool == {"Fn::If": ["Protected", "ACTIVE", "INACTIVE"]}
