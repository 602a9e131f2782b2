"""moto's executions of state machines, which can be stopped as soon as they are started.

All states of a service share a client, each path is parsed once, and functions are called without a
request. moto would make a client for each call and build a parser for each path, which takes longer
than the call does.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import jsonpath_ng.ext.parser
import jsonpath_ng.parser
import pytest
from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.utils import boto_client, json_path
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_TO_BEGIN_S = 120.0
_LOOK_S = 0.001
_MOST_ANSWERED_BYTES = 5_999_900  # moto makes an error of a little more
_invoke_by_moto: Any = lambda_eval_utils._invoke_lambda_function
_stop_by_moto: Any = ExecutionWorker.stop


@contextmanager
def stoppable_executions() -> Iterator[None]:
    """Let a stop wait for the beginning of the execution's thread; moto alone fails before it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExecutionWorker, "stop", _stop_once_begun)
        patch.setattr(json_path, "parse", lru_cache(maxsize=4096)(jsonpath_ng.ext.parser.parse))
        patch.setattr(result_path, "parse", lru_cache(maxsize=4096)(jsonpath_ng.parser.parse))
        patch.setattr(boto_client, "boto3", SimpleNamespace(client=_kept_clients()))
        patch.setattr(lambda_eval_utils, "_invoke_lambda_function", _invoke)
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


def _invoke(parameters: dict[str, Any], region: str, state_credentials: Any) -> Any:  # noqa: ANN401 - moto's own
    """Call a function as `Invoke` does, and return what a state takes from the answer."""
    if parameters.keys() != {"FunctionName", "Payload"}:
        return _invoke_by_moto(parameters, region, state_credentials)
    functions: Any = get_backend(DEFAULT_ACCOUNT_ID, region)
    name, event, headers = parameters["FunctionName"], parameters["Payload"], dict[str, str]()
    try:
        payload = functions.invoke(name, None, event, {}, headers)
    except UnknownFunctionException:  # the request makes an error of it
        return _invoke_by_moto(parameters, region, state_credentials)
    assert isinstance(payload, bytes)
    assert len(payload) <= _MOST_ANSWERED_BYTES, "moto would refuse so large an answer"
    answer = {"StatusCode": 200, "Payload": lambda_eval_utils._from_payload(BytesIO(payload))}
    error = headers.get("x-amz-function-error")
    return answer | ({"FunctionError": error} if error else {})


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
