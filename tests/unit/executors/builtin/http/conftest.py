"""The servers of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.executors.builtin.http.web import Web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(name="web")
def _web(tmp_path: Path) -> Iterator[Web]:
    web = Web(tmp_path)
    yield web
    web.close()
