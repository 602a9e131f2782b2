"""`pytest --record` rewrites the golden files of tests/golden instead of comparing with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option here, because only the topmost conftest is read before the options."""
    parser.addoption(
        "--record",
        action="store_true",
        help="write the golden files anew; the run then fails, so that CI never records",
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
