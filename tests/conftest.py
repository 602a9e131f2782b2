"""The order of the tests, their distribution over processes, and golden files.

`make unit` and `make test` run pytest-xdist with `--dist loadgroup`: a group runs in one process,
from its first test to its last. A file is a group, so that what its fixtures make is made once.
tests/stack is one group, because all of it uses the one local stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The longest groups come first, so that no process is left with one of them at the end.
_FIRST: Final = (
    "tests/stack/",
    "tests/security/leaks/",
    "tests/security/fuzz/",
    "tests/machine/",
    "tests/security/",
    "tests/contract/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each test into its group, and the groups that take longest first."""
    items.sort(key=_rank)  # stable: the order within a file and among files is kept
    for item in items:
        path = item.nodeid.partition("::")[0]
        is_on_stack = path.startswith("tests/stack/")
        item.add_marker(pytest.mark.xdist_group("stack" if is_on_stack else path))
        if is_on_stack:
            item.add_marker(pytest.mark.stack)


def _rank(item: pytest.Item) -> int:
    places = (number for number, folder in enumerate(_FIRST) if item.nodeid.startswith(folder))
    return next(places, len(_FIRST))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare `--record`, which rewrites golden files instead of comparing with them."""
    parser.addoption(
        "--record",
        action="store_true",
        help="write golden files as the code has them now; the run fails, so that CI never records",
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a recording run even when nothing changed."""
    if session.config.getoption("--record") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def assert_golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a golden file byte for byte, or write it there when recording."""

    def check(path: Path, text: str) -> None:
        recorded = path.read_text(encoding="utf-8") if path.exists() else None
        if not request.config.getoption("--record"):
            assert recorded is not None, f"{path.name} is missing: run pytest --record and read it"
            assert text == recorded
        elif text != recorded:
            path.write_text(text, encoding="utf-8")
            pytest.fail(f"recorded {path.name}: review the diff")

    return check
