"""The template as data, for tests that hold the code to it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]


class _Loader(yaml.SafeLoader):
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
    """template.yaml, parsed once: that takes a while, and every request asks."""
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 - a subclass of the safe one
    return document


def functions() -> dict[str, dict[str, Any]]:
    """The properties of each function of the service, by its logical id."""
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function" and not _is_an_example(resource)
    }


def example_executors() -> dict[str, dict[str, Any]]:
    """The resource of each function that is an example of what others add, by its logical id."""
    return {
        name: resource
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function" and _is_an_example(resource)
    }


def _is_an_example(resource: dict[str, Any]) -> bool:
    return str(resource["Properties"]["CodeUri"]).startswith("examples/")


def routes() -> dict[tuple[str, str], str]:
    """The logical id of the function that answers each method and path of the document."""
    return {route: name for name, route, _ in _api_events() if route[0] != "ANY"}


def open_routes() -> set[tuple[str, str]]:
    """The methods and paths that ask nobody who calls; ANY for what no other route takes."""
    return {
        route for _, route, event in _api_events() if event.get("Auth") == {"Authorizer": "NONE"}
    }


def fallbacks() -> dict[str, str]:
    """The logical id of the function that answers whatever else is asked of each path."""
    return {path: name for name, (method, path), _ in _api_events() if method == "ANY"}


def _api_events() -> Iterator[tuple[str, tuple[str, str], dict[str, Any]]]:
    for name, properties in functions().items():
        for event in properties.get("Events", {}).values():
            if event["Type"] == "Api":
                asked = event["Properties"]
                yield name, (asked["Method"].upper(), asked["Path"]), asked


def folder(logical_id: str) -> str:
    """The folder in functions/ of a function: `run_step` for RunStepFunction."""
    code: str = functions()[logical_id]["CodeUri"]
    return code.strip("/").rsplit("/", 1)[-1]
