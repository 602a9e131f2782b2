"""Docstrings and comments are plain English, as far as a word at its place shows it.

A docstring names the thing or begins with a verb, and no sentence begins with a relative clause as
its subject. A property that answers yes or no may begin with "Whether".
"""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.template import ROOT

OURS = "tests/architecture/test_prose.py"  # contains the words themselves
DOCSTRING = re.compile(r'"""(.+?)"""', re.DOTALL)
COMMENT = re.compile(r"(?:^|  )# .+(?:\n\s*# .+)*", re.MULTILINE)
FIRST_WORDS = re.compile(r"(What|How|Where|When|Who|Whose|Which|Whatever|Whoever|Why|Of|That)\b")
QUESTION = re.compile(r'(@[\w.]*property\n\s+)?\bdef \w+\((?:(?!def )[^"])*:\n\s+"""(Whether .+)')
SUBJECTS = re.compile(r"(?:^|[.:;] )(?:What|Who|Whose|Whoever|Whatever|Of) [^.?]+\.")
REPLACED_WORDS = re.compile(r"(?i)\b(?:told|tells?|mend(?:s|ed)?|leaves? away|left away)\b")


def modules() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py"],  # noqa: S607 - on PATH
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = [name for name in listed.stdout.split() if name != OURS]
    return [name for name in names if (ROOT / name).is_file()]


def offences(source: str) -> list[str]:
    """Return the texts of *source* that are not as the house writes them."""
    documented = [" ".join(text.split()) for text in DOCSTRING.findall(source)]
    found = [text for text in documented if FIRST_WORDS.match(text)]
    found += [text for is_property, text in QUESTION.findall(source) if not is_property]
    comments = [re.sub(r"\s*\n?\s*# ", " ", text).strip() for text in COMMENT.findall(source)]
    for text in (*documented, *comments):
        found += SUBJECTS.findall(text) + REPLACED_WORDS.findall(text)
    return found


def test_docstrings_and_comments_are_plain_english() -> None:
    found = {name: offences((ROOT / name).read_text(encoding="utf-8")) for name in modules()}

    assert {name: texts for name, texts in found.items() if texts} == {}


@pytest.mark.parametrize(
    "source",
    [
        '"""What a step reads."""',
        'def is_open():\n    """Whether it is open."""',
        '"""The end.\n\nWhat is recorded is the truth.\n"""',
        "x = 1  # Of two, the first counts.",
        "# It tells the\n# user.",
    ],
)
def test_finds_a_text_that_is_not(source: str) -> None:
    assert offences(source) != []


def test_a_property_may_say_whether() -> None:
    assert (
        offences('    @property\n    def is_open(self) -> bool:\n        """Whether it is."""')
        == []
    )
