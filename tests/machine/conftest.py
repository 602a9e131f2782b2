"""A fresh engine for each machine test, and two callers of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.machine.engine import engine as fresh_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.machine.client import Client
    from tests.machine.engine import Engine


@pytest.fixture(name="engine")
def _engine() -> Iterator[Engine]:
    with fresh_engine() as engine:
        yield engine


@pytest.fixture(name="ana")
def _ana(engine: Engine) -> Client:
    return engine.client(subject="ana")


@pytest.fixture(name="bob")
def _bob(engine: Engine) -> Client:
    return engine.client(subject="bob")
