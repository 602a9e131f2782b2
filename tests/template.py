"""The template as data."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]


class _Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short forms as `{"Fn::Name": value}`."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@cache
def template() -> dict[str, Any]:
    """Return template.yaml, parsed once, because parsing is slow and often needed."""
    return parsed((ROOT / "template.yaml").read_text(encoding="utf-8"))


def parsed(text: str) -> dict[str, Any]:
    """Return the template of CloudFormation that *text* is."""
    document: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 - a subclass of the safe loader
    return document


def functions() -> dict[str, dict[str, Any]]:
    """Return the properties of the service's functions by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function" and not _is_an_example(resource)
    }


def example_executors() -> dict[str, dict[str, Any]]:
    """Return the resources of the example executors by logical id."""
    return {
        name: resource
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function" and _is_an_example(resource)
    }


def _is_an_example(resource: dict[str, Any]) -> bool:
    return str(resource["Properties"]["CodeUri"]).startswith("examples/")


def routes() -> dict[tuple[str, str], str]:
    """Return the logical id of the function for each method and path of the document."""
    return {route: name for name, route, _ in _api_events() if route[0] != "ANY"}


def open_routes() -> set[tuple[str, str]]:
    """Return the methods and paths without authorization; ANY is for all other methods."""
    return {
        route for _, route, event in _api_events() if event.get("Auth") == {"Authorizer": "NONE"}
    }


def fallbacks() -> dict[str, str]:
    """Return the logical id of the function for all other methods of each path."""
    return {path: name for name, (method, path), _ in _api_events() if method == "ANY"}


def _api_events() -> Iterator[tuple[str, tuple[str, str], dict[str, Any]]]:
    for name, properties in functions().items():
        for event in properties.get("Events", {}).values():
            if event["Type"] == "Api":
                route = event["Properties"]
                yield name, (route["Method"].upper(), route["Path"]), route


def refused_by_rules(**parameters: str | int) -> list[str]:
    """Return the descriptions of the assertions that *parameters* and the defaults violate."""
    values = {name: entry.get("Default", "") for name, entry in template()["Parameters"].items()}
    values |= parameters
    return [
        assertion["AssertDescription"]
        for rule in template()["Rules"].values()
        if _holds(rule.get("RuleCondition", True), values)
        for assertion in rule["Assertions"]
        if not _holds(assertion["Assert"], values)
    ]


def _holds(expression: Any, values: dict[str, Any]) -> bool:  # noqa: ANN401 - an expression of a rule
    """Evaluate the rule functions in use; CloudFormation compares parameters as strings."""

    def text(operand: Any) -> str:  # noqa: ANN401
        return str(values[operand["Ref"]] if isinstance(operand, dict) else operand)

    match expression:
        case bool():
            return expression
        case {"Fn::Not": [operand]}:
            return not _holds(operand, values)
        case {"Fn::Or": operands}:
            return any(_holds(operand, values) for operand in operands)
        case {"Fn::Equals": [left, right]}:
            return text(left) == text(right)
        case {"Fn::Contains": [listed, value]}:
            return text(value) in listed
    raise TypeError(f"a form that no rule had so far: {expression}")


def folder(logical_id: str) -> str:
    """Return a function's folder in functions/: `run_step` for RunStepFunction."""
    code: str = functions()[logical_id]["CodeUri"]
    return code.strip("/").rsplit("/", 1)[-1]
