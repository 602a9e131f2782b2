"""No policy grants an action by a pattern; a grant on every resource has its reason beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from tests.template import ROOT, _Loader, template

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = (ROOT / "template.yaml").read_text(encoding="utf-8")
# Every resource, or those of every account or Region.
_BROAD = re.compile(r"\*|.*:\*:.*")
_REASON = re.compile(r"\s#\s*\S+ \S+")


def statements() -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Yield each Allow statement with its lines in the template."""
    lines = TEXT.splitlines()
    loader = _Loader(TEXT)
    root = loader.get_single_node()
    for node in _mappings(root, set()):
        statement = {
            str(key): value for key, value in loader.construct_mapping(node, deep=True).items()
        }
        if statement.get("Effect") == "Allow":
            yield statement, lines[node.start_mark.line : node.end_mark.line]


def _mappings(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.MappingNode]:
    """Yield every mapping below *node* once, however many aliases it has."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, child in node.value:
            yield from _mappings(child, seen)
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _mappings(child, seen)


def values(value: Any) -> list[str]:  # noqa: ANN401 - an item or a list of items
    """Return the texts in *value*, with or without a function of CloudFormation around them."""
    forms = value if isinstance(value, list) else [value]
    return [str(next(iter(f.values()))) if isinstance(f, dict) else f for f in forms]


def test_all_statements_are_seen() -> None:
    resources = str(template()["Resources"])
    seen = [statement for statement, _ in statements()]

    named = {statement["Sid"] for statement in seen if "Sid" in statement}
    denied = {
        "TlsOnly",
        "NoSubscriberOverPlainHttp",
        "DeadLettersOverTlsOnly",
        "LeaveMachinesOfOthers",
    }
    assert named | denied == set(re.findall(r"'Sid': '(\w+)'", resources))
    assert all(str(statement) in resources for statement in seen)


def test_no_action_is_a_pattern() -> None:
    actions = [
        action for statement, _ in statements() for action in values(statement.get("Action", []))
    ]
    patterns = [action for action in actions if "*" in action]

    assert patterns == []


def test_a_grant_on_every_resource_has_a_comment_with_its_reason() -> None:
    silent = [
        statement
        for statement, lines in statements()
        if any(_BROAD.fullmatch(resource) for resource in values(statement.get("Resource", [])))
        and not any(_REASON.search(line) for line in lines)
    ]

    assert silent == []


def test_the_boundary_limits_the_policies_that_sam_adds_to_roles() -> None:
    """SAM adds policies of AWS for traces and for the logs of every group."""
    resources = template()["Resources"]
    logs, rest = resources["FunctionsBoundary"]["Properties"]["PolicyDocument"]["Statement"]

    assert template()["Globals"]["Function"]["PermissionsBoundary"] == {"Ref": "FunctionsBoundary"}
    assert logs["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert logs["Resource"] == {"Fn::GetAtt": "FunctionsLogGroup.Arn"}
    assert rest["NotAction"] == "logs:*"
    functions = [
        value for value in resources.values() if value["Type"] == "AWS::Serverless::Function"
    ]
    assert {"Role", "PermissionsBoundary"} & {
        key for function in functions for key in function["Properties"]
    } == set()
    assert all(
        "PermissionsBoundary" not in function.get("IgnoreGlobals", []) for function in functions
    )


def test_no_statement_grants_by_exclusion_or_to_everyone() -> None:
    strange = [
        statement["Sid"]
        for statement, _ in statements()
        if statement.keys() & {"NotAction", "NotResource", "NotPrincipal"}
        or "*" in values(statement.get("Principal", []))
    ]

    assert strange == ["WhateverTheirPoliciesGrant"]  # of the boundary, which grants nothing
