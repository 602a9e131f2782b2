"""The play, once for all tests that look at what came of it."""

from __future__ import annotations

import pytest

from tests.security.permissions.covering import Play, play


@pytest.fixture(name="played", scope="session")
def _played() -> Play:
    return play()
