"""Run MiniStack, with its answers for a function that is refused or fails corrected to AWS's.

The emulator's environment executes this file on its own (`emulator.start`), so it imports nothing
of the project. Without the corrections a throttled function would lose what called it: a gate would
never open, a client would not know when to come back, and lanes that were throttled together would
be throttled together again. Each correction names the behaviour of AWS that it follows;
tests/stack/test_throttles.py shows them.
"""

import json
import random
import threading
from typing import Any

from ministack import app
from ministack.services import apigateway_v1, lambda_svc, stepfunctions

_throttle = lambda_svc._throttle_response  # noqa: SLF001
_call_lambda = stepfunctions._call_lambda  # noqa: SLF001
_wait_for_token = stepfunctions._invoke_with_callback  # noqa: SLF001
_find_retrier = stepfunctions._find_matching_retrier  # noqa: SLF001
_call_proxy = apigateway_v1._invoke_lambda_proxy_v1  # noqa: SLF001

_task = threading.local()  # its `token` is the one that this thread's callback task waits for


def throttle_response(reason_code: str, msg: str, retry_after: int = 1) -> dict[str, Any]:
    """Name a refusal for state machines as Step Functions does: Lambda.TooManyRequestsException."""
    refusal: dict[str, Any] = _throttle(reason_code, msg, retry_after)
    refusal["body"]["errorType"] = "Lambda.TooManyRequestsException"
    return refusal


async def call_proxy(*integration: Any, **more: Any) -> Any:  # noqa: ANN401
    """Answer for a throttled function with the gateway response INTEGRATION_FAILURE.

    MiniStack hands Lambda's own 429 to the client. Its integrations without a proxy follow AWS.
    """
    answer = await _call_proxy(*integration, **more)
    if not isinstance(answer, apigateway_v1._GatewayError) and _is_throttle(answer):  # noqa: SLF001
        return apigateway_v1._gw_error("INTEGRATION_FAILURE", "Internal server error")  # noqa: SLF001
    return answer


def _is_throttle(answer: tuple[int, dict[str, Any], bytes]) -> bool:
    """Whether *answer* is Lambda's and not the function's, which may answer 429 itself."""
    status, _, body = answer
    if status != 429:  # noqa: PLR2004 -- HTTP's own number
        return False
    document = json.loads(body)
    return bool(document.get("__type") == "TooManyRequestsException")


def wait_for_token(resource: str, task_input: Any, token: str, state: dict[str, Any]) -> Any:  # noqa: ANN401
    """Fail a task that waits for its token when the function that takes the token fails."""
    _task.token = token
    try:
        return _wait_for_token(resource, task_input, token, state)
    finally:
        del _task.token


def call_lambda(function: str, event: Any) -> Any:  # noqa: ANN401
    """Call a function for a state machine; MiniStack ignores an error where a token is awaited."""
    try:
        return _call_lambda(function, event)
    except stepfunctions._ExecutionError as error:  # noqa: SLF001
        task = stepfunctions._task_tokens.get(getattr(_task, "token", None))  # noqa: SLF001
        if task is not None and not task["event"].is_set():
            task["error"] = {"Error": error.error, "Cause": error.cause}
            task["event"].set()
        raise


def find_retrier(
    retriers: list[dict[str, Any]], error: str, counts: dict[int, int]
) -> tuple[dict[str, Any] | None, int]:
    """Obey MaxDelaySeconds and JitterStrategy, which MiniStack does not know."""
    retrier, index = _find_retrier(retriers, error, counts)
    if retrier is None:
        return None, index
    delay_s = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** counts.get(
        index, 0
    )
    delay_s = min(delay_s, retrier.get("MaxDelaySeconds", delay_s))
    if retrier.get("JitterStrategy") == "FULL":
        delay_s = random.uniform(0, delay_s)  # noqa: S311 -- no secret
    return {**retrier, "IntervalSeconds": delay_s, "BackoffRate": 1}, index


if __name__ == "__main__":
    lambda_svc._throttle_response = throttle_response  # noqa: SLF001
    apigateway_v1._invoke_lambda_proxy_v1 = call_proxy  # noqa: SLF001
    stepfunctions._invoke_with_callback = wait_for_token  # noqa: SLF001
    stepfunctions._call_lambda = call_lambda  # noqa: SLF001
    stepfunctions._find_matching_retrier = find_retrier  # noqa: SLF001
    app.main()
