"""The fixture `world`, which runs each test over the fakes and over the adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.ports import aws, memory, moto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.ports import Ports


@pytest.fixture(name="world", scope="module", params=["memory", "aws"])
def _world(request: pytest.FixtureRequest) -> Iterator[Ports]:
    if request.param == "memory":
        yield memory()
        return
    with moto():
        yield aws()


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> None:
    if "world" in request.fixturenames:
        request.getfixturevalue("world").forget()
