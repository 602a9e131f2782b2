"""The machines of statemachine/ fit the template that deploys them and the errors we raise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from taskrunner import errors
from tests.template import ROOT, template

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFINITIONS = sorted(path.name for path in ROOT.glob("statemachine/*.asl.yaml"))
_OURS = re.compile(r"[A-Z]\w+Error")
_PLATFORMS = re.compile(r"(States|Lambda|Sandbox|Sfn|DynamoDb)\..+")


def machines() -> dict[str, dict[str, Any]]:
    """The properties of each machine, by its definition's file."""
    return {
        resource["Properties"]["DefinitionUri"].rpartition("/")[2]: resource["Properties"]
        for resource in template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::StateMachine"
    }


def text(name: str) -> str:
    return (ROOT / "statemachine" / name).read_text(encoding="utf-8")


def matched_errors(node: Any) -> Iterator[str]:  # noqa: ANN401 - any YAML
    """Every name in an ErrorEquals below *node*."""
    if isinstance(node, dict):
        yield from node.get("ErrorEquals", [])
        for child in node.values():
            yield from matched_errors(child)
    elif isinstance(node, list):
        for child in node:
            yield from matched_errors(child)


def names_in_machines() -> set[str]:
    return {error for name in DEFINITIONS for error in matched_errors(yaml.safe_load(text(name)))}


def errors_by_name() -> dict[str, type[Exception]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and not name.startswith("_")
    }


def test_every_definition_is_deployed_and_every_machine_has_one() -> None:
    assert sorted(machines()) == DEFINITIONS


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_placeholder_has_a_substitution_and_the_reverse(name: str) -> None:
    data = str(yaml.safe_load(text(name)))  # so that a comment is no placeholder
    wanted = set(re.findall(r"\$\{(\w+)\}", data))

    assert wanted == machines()[name]["DefinitionSubstitutions"].keys()


def test_a_machine_matches_the_platforms_errors_and_ours_and_no_other() -> None:
    known = errors_by_name().keys()

    strange = {name for name in names_in_machines() if not _PLATFORMS.fullmatch(name)}
    assert strange - known == set()


def retriers(node: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any YAML
    """Every retrier below *node* that is for what AWS refuses for a moment."""
    if isinstance(node, dict):
        platform = (r for r in node.get("Retry", []) if "TryAgainError" in r["ErrorEquals"])
        yield from platform
        for child in node.values():
            yield from retriers(child)
    elif isinstance(node, list):
        for child in node:
            yield from retriers(child)


def test_the_copies_of_the_platforms_retrier_are_alike() -> None:
    """A function that died may be called again where that does nothing twice."""
    found = list(retriers(yaml.safe_load(text("pack_run.asl.yaml"))))
    died = {"Lambda.Unknown", "Sandbox.Timedout"}

    assert len(found) == 5
    assert len({str(one | {"ErrorEquals": []}) for one in found}) == 1
    assert len({frozenset(one["ErrorEquals"]) - died for one in found}) == 1
    assert {died & set(one["ErrorEquals"]) == died for one in found} == {True, False}


def test_an_error_that_a_machine_matches_is_a_leaf() -> None:
    """Step Functions compares names: it would not see a subclass of what it waits for."""
    classes = errors_by_name()

    ours = {name for name in names_in_machines() if name in classes}
    parents = {name for name in ours if classes[name].__subclasses__()}
    assert "TryAgainError" in ours
    assert parents == set()


def test_the_tree_of_errors_is_drawn_in_full() -> None:
    documentation = errors.__doc__ or ""
    drawn = re.findall(r"^ *[*-] (\w+)", documentation, re.MULTILINE)

    assert sorted(drawn) == sorted(errors_by_name().keys() - {"Diagnostic"})


def test_the_names_that_are_wire_format_are_told_as_such() -> None:
    told = (errors.__doc__ or "").partition("wire format")[0].rpartition("\n\n")[2]

    ours = {name for name in names_in_machines() if name in errors_by_name()}
    drawn = re.findall(r"^ *[*-] (\w+)", errors.__doc__ or "", re.MULTILINE)
    last_four = set(drawn[-4:]) if "last four" in told else set()
    assert ours - set(re.findall(_OURS, told)) - last_four == set()
