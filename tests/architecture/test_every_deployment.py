"""Each deployment that parameters and partitions allow has all that it refers to.

Every pair of values of two choices is in one of the combinations, in each partition.
"""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import pytest

from tests.architecture.deployment import DanglingReferenceError, Deployment
from tests.architecture.translation import REGIONS, translations
from tests.template import ROOT, refused_by_rules, template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ISSUER = {
    "Issuer": "https://id.example.com",
    "JwksUrl": "https://id.example.com/keys",
    "Audience": "taskrunner",
    "IssuerTokenUrl": "https://id.example.com/token",
    "IssuerAuthorizeUrl": "https://id.example.com/authorize",
}
# The choices of a deployment that differ from the defaults. Each condition of the template is one.
CHOICES: list[dict[str, str]] = [
    ISSUER,
    {"Authorization": "AWS_IAM"},
    {"ConsoleUrl": "https://runs.example.com/console"},
    {"ConsoleClientId": "console"},
    {"IdentityEndpoint": "http://127.0.0.1:4566"},
    {"BucketTlsOnly": "false"},
    {"ExampleExecutors": "true"},
    {"AwsEndpointUrl": "http://127.0.0.1:4566"},
    {"ApiConcurrency": "4"},
    {"StepConcurrency": "4"},
    {"WorkerConcurrency": "4"},
    {"AllowedOrigin": "https://portal.example.com"},
    {"WebAclArn": "arn:x:wafv2:x:1:regional/webacl/x/1"},
    {"UserPoolDomainPrefix": "acme"},
    {"DeletionProtection": "true"},
    {"SnapStart": "true"},
    {"AllowedOrigin": "*"},
    {"AlarmTopic": "arn:x:sns:x:1:alarms"},
    {"OldestGateAlarmSeconds": "86400"},
    {"OldestJobAlarmSeconds": "0"},
]
# The features that Regions of China lack.
NOT_IN_CHINA = {
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Cognito::UserPoolResourceServer",
}


def rows() -> list[tuple[bool, ...]]:
    """Return which choices are taken, so that every two of them occur in all four ways.

    Two choices differ in a digit of their binary numbers, so the row of this digit takes one of
    them and its complement the other. The first and the last row take none and all.
    """
    count = len(CHOICES)
    digits = [
        tuple(bool(number >> digit & 1) for number in range(count))
        for digit in range(count.bit_length())
    ]
    complements = [tuple(not taken for taken in row) for row in digits]
    return list(dict.fromkeys([(False,) * count, *digits, *complements, (True,) * count]))


def chosen(row: tuple[bool, ...]) -> dict[str, str]:
    taken = [choice for choice, is_taken in zip(CHOICES, row, strict=True) if is_taken]
    return {name: value for choice in taken for name, value in choice.items()}


def deployments(partition: str) -> Iterator[Deployment]:
    for row in rows():
        parameters = chosen(row)
        kind = parameters.get("Authorization", "Authorize")
        translated = translations()[partition, kind]
        yield Deployment(translated, parameters, partition, REGIONS[partition])


def strings(node: Any) -> Iterator[str]:  # noqa: ANN401 - any resolved value
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from (key, *strings(value))
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


def test_the_rows_have_every_pair_of_values() -> None:
    for left, right in combinations(range(len(CHOICES)), 2):
        pairs = {(row[left], row[right]) for row in rows()}
        assert pairs == set(product((False, True), repeat=2)), (CHOICES[left], CHOICES[right])


def test_every_condition_is_a_choice_or_a_partition() -> None:
    plain = Deployment(translations()["aws", "Authorize"], {}, "aws", "us-east-1")

    for name in template()["Conditions"]:
        seen = {
            other._holds({"Condition": name})
            for other in [
                plain,
                *(Deployment(plain.template, choice, "aws", "us-east-1") for choice in CHOICES),
                Deployment(plain.template, {}, "aws-us-gov", "us-gov-west-1"),
                Deployment(plain.template, {}, "aws-cn", "cn-north-1"),
            ]
        }
        assert seen == {True, False}, name


@pytest.mark.parametrize("partition", REGIONS)
def test_a_deployment_has_all_that_it_refers_to(partition: str) -> None:
    for deployment in deployments(partition):
        assert refused_by_rules(**deployment.parameters) == []
        assert deployment.resources
        assert deployment.outputs


def test_a_reference_to_a_missing_resource_is_noticed() -> None:
    translated = translations()["aws", "Authorize"]
    conditions = translated["Conditions"] | {"OwnUserPool": {"Fn::Equals": ["a", "b"]}}
    broken = Deployment(translated | {"Conditions": conditions}, {}, "aws", "us-east-1")
    broken.template["Resources"]["RunTable"]["DependsOn"] = "UserPool"
    try:
        with pytest.raises(DanglingReferenceError, match="RunTable refers to UserPool"):
            _ = broken.resources
    finally:
        del broken.template["Resources"]["RunTable"]["DependsOn"]


@pytest.mark.parametrize("partition", REGIONS)
def test_every_arn_is_of_its_partition(partition: str) -> None:
    given = {"arn:x:wafv2:x:1:regional/webacl/x/1", "arn:x:sns:x:1:alarms"}

    for deployment in deployments(partition):
        arns = {
            arn
            for text in strings([deployment.resources, deployment.outputs])
            for arn in re.findall(r"arn:[^\s\"']+", text)
        }
        assert len(arns) > 50
        assert {arn for arn in arns - given if not arn.startswith(f"arn:{partition}:")} == set()


@pytest.mark.parametrize("region", ["cn-north-1", "cn-northwest-1"])
@pytest.mark.parametrize("parameters", [{}, ISSUER, {"Authorization": "AWS_IAM"}])
def test_deployments_in_china_have_none_of_what_it_lacks(
    region: str, parameters: dict[str, str]
) -> None:
    translated = translations()["aws-cn", "Authorize"]
    deployment = Deployment(translated, parameters, "aws-cn", region)
    kinds = {resource["Type"] for resource in deployment.resources.values()}
    elsewhere = Deployment(translations()["aws", "Authorize"], {}, "aws", "us-east-1")

    assert kinds & NOT_IN_CHINA == set()
    assert {it["Type"] for it in elsewhere.resources.values()} >= NOT_IN_CHINA


def test_addresses_in_china_have_its_suffix() -> None:
    for deployment in deployments("aws-cn"):
        texts = list(strings([deployment.resources, deployment.outputs]))
        addresses = [text for text in texts if re.match(r"https://.*amazonaws\.com", text)]

        assert [text for text in addresses if ".amazonaws.com.cn" not in text] == []
        assert any(text.endswith(".amazonaws.com.cn/live") for text in addresses)


@pytest.mark.parametrize(("partition", "sign_in"), [("aws", "auth"), ("aws-us-gov", "auth-fips")])
def test_cognitos_hosts_are_those_of_the_partition(partition: str, sign_in: str) -> None:
    """GovCloud signs people in at FIPS endpoints only ("Amazon Cognito in AWS GovCloud (US)").

    Its tokens name an issuer like those elsewhere.
    """
    region = REGIONS[partition]
    deployment = Deployment(translations()[partition, "Authorize"], {}, partition, region)
    console = deployment.resources["ConsoleFunction"]["Properties"]["Environment"]["Variables"]
    authorize = deployment.resources["AuthorizeFunction"]["Properties"]["Environment"]["Variables"]

    host = f"https://<UserPoolDomain>.{sign_in}.{region}.amazoncognito.com"
    assert console["AUTHORIZE_URL"] == f"{host}/oauth2/authorize"
    assert console["LOGOUT_URL"] == f"{host}/logout"
    assert console["TOKEN_URL"] == deployment.outputs["TokenUrl"] == f"{host}/oauth2/token"
    issuer = f"https://cognito-idp.{region}.amazonaws.com/<UserPool>"
    assert authorize["ISSUER"] == issuer
    assert authorize["JWKS_URL"] == f"{issuer}/.well-known/jwks.json"


def test_cfn_lint_accepts_every_partition(tmp_path: Path) -> None:
    """It considers all values of the conditions by itself.

    It knows every action of policies (W3037), and the resources that an action has (I3510).
    It takes one template for all Regions, and the partition of its ARNs matters to no rule.
    """
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(translations()["aws-us-gov", "Authorize"]))

    done = subprocess.run(  # noqa: S603 - our own tool
        [
            *(str(ROOT / ".venv/bin/cfn-lint"), "--format", "json"),
            *("--include-checks", "I3510"),
            # SAM drops the metadata of a function, by which template.yaml ignores it.
            *("--ignore-checks", "W3011", "--regions"),
            *REGIONS.values(),
            *("--", str(path)),
        ],
        check=False,
        capture_output=True,
    )
    found = json.loads(done.stdout)

    messages = {problem["Message"] for problem in found}
    assert {text for text in messages if not text.startswith("'SnapStart' enabled")} == set()


SOURCES = ("functions", "layers/core/python/taskrunner", "cli", "statemachine", "template.yaml")


def test_no_source_names_the_commercial_partition() -> None:
    """An ARN's partition comes from AWS::Partition, or from an ARN that AWS gave.

    Machines name the integrations of Step Functions, which test_machines.py checks.
    """
    files = [
        path
        for source in SOURCES
        for path in ([ROOT / source] if (ROOT / source).is_file() else (ROOT / source).rglob("*"))
        if path.suffix in {".py", ".yaml", ".js", ".html"}
    ]

    naming = {
        path.name
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if "arn:aws:" in line.replace("arn:aws:states:::lambda:invoke", "")
    }
    assert naming <= {"principals.py"}  # in a docstring
