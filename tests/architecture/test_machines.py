"""The machines of statemachine/ match the template that deploys them, and our errors."""

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
_PLATFORMS = re.compile(r"(States|Lambda|Sandbox|Sfn|DynamoDb)\..+")


def machines() -> dict[str, dict[str, Any]]:
    """Return the properties of each machine by the file of its definition."""
    return {
        resource["Properties"]["DefinitionUri"].rpartition("/")[2]: resource["Properties"]
        for resource in template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::StateMachine"
    }


def text(name: str) -> str:
    return (ROOT / "statemachine" / name).read_text(encoding="utf-8")


def matched_errors(node: Any) -> Iterator[str]:  # noqa: ANN401 - any YAML
    """Yield every name in an ErrorEquals below *node*."""
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


def test_every_definition_is_deployed() -> None:
    assert sorted(machines()) == DEFINITIONS


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_template_substitutes_exactly_the_placeholders(name: str) -> None:
    definition = str(yaml.safe_load(text(name)))  # without comments
    placeholders = set(re.findall(r"\$\{(\w+)\}", definition))

    assert placeholders == machines()[name]["DefinitionSubstitutions"].keys()


def test_machines_match_two_errors_of_ours_and_the_platforms() -> None:
    """These two names are wire format: renaming either class would break deployed machines."""
    ours = {name for name in names_in_machines() if not _PLATFORMS.fullmatch(name)}

    assert ours == {"ConflictError", "TryAgainError"}
    assert ours <= errors_by_name().keys()


def retriers(node: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any YAML
    """Yield every retrier below *node* for calls that AWS refuses for a moment."""
    if isinstance(node, dict):
        platform = (r for r in node.get("Retry", []) if "TryAgainError" in r["ErrorEquals"])
        yield from platform
        for child in node.values():
            yield from retriers(child)
    elif isinstance(node, list):
        for child in node:
            yield from retriers(child)


def test_the_copies_of_the_platforms_retrier_are_equal() -> None:
    """Only calls that may safely run twice are also retried after the function has died."""
    copies = list(retriers(yaml.safe_load(text("pack_run.asl.yaml"))))
    died = {"Lambda.Unknown", "Sandbox.Timedout"}

    assert len(copies) == 5
    assert len({str(copy | {"ErrorEquals": []}) for copy in copies}) == 1
    assert len({frozenset(copy["ErrorEquals"]) - died for copy in copies}) == 1
    assert {died & set(copy["ErrorEquals"]) == died for copy in copies} == {True, False}


def test_an_error_that_a_machine_matches_has_no_subclasses() -> None:
    """Step Functions compares names, so it would not recognise a subclass."""
    classes = errors_by_name()

    ours = {name for name in names_in_machines() if name in classes}
    parents = {name for name in ours if classes[name].__subclasses__()}
    assert "TryAgainError" in ours
    assert parents == set()


def test_the_docstring_draws_every_error() -> None:
    documentation = errors.__doc__ or ""
    drawn = re.findall(r"^ *[*-] (\w+)", documentation, re.MULTILINE)

    assert sorted(drawn) == sorted(errors_by_name().keys() - {"Diagnostic"})
