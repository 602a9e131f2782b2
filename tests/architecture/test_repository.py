"""The repository works on every machine: it contains no local path and no index address."""

from __future__ import annotations

import re
import subprocess

from tests.template import ROOT

HOMES = re.compile(r"/(?:home|Users|root|work|tmp)/\w|[A-Z]:\\\\")
INDEXES = re.compile(
    r"--(?:extra-)?index-url|--find-links|--trusted-host|pypi\.org/simple|registry\.npmjs"
)
OURS = {"tests/architecture/test_repository.py"}  # contains the patterns themselves


def matches(pattern: re.Pattern[str]) -> dict[str, set[str]]:
    """Return the matches of *pattern* by file, in all files that git tracks or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - on PATH
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = [name for name in listed.stdout.splitlines() if name not in OURS]
    texts = {
        name: (ROOT / name).read_text(encoding="utf-8", errors="replace")
        for name in names
        if (ROOT / name).is_file()  # git lists a deleted file until the next commit
    }
    matched = {name: set(pattern.findall(text)) for name, text in texts.items()}
    return {name: texts for name, texts in matched.items() if texts}


def test_no_file_contains_a_local_path() -> None:
    assert matches(HOMES) == {}


def test_no_file_contains_a_package_index() -> None:
    assert matches(INDEXES) == {}
