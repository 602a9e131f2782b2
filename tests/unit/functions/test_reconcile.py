from __future__ import annotations

import logging
from typing import Any

from functions.reconcile.app import handler
from taskrunner.adapters.logs import logger
from taskrunner.usecases.cancel_run import cancel_run
from tests.unit.usecases.scenarios import TENANT, a_world


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_reports_how_much_was_taken_up() -> None:
    world = a_world()
    cancel_run(TENANT, "run-7", "bob", world)
    world.clock.advance(61)

    assert handler({}, None, world=world) == {"taken": 1, "failed": 0}


def test_logs_each_item_that_failed() -> None:
    world = a_world()
    cancel_run(TENANT, "run-7", "bob", world)
    world.clock.advance(61)

    def refuse(*_: object) -> None:
        raise PermissionError("settle_run")

    world.settlements.request = refuse  # type: ignore[method-assign, assignment]
    kept = Records()
    logger.addHandler(kept)
    try:
        answer = handler({}, None, world=world)
    finally:
        logger.removeHandler(kept)

    assert answer == {"taken": 1, "failed": 1}
    (record,) = kept.records
    assert (record.kind, record.tenant, record.run, record.reason) == (
        "ended",
        TENANT,
        "run-7",
        "PermissionError",
    )
