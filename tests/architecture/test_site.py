"""`make docs` makes a site with every page, no broken link, and nothing of other hosts."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.template import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BUILDER = str(ROOT / ".local/venvs/docs/bin/zensical")


def build(folder: Path, *, more: str = "") -> subprocess.CompletedProcess[str]:
    """Build the site in *folder* from a copy of the pages, the FAQ with *more* at its end."""
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    faq = folder / "docs/faq.md"
    faq.write_text(faq.read_text(encoding="utf-8") + more, encoding="utf-8")
    command = [BUILDER, "build", "--strict", "--config-file", "mkdocs.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / ".local/site"


def test_every_page_is_in_the_navigation() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = re.findall(r"[\w-]+\.md", str(navigation))

    assert sorted(listed) == sorted(page.name for page in ROOT.glob("docs/*.md"))


def test_a_page_of_the_site_loads_nothing_from_other_hosts(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    loaded = [
        tag
        for page in pages
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text("utf-8"))
        if re.search(r"(?:src|href)=[\"']?(?:https?:)?//", tag) and "canonical" not in tag
    ]

    assert len(pages) > len(list(ROOT.glob("docs/*.md")))
    assert loaded == []


def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    assert build(tmp_path, more="[nowhere](nowhere.md)").returncode != 0
