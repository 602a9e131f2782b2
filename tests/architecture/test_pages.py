"""The pages of the project name files that exist, so that a moved file is moved in them too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/**/*.md")])
PACKAGE = ROOT / "layers/core/python/taskrunner"


def links(page: Path) -> Iterator[str]:
    """The relative links of a page, without the headings that they lead to."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path = target.partition("#")[0]
        if path and "://" not in path:
            yield path


def files_in_tables(page: Path) -> Iterator[str]:
    """The files in the first cells of a page's tables; of one with a placeholder, its folder."""
    for row in re.findall(r"^\| (`.+?`) \|", page.read_text(encoding="utf-8"), re.MULTILINE):
        for name in re.findall(r"`([^` ]+/[^` ]*)`", row):
            yield name.partition("<")[0].rpartition("/")[0] if "<" in name else name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [path for path in links(page) if not (page.parent / path).exists()]

    assert missing == []


def test_every_file_to_touch_for_a_change_exists() -> None:
    named = list(files_in_tables(ROOT / "CONTRIBUTING.md"))
    missing = [path for path in named if not any((top / path).exists() for top in (ROOT, PACKAGE))]

    assert missing == []
    assert "compiler/emit.py" in named
