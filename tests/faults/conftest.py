"""One TaskRunner for the tests of a module; each play begins anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.scenarios import FUNCTIONS, SECRETS
from tests.faults.service import service as fresh_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.service import Service


@pytest.fixture(name="service", scope="module")
def _service() -> Iterator[Service]:
    with fresh_service(SECRETS, FUNCTIONS) as service:
        yield service
