"""Run MiniStack with corrections, so that a throttled or failed function has AWS's consequences.

Without them nothing throttles a version of a function, a throttled gate never opens, a client does
not learn when to retry, and lanes that are throttled together stay together. A Map would run all
items at a time where its input says how many. A function also does not learn the address that its
client used, with which the URLs in its responses begin. A stream's function would be called for
nearly every record, while the functions run that write the next ones. Each call of a function would
wait for 90 ms. The corrections replace private functions of MiniStack, so its version is pinned;
tests/stack/test_throttles.py, test_runs.py, test_events.py and test_function_errors.py test them.

`emulator.start` runs this file in the emulator's environment, so it imports nothing of the project.
"""

import contextlib
import fcntl
import json
import os
import random
import runpy
import select
import sys
import termios
import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core.lambda_runtime import ProvidedWorker
from ministack.services import apigateway_v1, lambda_svc, stepfunctions

_throttle = lambda_svc._throttle_response
_reserved_concurrency = lambda_svc._reserved_concurrency
_call_lambda = stepfunctions._call_lambda
_wait_for_token = stepfunctions._invoke_with_callback
_find_retrier = stepfunctions._find_matching_retrier
_execute_map = stepfunctions._execute_map
_call_proxy = apigateway_v1._invoke_lambda_proxy_v1
_build_event = apigateway_v1._build_lambda_event_v1
_poll_streams = lambda_svc._poll_dynamodb_streams
_filter_records = lambda_svc._apply_filter_criteria
_build_runtime_handler = ProvidedWorker._build_handler_class

_MOST_TO_READ_S = 0.25  # as MiniStack's most for a log
_LOOK_S = 0.0005
_BLOCK_BYTES = 65536

_task = threading.local()  # `token`: what the callback task of this thread waits for
_stream = threading.local()  # of the thread that reads streams; see poll_streams


def throttle_response(reason_code: str, msg: str, retry_after: int = 1) -> dict[str, Any]:
    """Give a throttle the name that Step Functions gives it, instead of Lambda.Unknown."""
    refusal: dict[str, Any] = _throttle(reason_code, msg, retry_after)
    refusal["body"]["errorType"] = "Lambda.TooManyRequestsException"
    return refusal


def reserved_concurrency(called: dict[str, Any], config: dict[str, Any]) -> int | None:
    """Return what is reserved for the function of a version, which shares it with all versions.

    MiniStack looks for it in the record of the version, which has none.
    """
    function = lambda_svc._functions.get(config.get("FunctionName"))
    reserved: int | None = _reserved_concurrency(function or called, config)
    return reserved


def build_event(api_id: str, *request: Any, **more: Any) -> dict[str, Any]:
    """Give a proxy event the path that the client sent, and its scheme.

    MiniStack's `requestContext.path` begins with the stage, but the URLs of the local stack name
    the API before it.
    """
    event: dict[str, Any] = _build_event(api_id, *request, **more)
    if ".execute-api." not in event["headers"].get("host", ""):
        context = event["requestContext"]
        context["path"] = f"/_aws/execute-api/{api_id}{context['path']}"
    event["headers"]["x-forwarded-proto"] = "http"
    event["multiValueHeaders"]["x-forwarded-proto"] = ["http"]
    return event


async def call_proxy(*integration: Any, **more: Any) -> Any:
    """Answer a throttle of Lambda with the gateway response INTEGRATION_FAILURE.

    MiniStack does that for integrations without a proxy, and sends Lambda's 429 for the others.
    """
    answer = await _call_proxy(*integration, **more)
    if not isinstance(answer, apigateway_v1._GatewayError) and _is_throttle(answer):
        return apigateway_v1._gw_error("INTEGRATION_FAILURE", "Internal server error")
    return answer


def _is_throttle(answer: tuple[int, dict[str, Any], bytes]) -> bool:
    """Return whether Lambda made the answer; a function may answer 429 as well."""
    status, _, body = answer
    if status != HTTPStatus.TOO_MANY_REQUESTS:
        return False
    return bool(json.loads(body).get("__type") == "TooManyRequestsException")


def wait_for_token(resource: str, task_input: Any, token: str, state: dict[str, Any]) -> Any:
    """Wait until a token comes back, or until the function that received it fails."""
    _task.token = token
    try:
        return _wait_for_token(resource, task_input, token, state)
    finally:
        del _task.token


def call_lambda(function: str, event: Any) -> Any:
    """Call a function, and fail the task that waits for its token if the function fails."""
    try:
        return _call_lambda(function, event)
    except stepfunctions._ExecutionError as error:
        task = stepfunctions._task_tokens.get(getattr(_task, "token", None))
        if task is not None and not task["event"].is_set():
            task["error"] = {"Error": error.error, "Cause": error.cause}
            task["event"].set()
        raise


def find_retrier(
    retriers: list[dict[str, Any]], error: str, counts: dict[int, int]
) -> tuple[dict[str, Any] | None, int]:
    """Return the retrier for an error, with the delay that MaxDelaySeconds and JitterStrategy give.

    MiniStack ignores both fields.
    """
    retrier, index = _find_retrier(retriers, error, counts)
    if retrier is None:
        return None, index
    growth = retrier.get("BackoffRate", 2.0) ** counts.get(index, 0)
    delay_s = retrier.get("IntervalSeconds", 1) * growth
    delay_s = min(delay_s, retrier.get("MaxDelaySeconds", delay_s))
    if retrier.get("JitterStrategy") == "FULL":
        delay_s = random.uniform(0, delay_s)  # noqa: S311 -- no secret
    return {**retrier, "IntervalSeconds": delay_s, "BackoffRate": 1}, index


def execute_map(state: dict[str, Any], state_input: Any, *execution: Any) -> Any:
    """Run as many items of a Map at a time as MaxConcurrencyPath says, which MiniStack ignores."""
    if path := state.get("MaxConcurrencyPath"):
        state = {**state, "MaxConcurrency": stepfunctions._resolve_path(path, state_input)}
    return _execute_map(state, state_input, *execution)


def filter_records(records: list[Any], mapping: dict[str, Any]) -> list[Any]:
    """Note whether *records*, which were read for an event source *mapping*, are a full batch."""
    _stream.is_behind = len(records) >= mapping.get("BatchSize", 100)
    filtered: list[Any] = _filter_records(records, mapping)
    return filtered


def poll_streams() -> bool:
    """Read the tables' streams once a second, and at once after a full batch.

    Return whether there was one. MiniStack reads a stream after each write, and ignores the second
    for which a mapping gathers records (MaximumBatchingWindowInSeconds in the template).
    """
    if time.monotonic() < getattr(_stream, "closed_until", 0):
        return False
    _stream.is_behind = False
    if not _poll_streams():
        return False
    if not _stream.is_behind:
        _stream.closed_until = time.monotonic() + 1
    return bool(_stream.is_behind)


def build_runtime_handler(worker: ProvidedWorker, *generation: Any) -> type[Any]:
    """Send a function its event at once.

    MiniStack writes the head and the body apart. The kernel would keep the body until the head is
    acknowledged, which takes 40 ms. So both are sent in one packet if they fit, and else at once.
    """
    handler: type[Any] = _build_runtime_handler(worker, *generation)
    handler.wbufsize = -1
    handler.disable_nagle_algorithm = True
    return handler


def pump_output(_: ProvidedWorker, stream: Any, lines: Any) -> None:
    """Queue what a function logs, until it ends. A queue that is full loses its oldest *lines*.

    A line leaves the function's pipe and enters the queue while the queue is locked. So if the pipe
    is empty, the queue has every line once it can be locked.
    """
    readable = select.poll()
    readable.register(stream, select.POLLIN)
    data, rest = b"-", b""
    with stream, contextlib.suppress(OSError, ValueError):
        while data:
            readable.poll()
            with lines.mutex:
                data = os.read(stream.fileno(), _BLOCK_BYTES)
                *whole, rest = (rest + data).split(b"\n")
                whole += [rest] if rest and not data else []
                texts = (line.decode(errors="replace").rstrip("\r") for line in whole)
                lines.queue.extend(texts)
                while len(lines.queue) > lines.maxsize:
                    lines.queue.popleft()


def drain_log(worker: ProvidedWorker, first_line_wait: float = _MOST_TO_READ_S) -> str:
    """Return what a function has logged in a call.

    MiniStack waits for a first line for 50 ms, and for another one for 5 ms. But a function has
    written all of them before its answer. So this waits only while its pipe holds something. A last
    line without an end is missing until the function's process has ended.
    """
    deadline = time.monotonic() + first_line_wait
    while _has_unread_output(worker) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    lines = worker._stderr_queue
    with lines.mutex:
        text = "\n".join(lines.queue)
        lines.queue.clear()
    return text


def _has_unread_output(worker: ProvidedWorker) -> bool:
    try:
        found = fcntl.ioctl(worker._proc.stdout, termios.FIONREAD, bytes(4))
    except (AttributeError, OSError, ValueError):  # the process has ended
        return False
    return int.from_bytes(found, sys.byteorder) > 0


if __name__ == "__main__":
    lambda_svc._throttle_response = throttle_response
    lambda_svc._reserved_concurrency = reserved_concurrency
    apigateway_v1._invoke_lambda_proxy_v1 = call_proxy
    apigateway_v1._build_lambda_event_v1 = build_event
    stepfunctions._invoke_with_callback = wait_for_token
    stepfunctions._call_lambda = call_lambda
    stepfunctions._find_matching_retrier = find_retrier
    stepfunctions._execute_map = execute_map
    lambda_svc._poll_dynamodb_streams = poll_streams
    lambda_svc._apply_filter_criteria = filter_records
    ProvidedWorker._build_handler_class = build_runtime_handler
    ProvidedWorker._pump_output = pump_output
    ProvidedWorker._drain_stderr_bounded = drain_log
    for name in ("emulator_idle.py", "emulator_speed.py", "emulator_starts.py"):
        runpy.run_path(str(Path(__file__).with_name(name)))["install"]()
    app.main()
