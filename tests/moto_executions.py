"""moto's executions of state machines, which can be stopped as soon as they are started."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_TO_BEGIN_S = 120.0
_LOOK_S = 0.001
_stop_by_moto: Any = ExecutionWorker.stop


@contextmanager
def stoppable_executions() -> Iterator[None]:
    """Let a stop wait for the beginning of the execution's thread; moto alone fails before it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExecutionWorker, "stop", _stop_once_begun)
        yield


def _stop_once_begun(
    worker: Any,  # noqa: ANN401 - moto's own
    stop_date: Any,  # noqa: ANN401 - moto's own
    error: str | None,
    cause: str | None,
) -> None:
    deadline = time.monotonic() + _MOST_TO_BEGIN_S
    while worker.env is None and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    _stop_by_moto(worker, stop_date=stop_date, error=error, cause=cause)
