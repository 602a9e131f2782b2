"""The repository works on every machine: no local path, no index address, no lack of a wheel."""

from __future__ import annotations

import re
import subprocess

import pytest
from packaging.requirements import Requirement

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


@pytest.mark.parametrize(
    ("processor", "has_wheel"),
    [
        ("x86_64", True), ("aarch64", True), ("arm64", True), ("AMD64", True),
        ("riscv64", False), ("ppc64le", False), ("s390x", False), ("armv7l", False),
        ("ARM64", False),
    ],
)  # fmt: skip
def test_oxlint_is_pinned_only_for_processors_that_it_has_a_wheel_for(
    processor: str, *, has_wheel: bool
) -> None:
    pins = (ROOT / "requirements/dev.txt").read_text().splitlines()
    (pin,) = [Requirement(line) for line in pins if line.startswith("oxlint==")]

    applies = pin.marker is None or pin.marker.evaluate({"platform_machine": processor})

    assert applies == has_wheel
