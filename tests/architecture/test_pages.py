"""The Markdown pages: short lines, links that lead somewhere, files and tests that exist."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LONGEST_LINE = 120
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
PAGES = sorted([*DOCS, *ROOT.glob("examples/**/*.md"), *ROOT.glob("tests/**/*.md")])
PICTURES = ROOT / "docs/images"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PACKAGE = ROOT / "layers/core/python/taskrunner"
TOPS = (ROOT, PACKAGE, ROOT / "tests")
_CODE_BLOCK = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
# A file in a folder of the repository. `.local` and build folders are made by tools.
_FILE = re.compile(r"(?!\.local/|\.venv/)[\w.-]+/[\w./-]*\.(?:py|ya?ml|toml|md|json|txt|in)")
# A test file or folder, and perhaps a class and a test in the file.
_TEST = re.compile(r"(?:[\w-]+/)*test_\w+\.py(?:::\w+)*|tests/(?:[\w-]+/)*[\w-]+/?")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """Return the text of *page* without its code blocks."""
    return _CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))


def codes(text: str) -> list[str]:
    """Return the code spans of *text*."""
    return [code for _, code in _CODE.findall(text)]


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_no_line_outside_tables_has_more_than_120_characters(page: Path) -> None:
    too_long = [
        number
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LONGEST_LINE and not line.lstrip().startswith("|")
    ]

    assert too_long == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = [code for code in codes(prose(page)) if _TEST.fullmatch(code)]

    assert [name for name in named if not is_test(name)] == []


def is_test(name: str) -> bool:
    """Return whether *name* is a test folder, a test file, or a class or test in a file.

    A path that does not begin with `tests/` is the end of exactly one path there.
    """
    path, *names = name.split("::")
    pattern = path if path.startswith("tests/") else f"tests/**/{path}"
    found = list(ROOT.glob(pattern))
    return len(found) == 1 and (not names or tuple(names) in definitions(found[0]))


@cache
def definitions(file: Path) -> frozenset[tuple[str, ...]]:
    """Return the names of the classes and tests in *file*; a class's own come after its name."""
    return frozenset(_definitions(ast.parse(file.read_text(encoding="utf-8")).body, ()))


def _definitions(
    statements: Iterable[ast.stmt], around: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield (*around, statement.name)
        if isinstance(statement, ast.ClassDef):
            yield from _definitions(statement.body, (*around, statement.name))


@pytest.mark.parametrize("page", [page for page in DOCS if page != CONTRIBUTING], ids=name_of)
def test_every_file_of_the_repository_that_a_page_names_exists(page: Path) -> None:
    names = [code for code in codes(prose(page)) if not _TEST.fullmatch(code)]
    named = [name for name in names if _FILE.fullmatch(name)]

    assert [name for name in named if not any((top / name).exists() for top in TOPS)] == []


def threats() -> list[list[str]]:
    """Return the rows of the tables of docs/security.md: threat, defence, and tests."""
    lines = prose(ROOT / "docs/security.md").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| threat |")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_page_on_security_has_tables_of_threats() -> None:
    assert len(threats()) > 50


@pytest.mark.parametrize("row", threats(), ids=lambda row: row[0][:50])
def test_every_threat_names_existing_tests_that_show_its_defence(row: list[str]) -> None:
    _, defence, shown_by = row

    assert defence
    assert codes(shown_by)
    assert [name for name in codes(shown_by) if not is_test(name)] == []


def files_in_tables(page: Path) -> Iterator[str]:
    """The files in the first cells of a page's tables; of one with a placeholder, its folder."""
    for row in re.findall(r"^\| (`.+?`) \|", page.read_text(encoding="utf-8"), re.MULTILINE):
        for name in re.findall(r"`([^` ]+/[^` ]*)`", row):
            yield name.partition("<")[0].rpartition("/")[0] if "<" in name else name


def test_every_file_to_touch_for_a_change_exists() -> None:
    named = list(files_in_tables(CONTRIBUTING))
    missing = [path for path in named if not any((top / path).exists() for top in (ROOT, PACKAGE))]

    assert missing == []
    assert "compiler/machine/emit.py" in named


def test_every_picture_is_made_by_a_test_and_shown_by_a_page() -> None:
    """`pytest tests/stack/console --pictures` makes them all again."""
    tests = [path.read_text(encoding="utf-8") for path in ROOT.glob("tests/stack/console/*.py")]
    made = sorted(name for text in tests for name in re.findall(r'\bpicture\("([\w-]+)"\)', text))
    links = {link for page in DOCS for link in _LINK.findall(prose(page))}
    shown = {link.partition("images/")[2] for link in links if "images/" in link}

    assert made == sorted(path.stem for path in PICTURES.iterdir())
    assert {f"{name}.png" for name in made} == shown


def test_the_changelog_is_about_the_version_of_the_package() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert f"Everything below becomes version {_version()}." in changelog


@pytest.mark.parametrize(
    "path",
    [*DOCS, ROOT / "functions/describe_api/openapi.yaml", *ROOT.glob("cli/**/*.py")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_an_earlier_version_is_earlier_than_the_package(path: Path) -> None:
    """`a service of version 0.1 cannot`, `before 0.2`: the version under work lacks nothing."""
    current = _numbers(_version())
    text = " ".join(path.read_text(encoding="utf-8").split())
    named = re.findall(r"\b(?:(?:service|those) of(?: version)?|has version) (\d+\.\d+)", text)
    named += re.findall(r"(?<!YAML )\b(\d+\.\d+),? (?:or|and) (?:an )?earlier", text)
    named += re.findall(r"that version (\d+\.\d+) (?:or|ended|opened|created|granted)", text)

    assert [version for version in named if _numbers(version) >= current[:2]] == []


def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
