"""Example executor functions: packs find them by name, and they have no permissions."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

import pytest

from taskrunner import executors
from tests.template import ROOT, example_executors, functions, template

if TYPE_CHECKING:
    from pathlib import Path

APPS = sorted(ROOT.glob("examples/executors/*/app.py"))
PREFIX = {"Fn::Sub": "${AWS::StackName}_executor-"}


def folder(path: Path) -> str:
    return path.parent.name


def test_every_example_is_deployed_under_the_name_that_packs_use() -> None:
    names = {
        resource["Properties"]["CodeUri"]: resource["Properties"]["FunctionName"]
        for resource in example_executors().values()
    }

    assert names == {
        f"examples/executors/{folder(path)}/": {
            "Fn::Sub": PREFIX["Fn::Sub"] + folder(path).replace("_", "-")
        }
        for path in APPS
    }


@pytest.mark.parametrize("path", APPS, ids=folder)
def test_a_pack_can_use_the_name(path: Path) -> None:
    assert executors.find(f"lambda:{folder(path).replace('_', '-')}") is not None


def test_examples_are_optional_and_have_no_permissions() -> None:
    for resource in example_executors().values():
        assert resource["Condition"] == "WithExampleExecutors"
        assert set(resource["IgnoreGlobals"]) == {"Environment", "Layers"}
        assert (
            resource["Properties"].keys() & {"Environment", "Events", "Policies", "Role"} == set()
        )
    assert template()["Parameters"]["ExampleExecutors"]["Default"] == "false"


@pytest.mark.parametrize("path", APPS, ids=folder)
def test_an_example_imports_the_standard_library_only(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported - sys.stdlib_module_names == set()


def test_run_step_may_call_executors_and_of_the_other_functions_only_open_gate() -> None:
    run_step = functions()["RunStepFunction"]
    allowed = [
        statement["Resource"]
        for policy in run_step["Policies"]
        for statement in policy["Statement"]
        if "lambda:" in str(statement["Action"])
    ]

    assert run_step["Environment"]["Variables"]["EXECUTOR_PREFIX"] == PREFIX
    arn = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:"
    executors = {"Fn::Sub": f"{arn}{PREFIX['Fn::Sub']}*"}
    assert allowed == [executors, {"Ref": "OpenGateFunction.Alias"}]
    assert all("FunctionName" not in properties for properties in functions().values())
