"""The template that the local stack deploys: every path in it is an address of stored content."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.packaging import LAYER, package
from taskrunner_cli.local.workspace import Workspace, python_version

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = """\
Parameters:
  Authorization:
    Type: String
    Default: Authorize
Resources:
  Function:
    Properties:
      CodeUri: functions/read_run/
  CoreLayer:
    Properties:
      ContentUri: layers/core/python
  Machine:
    Properties:
      DefinitionUri: statemachine/reconcile.asl.yaml
"""


@dataclass
class Store:
    """Keeps contents in memory, under addresses that count up."""

    contents: list[bytes] = field(default_factory=list)

    def __call__(self, content: bytes) -> str:
        self.contents.append(content)
        return f"s3://store/{len(self.contents) - 1}"


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    site_packages = f".local/venvs/layer/lib/python{python_version()}/site-packages"
    for name, text in {
        "template.yaml": TEMPLATE,
        "functions/read_run/app.py": "READ = True\n",
        "functions/read_run/__pycache__/app.pyc": "compiled",
        "statemachine/reconcile.asl.yaml": "StartAt: List # a comment\n",
        f"{LAYER}/requirements.txt": "h11==0.16.0\n",
        f"{LAYER}/taskrunner/__init__.py": "",
        ".local/venvs/layer/.pins": "h11==0.16.0\n",
        f"{site_packages}/h11/__init__.py": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return workspace


def members(archive: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name).decode() for name in opened.namelist()}


def folders_of_the_layer(workspace: Workspace) -> list[str]:
    """The folders that the layer puts on the path of a function."""
    store = Store()
    package(workspace, {}, store)
    [(name, line)] = members(store.contents[1]).items()
    assert name == f"python/lib/python{python_version()}/site-packages/taskrunner.pth"
    return re.findall(r"'([^']+)'", line)


def test_every_path_becomes_the_address_of_its_content(project: Workspace) -> None:
    store = Store()

    text = package(project, {}, store)

    assert re.findall(r"(\w+Uri): (\S+)", text) == [
        ("CodeUri", "s3://store/0"),
        ("ContentUri", "s3://store/1"),
        ("DefinitionUri", "s3://store/2"),
    ]
    assert members(store.contents[0]) == {"app.py": "READ = True\n"}
    assert json.loads(store.contents[2]) == {"StartAt": "List"}


def test_the_same_sources_give_the_same_contents(project: Workspace) -> None:
    first, second = Store(), Store()

    package(project, {}, first)
    (project.root / "functions/read_run/app.py").touch()
    package(project, {}, second)

    assert first.contents == second.contents


def test_the_layer_names_a_copy_of_the_package_and_the_pinned_packages(project: Workspace) -> None:
    copy, dependencies = folders_of_the_layer(project)

    assert (project.root / copy / "taskrunner" / "__init__.py").exists()
    assert (project.root / dependencies / "h11" / "__init__.py").exists()


def test_the_copy_of_the_package_stays_when_its_source_changes(project: Workspace) -> None:
    source = project.root / LAYER / "taskrunner" / "__init__.py"
    before, _ = folders_of_the_layer(project)

    source.write_text("CHANGED = True\n")
    after, _ = folders_of_the_layer(project)

    assert (project.root / before / "taskrunner" / "__init__.py").read_text() == ""
    assert (project.root / after / "taskrunner" / "__init__.py").read_text() == "CHANGED = True\n"


def test_a_parameter_becomes_a_default(project: Workspace) -> None:
    text = package(project, {"Authorization": "AWS_IAM"}, Store())

    assert "    Default: AWS_IAM\n" in text


def test_rejects_an_unknown_parameter(project: Workspace) -> None:
    with pytest.raises(LocalStackError, match="the template has no parameter Authorisation"):
        package(project, {"Authorisation": "AWS_IAM"}, Store())


def test_rejects_a_path_that_does_not_exist(project: Workspace) -> None:
    (project.root / "template.yaml").write_text(TEMPLATE.replace("read_run", "read_runs"))

    with pytest.raises(LocalStackError, match="names functions/read_runs/, which does not exist"):
        package(project, {}, Store())


@pytest.mark.parametrize("pins", [None, "h11==0.14.0\n"], ids=["missing", "older"])
def test_rejects_packages_that_are_not_the_pinned_ones(
    project: Workspace, pins: str | None
) -> None:
    recorded = project.local / "venvs" / "layer" / ".pins"
    recorded.unlink()
    if pins:
        recorded.write_text(pins)

    with pytest.raises(LocalStackError, match="are not installed") as raised:
        package(project, {}, Store())
    assert raised.value.cure == "make setup"
