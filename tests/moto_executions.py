"""moto's executions of state machines, which can be stopped as soon as they are started, and end.

None outlives the AWS that it runs on. A gate that nobody answered would run out during a later
test, and its execution would call functions and make requests that nothing answers any more.

All states of a service share a client, each path is parsed once, and functions are called without a
request. moto would make a client for each call and build a parser for each path, which takes longer
than the call does.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from io import BytesIO
from threading import Event
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
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.utils import boto_client, json_path
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.utils import TMP_THREADS

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_TO_BEGIN_S = 120.0
_MOST_TO_END_S = 120.0
_LOOK_S = 0.001
_MOST_ANSWERED_BYTES = 5_999_900  # moto makes an error of a little more
_invoke_by_moto: Any = lambda_eval_utils._invoke_lambda_function
_run_by_moto: Any = Program.eval
_start_by_moto: Any = ExecutionWorker.start
_stop_by_moto: Any = ExecutionWorker.stop


@contextmanager
def stoppable_executions() -> Iterator[None]:
    """Let a stop wait for the beginning of the execution's thread; moto alone fails before it.

    Raises:
        TimeoutError: at the end, when an execution cannot be ended.
    """
    started, is_over = list[Any](), Event()

    def start(worker: ExecutionWorker) -> None:
        started.append(worker)
        _start_by_moto(worker)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExecutionWorker, "start", start)
        patch.setattr(ExecutionWorker, "stop", _stop_once_begun)
        patch.setattr(Program, "eval", _run_unless_stopped)
        patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=is_over.wait))
        patch.setattr(json_path, "parse", lru_cache(maxsize=4096)(jsonpath_ng.ext.parser.parse))
        patch.setattr(result_path, "parse", lru_cache(maxsize=4096)(jsonpath_ng.parser.parse))
        patch.setattr(boto_client, "boto3", SimpleNamespace(client=_kept_clients()))
        patch.setattr(lambda_eval_utils, "_invoke_lambda_function", _invoke)
        try:
            yield
        finally:
            _end(started, is_over)


def _run_unless_stopped(program: Any, env: Any) -> None:  # noqa: ANN401 - moto's own
    """Run the states of a machine or of a part of it.

    moto fails if the execution is stopped just before the first one, and the states around that
    part wait for its end in vain.
    """
    try:
        _run_by_moto(program, env)
    except RuntimeError:
        if env.is_running():
            raise


def _end(workers: list[Any], is_over: Event) -> None:
    """Stop the executions, and wait until none of their threads goes on.

    A function that still runs may start another one meanwhile. moto ignores a stop before the first
    state, so each is stopped until it is.
    """
    deadline = time.monotonic() + _MOST_TO_END_S
    try:
        # A thread is in this list a little before it starts.
        while left := [each for each in TMP_THREADS if each.ident is None or each.is_alive()]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"an execution does not end: {left}")
            for worker in tuple(workers):
                if worker.env is not None:
                    _stop_by_moto(worker, datetime.now(UTC), None, None)
            is_over.set()  # no retry waits any more
            for worker in tuple(workers):
                if worker.env is not None and not worker.env.is_running():
                    _wake(worker.env)
            time.sleep(_LOOK_S)
    finally:
        is_over.set()
        TMP_THREADS.clear()


def _wake(env: Any) -> None:  # noqa: ANN401 - moto's own
    """Wake the threads of a stopped execution that wait for a time, or for a task's token."""
    env.program_state_event.set()
    for endpoint in tuple(env.callback_pool_manager._pool.values()):
        endpoint.interrupt_all()
    for frame in tuple(env._frames):
        _wake(frame)


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
