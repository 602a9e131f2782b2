"""The Markdown pages: short lines, links that lead somewhere, and tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_LINE = 120
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/**/*.md")])
SECURITY = ROOT / "docs" / "security.md"
_CODE_BLOCK = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
# A test file or folder under tests/, which may be left out, and perhaps a class and a test in it.
_TEST_NAME = re.compile(r"(?:[\w-]+/)*test_\w+\.py(?:::\w+)*|tests/(?:[\w-]+/)*[\w-]+/?")


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """Return the text of *page* without its code blocks."""
    return _CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))


def codes(text: str) -> list[str]:
    """Return the code spans of *text*."""
    return [code for _, code in _CODE.findall(text)]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_no_line_outside_tables_has_more_than_120_characters(page: Path) -> None:
    too_long = [
        number
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LONGEST_LINE and not line.lstrip().startswith("|")
    ]

    assert too_long == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_inside_the_repository_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = [link for link in _LINK.findall(prose(page)) if "://" not in link]

    assert [link for link in links if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in anchors(target))


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors that GitHub makes of the headings of *page*."""
    headings = _HEADING.findall(prose(page))
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    )


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = [code for code in codes(prose(page)) if _TEST_NAME.fullmatch(code)]

    assert [name for name in named if not exists(name)] == []


def exists(name: str) -> bool:
    """Return whether *name*, a path with or without `tests/` and perhaps `::names`, is there."""
    path, *names = name.split("::")
    file = ROOT / "tests" / path.removeprefix("tests/")
    return file.exists() and (not names or tuple(names) in definitions_in(file))


@cache
def definitions_in(file: Path) -> frozenset[tuple[str, ...]]:
    """Return the names of the classes and tests in *file*; those in a class come after its name."""
    return frozenset(_definitions(ast.parse(file.read_text(encoding="utf-8")).body, ()))


def _definitions(statements: list[ast.stmt], around: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield (*around, statement.name)
        if isinstance(statement, ast.ClassDef):
            yield from _definitions(statement.body, (*around, statement.name))


THREATS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in prose(SECURITY).splitlines()
    if line.startswith("| ") and not line.startswith("| threat |")
]


def test_the_page_on_security_has_threats() -> None:
    assert len(THREATS) > 60


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row[0][:60])
def test_every_threat_has_a_defence_that_existing_tests_show(row: list[str]) -> None:
    _, defence, shown_by = row

    assert defence
    assert codes(shown_by)
    assert [code for code in codes(shown_by) if not exists(code)] == []
