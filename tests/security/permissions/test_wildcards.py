"""No policy grants an action by a pattern, and what is granted on everything says why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from tests.template import ROOT, _Loader, template

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = (ROOT / "template.yaml").read_text(encoding="utf-8")
# Everything there is, or that of any account or Region.
_BROAD = re.compile(r"\*|.*:\*:.*")
_REASON = re.compile(r"\s#\s*\S+ \S+")


def statements() -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Each statement that grants something, with its lines as they stand in the template."""
    lines = TEXT.splitlines()
    loader = _Loader(TEXT)
    root = loader.get_single_node()
    for node in _mappings(root, set()):
        found = {
            str(key): value for key, value in loader.construct_mapping(node, deep=True).items()
        }
        if found.get("Effect") == "Allow":
            yield found, lines[node.start_mark.line : node.end_mark.line]


def _mappings(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.MappingNode]:
    """Every mapping below *node*, each once however many aliases it has."""
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


def values(one: Any) -> list[str]:  # noqa: ANN401 - one of a list, or the list
    """Its texts, whatever form of CloudFormation they stand in."""
    forms = one if isinstance(one, list) else [one]
    return [str(next(iter(f.values()))) if isinstance(f, dict) else f for f in forms]


def test_all_statements_are_seen() -> None:
    resources = str(template()["Resources"])
    seen = [found for found, _ in statements()]

    named = {found["Sid"] for found in seen if "Sid" in found}
    denied = {"TlsOnly", "NoSubscriberOverPlainHttp"}
    assert named | denied == set(re.findall(r"'Sid': '(\w+)'", resources))
    assert all(str(found) in resources for found in seen)


def test_no_action_is_a_pattern() -> None:
    actions = [one for found, _ in statements() for one in values(found.get("Action", []))]
    patterns = [one for one in actions if "*" in one]

    assert patterns == []


def test_what_is_granted_on_everything_says_why() -> None:
    silent = [
        found
        for found, lines in statements()
        if any(_BROAD.fullmatch(one) for one in values(found.get("Resource", [])))
        and not any(_REASON.search(line) for line in lines)
    ]

    assert silent == []


def test_what_sam_adds_to_roles_is_cut_down_to_the_one_group_of_logs() -> None:
    """AWS's own policies for logs and traces; logs are of any group there, traces know none."""
    resources = template()["Resources"]
    logs, rest = resources["FunctionsBoundary"]["Properties"]["PolicyDocument"]["Statement"]

    assert template()["Globals"]["Function"]["PermissionsBoundary"] == {"Ref": "FunctionsBoundary"}
    assert logs["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert logs["Resource"] == {"Fn::GetAtt": "FunctionsLogGroup.Arn"}
    assert rest["NotAction"] == "logs:*"
    own = [one for one in resources.values() if one["Type"] == "AWS::Serverless::Function"]
    assert {"Role", "PermissionsBoundary"} & {
        key for one in own for key in one["Properties"]
    } == set()
    assert all("PermissionsBoundary" not in one.get("IgnoreGlobals", []) for one in own)


def test_no_statement_grants_all_but_something_or_to_anybody() -> None:
    strange = [
        found["Sid"]
        for found, _ in statements()
        if found.keys() & {"NotAction", "NotResource", "NotPrincipal"}
        or "*" in values(found.get("Principal", []))
    ]

    assert strange == ["WhateverTheirPoliciesGrant"]  # of the boundary, which grants nothing
