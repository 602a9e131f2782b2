"""Examples of executor functions: by their names packs find them, and they may do nothing."""

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
PREFIX = {"Fn::Sub": "${AWS::StackName}-executor-"}


def folder(path: Path) -> str:
    return path.parent.name


def test_every_example_is_in_the_template_by_the_name_that_packs_use() -> None:
    named = {
        one["Properties"]["CodeUri"]: one["Properties"]["FunctionName"]
        for one in example_executors().values()
    }

    assert named == {
        f"examples/executors/{folder(path)}/": {
            "Fn::Sub": PREFIX["Fn::Sub"] + folder(path).replace("_", "-")
        }
        for path in APPS
    }


@pytest.mark.parametrize("path", APPS, ids=folder)
def test_the_name_is_one_that_a_pack_can_write(path: Path) -> None:
    assert executors.find(f"lambda:{folder(path).replace('_', '-')}") is not None


def test_an_example_is_deployed_on_request_and_has_no_rights() -> None:
    for one in example_executors().values():
        assert one["Condition"] == "WithExampleExecutors"
        assert set(one["IgnoreGlobals"]) == {"Environment", "Layers"}
        assert one["Properties"].keys() & {"Environment", "Events", "Policies", "Role"} == set()
    assert template()["Parameters"]["ExampleExecutors"]["Default"] == "false"


@pytest.mark.parametrize("path", APPS, ids=folder)
def test_an_example_needs_nothing_but_python(path: Path) -> None:
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


def test_whoever_runs_steps_may_call_executors_and_no_other_function() -> None:
    run_step = functions()["RunStepFunction"]
    [allowed] = [
        statement["Resource"]
        for policy in run_step["Policies"]
        for statement in policy["Statement"]
        if "lambda:" in str(statement["Action"])
    ]

    assert run_step["Environment"]["Variables"]["EXECUTOR_PREFIX"] == PREFIX
    arn = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:"
    assert allowed == {"Fn::Sub": f"{arn}{PREFIX['Fn::Sub']}*"}
    assert all("FunctionName" not in own for own in functions().values())
