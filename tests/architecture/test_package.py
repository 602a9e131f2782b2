"""The package works outside a clone: a wheel holds the command line and all that it reads."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.template import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(name="installed", scope="module")
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the wheel, as an installer would put it down."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def taskrunner(installed: Path, *words: str) -> str:
    """What the wheel's command line answers, far from the clone."""
    script = (
        "import sys, taskrunner, taskrunner_cli\n"
        "assert {taskrunner.__file__, taskrunner_cli.__file__} == set(sys.argv[1:3])\n"
        "del sys.argv[1:3]\n"
        "from taskrunner_cli.app import main\n"
        "sys.exit(main())\n"
    )
    modules = [str(installed / name / "__init__.py") for name in ("taskrunner", "taskrunner_cli")]
    done = subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-c", script, *modules, *words],
        cwd=installed,
        env=os.environ | {"PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_the_entry_point_is_the_command_line(installed: Path) -> None:
    [metadata] = installed.glob("*.dist-info")
    entries = (metadata / "entry_points.txt").read_text(encoding="utf-8")

    assert PROJECT["scripts"] == {"taskrunner": "taskrunner_cli.app:main"}
    assert "taskrunner = taskrunner_cli.app:main" in entries
    assert (metadata / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_command_line_starts(installed: Path) -> None:
    assert "Usage: taskrunner" in taskrunner(installed, "--help")


def test_the_compiler_finds_its_prototypes(installed: Path) -> None:
    pack = str(ROOT / "examples" / "deploy-app.yaml")

    assert "approval security-review" in taskrunner(installed, "gates", pack)
