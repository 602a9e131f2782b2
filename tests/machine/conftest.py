"""The engine that machine tests run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.machine.engine import Client, Engine
from tests.machine.engine import engine as made_engine

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(name="engine")
def _engine() -> Iterator[Engine]:
    with made_engine() as engine:
        yield engine


@pytest.fixture(name="ana")
def _ana(engine: Engine) -> Client:
    return engine.client(subject="ana")


@pytest.fixture(name="bob")
def _bob(engine: Engine) -> Client:
    return engine.client(subject="bob")
