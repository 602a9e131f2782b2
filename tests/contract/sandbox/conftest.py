"""A sandbox with real processes."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from taskrunner.sandbox.launcher import ForkedSandbox
from tests.contract.sandbox.attempt import HOSTILE_EXECUTORS, Attempt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ForkedSandbox]:
    with closing(ForkedSandbox(HOSTILE_EXECUTORS)) as sandbox:
        yield sandbox


@pytest.fixture
def attempt(sandbox: ForkedSandbox, tmp_path: Path) -> Attempt:
    return Attempt(sandbox, tmp_path)
