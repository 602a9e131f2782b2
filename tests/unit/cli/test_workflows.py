"""The workflows in examples/workflows: lint finds nothing, and each README has the picture."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Command

FOLDERS = sorted(path.parent for path in ROOT.glob("examples/workflows/*/pack.yaml"))
_PICTURE = re.compile(r"(?<=^```mermaid\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
_MOST_LINES = 10

each_workflow = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def picture(taskrunner: Command, folder: Path) -> str:
    files = (str(folder / "pack.yaml"), "--inputs", str(folder / "inputs.json"))
    return taskrunner("compile", *files, "--format", "mermaid").out


@each_workflow
def test_lint_finds_no_mistake(taskrunner: Command, folder: Path) -> None:
    linted = taskrunner("lint", str(folder / "pack.yaml"), "--output", "sarif")

    assert (linted.code, json.loads(linted.out)["runs"][0]["results"]) == (0, [])


@each_workflow
def test_the_readme_has_the_picture_that_compile_prints(
    taskrunner: Command, folder: Path, assert_golden: Callable[[Path, str], None]
) -> None:
    readme = folder / "README.md"
    printed = picture(taskrunner, folder)

    text, count = _PICTURE.subn(lambda _: printed, readme.read_text(encoding="utf-8"))

    assert count == 1
    assert_golden(readme, text)


@each_workflow
def test_the_readme_has_at_most_ten_lines_beside_the_picture(folder: Path) -> None:
    text = _PICTURE.sub("", (folder / "README.md").read_text(encoding="utf-8"))

    lines = [line for line in text.splitlines() if line and not line.startswith("```")]
    assert len(lines) <= _MOST_LINES


@each_workflow
def test_the_main_page_links_the_readme(folder: Path) -> None:
    assert f"(examples/workflows/{folder.name}/README.md)" in (ROOT / "README.md").read_text()
