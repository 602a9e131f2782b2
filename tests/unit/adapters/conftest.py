from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.adapters.key_server import KeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(name="server")
def _server() -> Iterator[KeyServer]:
    server = KeyServer()
    yield server
    server.close()
