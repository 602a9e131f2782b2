"""moto's executions of state machines, which can be stopped as soon as they are started.

All states of a service share a client, and each path is parsed once. moto would make a client for
each call and build a parser for each path, which takes longer than the call does.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import jsonpath_ng.ext.parser
import jsonpath_ng.parser
import pytest
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.utils import boto_client, json_path
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
        patch.setattr(json_path, "parse", lru_cache(maxsize=4096)(jsonpath_ng.ext.parser.parse))
        patch.setattr(result_path, "parse", lru_cache(maxsize=4096)(jsonpath_ng.parser.parse))
        patch.setattr(boto_client, "boto3", SimpleNamespace(client=_kept_clients()))
        yield


def _kept_clients() -> Any:  # noqa: ANN401 - a function that takes what boto3's does
    """Return a `boto3.client` that makes one client of each service in a Region."""

    kept: dict[tuple[str, str], Any] = {}

    def client(*, service_name: str, region_name: str, **of_states: Any) -> Any:  # noqa: ANN401 - boto3 is untyped
        key = (service_name, region_name)
        if key not in kept:
            kept[key] = boto3.client(service_name, region_name, **of_states)
        return kept[key]

    return client


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
