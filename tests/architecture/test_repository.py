"""What the repository holds is good on every machine: no place of one, no address of an index."""

from __future__ import annotations

import re
import subprocess

from tests.template import ROOT

HOMES = re.compile(r"/(?:home|Users|root|work|tmp)/\w|[A-Z]:\\\\")
INDEXES = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host|pypi\.org/simple")
OURS = {"tests/architecture/test_repository.py"}  # it names what it looks for


def matches(pattern: re.Pattern[str]) -> dict[str, set[str]]:
    """What *pattern* matches in each text file that git knows, or would."""
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
        if (ROOT / name).is_file()  # one that was deleted is listed until the next commit
    }
    matched = {name: set(pattern.findall(text)) for name, text in texts.items()}
    return {name: found for name, found in matched.items() if found}


def test_no_file_names_a_place_of_one_machine() -> None:
    assert matches(HOMES) == {}


def test_no_file_names_an_index_of_packages() -> None:
    assert matches(INDEXES) == {}
