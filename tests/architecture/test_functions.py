"""A function is a thin module in its own folder, and one resource of the template."""

from __future__ import annotations

import ast
import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.template import ROOT, folder, functions, template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPS = sorted(ROOT.glob("functions/*/app.py"))
# They read their variables themselves, so that they import the standard library only.
READS_THE_ENVIRONMENT = {"console", "describe_api"}
MAX_LINES = 40


def function_name(path: Path) -> str:
    return path.parent.name


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def reads_the_environment(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"})
        or (isinstance(node, ast.alias) and node.name in {"environ", "getenv"})
        for node in ast.walk(tree)
    )


def test_the_template_has_a_function_for_each_folder_and_no_others() -> None:
    in_template = sorted(folder(logical_id) for logical_id in functions())

    assert in_template == [function_name(path) for path in APPS]


def test_a_function_has_the_name_of_its_folder() -> None:
    for logical_id in functions():
        words = re.findall("[A-Z][a-z]*", logical_id.removesuffix("Function"))
        assert "_".join(words).lower() == folder(logical_id)


@pytest.mark.parametrize("path", APPS, ids=function_name)
def test_every_function_of_a_handler_is_short(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lengths = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }

    assert "handler" in lengths
    assert {name: length for name, length in lengths.items() if length >= MAX_LINES} == {}


@pytest.mark.parametrize("path", APPS, ids=function_name)
def test_a_handler_uses_neither_boto3_nor_the_environment(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    packages = {name.partition(".")[0] for name in imported(tree)}

    assert packages & {"boto3", "botocore"} == set()
    assert reads_the_environment(tree) == (function_name(path) in READS_THE_ENVIRONMENT)


def test_the_runtimes_are_the_python_versions_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"])
    assert bounds is not None
    pythons = [f"python3.{minor}" for minor in range(int(bounds[1]), int(bounds[2]))]

    runtime = template()["Parameters"]["Runtime"]
    layer = template()["Resources"]["CoreLayer"]["Properties"]

    assert runtime["AllowedValues"] == pythons
    assert layer["CompatibleRuntimes"] == pythons
    assert runtime["Default"] == "python3.13"
    assert template()["Globals"]["Function"]["Runtime"] == {"Ref": "Runtime"}
    assert [name for name, properties in functions().items() if "Runtime" in properties] == []
