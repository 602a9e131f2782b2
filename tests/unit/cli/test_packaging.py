"""The template that the local stack deploys: every path in it is an address of stored content."""

from __future__ import annotations

import io
import json
import re
import subprocess
import zipfile
from dataclasses import dataclass, field
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.packaging import LAYER, package
from taskrunner_cli.local.workspace import Workspace, python_version

TEMPLATE = """\
Parameters:
  Authorization:
    Type: String
    Default: Authorize
Globals:
  Function:
    Runtime: !Ref Runtime
Resources:
  Function:
    Properties:
      CodeUri: functions/read_run/
  Executor:
    Properties:
      CodeUri: examples/executors/change_window/
  CoreLayer:
    Properties:
      ContentUri: layers/core/python
  Machine:
    Properties:
      DefinitionUri: statemachine/pack_run.asl.yaml
"""

PYTHON = ".local/venvs/emulator/bin/python"


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
        "examples/executors/change_window/app.py": "",
        "statemachine/pack_run.asl.yaml": "StartAt: List # a comment\n",
        f"{LAYER}/requirements.txt": "h11==0.16.0\n",
        f"{LAYER}/taskrunner/__init__.py": "",
        "requirements/emulator.txt": "awslambdaric==4.2.2\n",
        ".local/venvs/layer/.pins": "h11==0.16.0\n",
        ".local/venvs/emulator/.pins": "awslambdaric==4.2.2\n",
        f"{site_packages}/h11/__init__.py": "",
        PYTHON: '#!/bin/sh\necho "$PYTHONPATH"; echo "$@"\n',
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / PYTHON).chmod(0o755)
    return workspace


def members(archive: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name).decode() for name in opened.namelist()}


def started(workspace: Workspace, archive: int) -> tuple[list[Path], str]:
    """Start the function in an archive; return the folders on its path, and Python's arguments."""
    store = Store()
    package(workspace, {}, store)
    bootstrap = workspace.root / "bootstrap"
    bootstrap.write_text(members(store.contents[archive])["bootstrap"])
    bootstrap.chmod(0o755)
    environment = {"_HANDLER": "app.handler"}
    done = subprocess.run([bootstrap], env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    path, arguments = done.stdout.splitlines()
    return [Path(folder) for folder in path.split(":") if folder], arguments


def folders_of_the_layer(workspace: Workspace) -> tuple[Path, Path]:
    """Return the folders of the package and of the packages that it imports."""
    (copy, dependencies), _ = started(workspace, 0)
    return copy, dependencies


def test_every_path_becomes_the_address_of_its_content(project: Workspace) -> None:
    store = Store()

    text = package(project, {}, store)

    assert re.findall(r"(\w+Uri): (\S+)", text) == [
        ("CodeUri", "s3://store/0"),
        ("CodeUri", "s3://store/1"),
        ("ContentUri", "s3://store/2"),
        ("DefinitionUri", "s3://store/3"),
    ]
    function = members(store.contents[0])
    assert (function["app.py"], set(function)) == ("READ = True\n", {"app.py", "bootstrap"})
    assert members(store.contents[2]) == {}
    assert json.loads(store.contents[3]) == {"StartAt": "List"}


def test_a_function_is_a_custom_runtime_that_starts_the_runtime_of_aws(project: Workspace) -> None:
    text = package(project, {}, Store())

    assert "  Function:\n    Runtime: provided.al2023\n" in text
    assert started(project, 0)[1] == "-m awslambdaric app.handler"


def test_an_executor_function_has_no_layer(project: Workspace) -> None:
    assert started(project, 1) == ([], "-m awslambdaric app.handler")


def test_a_folder_with_a_space_in_its_name_stays_whole(project: Workspace, tmp_path: Path) -> None:
    moved = tmp_path.with_name("with a space")
    project.root.rename(moved)

    assert folders_of_the_layer(Workspace(moved))[1].is_relative_to(moved)


def test_the_same_sources_give_the_same_contents(project: Workspace) -> None:
    first, second = Store(), Store()

    package(project, {}, first)
    (project.root / "functions/read_run/app.py").touch()
    package(project, {}, second)

    assert first.contents == second.contents


def test_a_function_imports_a_copy_of_the_package_and_the_pinned_packages(
    project: Workspace,
) -> None:
    copy, dependencies = folders_of_the_layer(project)

    assert (copy / "taskrunner" / "__init__.py").exists()
    assert (dependencies / "h11" / "__init__.py").exists()


def test_the_copy_of_the_package_stays_when_its_source_changes(project: Workspace) -> None:
    source = project.root / LAYER / "taskrunner" / "__init__.py"
    before, _ = folders_of_the_layer(project)

    source.write_text("CHANGED = True\n")
    after, _ = folders_of_the_layer(project)

    assert (before / "taskrunner" / "__init__.py").read_text() == ""
    assert (after / "taskrunner" / "__init__.py").read_text() == "CHANGED = True\n"


def test_no_function_compiles_the_package(project: Workspace) -> None:
    (project.root / LAYER / "taskrunner" / "broken.py").write_text("nothing that Python reads\n")

    copy, _ = folders_of_the_layer(project)

    module = copy / "taskrunner" / "__init__.py"
    assert Path(cache_from_source(str(module))).exists()
    assert (copy / "taskrunner" / "broken.py").exists()


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


@pytest.mark.parametrize("environment", ["layer", "emulator"])
@pytest.mark.parametrize("pins", [None, "h11==0.14.0\n"], ids=["missing", "older"])
def test_rejects_packages_that_are_not_the_pinned_ones(
    project: Workspace, environment: str, pins: str | None
) -> None:
    recorded = project.local / "venvs" / environment / ".pins"
    recorded.unlink()
    if pins:
        recorded.write_text(pins)

    with pytest.raises(LocalStackError, match="are not installed") as raised:
        package(project, {}, Store())
    assert raised.value.cure == "make setup"
