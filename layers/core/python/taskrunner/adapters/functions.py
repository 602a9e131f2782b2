"""Executor functions: the Lambda functions of this account whose names begin with a prefix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own name for it
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
)

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.errors import TryAgainError
from taskrunner.executors.work import AnswerLost, ExecutorFailure
from taskrunner.model import json_path, json_types

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.json_types import Json, JsonObject

# Lambda ends the calling function after 900 s. The rest is for recording that no answer came.
READ_TIMEOUT_S: Final = 870
# An older connection may be dead: Lambda freezes an environment between two calls, and then neither
# the end of a connection nor a lost one is noticed. A request on it would count as a call.
MAX_IDLE_S: Final = 10
_MAX_PAYLOAD_BYTES: Final = 6 * 1024 * 1024
# A shorter message is not cut here, but after it is redacted: part of a secret would not be found.
_MAX_MESSAGE_CHARACTERS: Final = 64 * 1024
# Lambda's error codes by their meaning: no such function, too busy now, the function cannot start.
_MISSING_CODES: Final = frozenset({"AccessDeniedException", "ResourceNotFoundException"})
_LATER_CODES: Final = frozenset(
    {
        "EC2ThrottledException",
        "EC2UnexpectedException",
        "ENILimitReachedException",
        "ResourceConflictException",
        "ResourceNotReadyException",
        "ServiceException",
        "SnapStartNotReadyException",
        "SubnetIPAddressLimitReachedException",
    }
)
_BROKEN_CODES: Final = frozenset(
    {
        "EC2AccessDeniedException",
        "EFSIOException",
        "EFSMountConnectivityException",
        "EFSMountFailureException",
        "EFSMountTimeoutException",
        "InvalidRuntimeException",
        "InvalidSecurityGroupIDException",
        "InvalidSubnetIDException",
        "InvalidZipFileException",
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "SnapStartException",
        "SnapStartTimeoutException",
    }
)


class LambdaFunctions:
    """`ports.Functions`. *client* must not retry, or a function would be invoked twice.

    *now_s* returns the wall clock's seconds, because a monotonic clock may stand still in a freeze.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 has no static types
        prefix: str,
        now_s: Callable[[], float],
    ) -> None:
        """Call nothing yet."""
        self._client = client
        self._prefix = prefix
        self._now_s = now_s
        self._used_at_s: float | None = None

    def invoke(self, name: str, payload: JsonObject) -> Json:
        """See the port."""
        request = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        if len(request) > _MAX_PAYLOAD_BYTES:
            raise _too_large(name, len(request))
        content, has_failed = self._answer(name, request)
        try:
            answer = json_types.read(content.decode())
            problem = _problem(answer)
        except UnicodeDecodeError:
            answer, problem = None, "it is not UTF-8"
        except ValueError as error:
            answer, problem = None, str(error)
        except RecursionError:
            answer, problem = None, "it is nested too deeply"
        if has_failed:
            raise ExecutorFailure(f"the function '{name}' failed: {_failure(answer)}")
        if problem is not None:
            raise ExecutorFailure(f"the function '{name}' answered with invalid JSON: {problem}")
        return answer

    def _answer(self, name: str, request: bytes) -> tuple[bytes, bool]:
        """Return the function's answer, and whether the answer reports a failure."""
        self._close_idle_connections()
        try:
            with translated("call the function"):
                try:
                    answer = self._client.invoke(FunctionName=self._prefix + name, Payload=request)
                    return answer["Payload"].read(), "FunctionError" in answer
                except ConnectionError:
                    raise  # AWS was not reached, so nothing was invoked
                except ReadTimeoutError:
                    message = (
                        f"the function '{name}' was called and did not answer within "
                        f"{READ_TIMEOUT_S} s; it may have done its work"
                    )
                    raise ExecutorFailure(message) from None
                except (HTTPClientError, IncompleteReadError):
                    message = (
                        f"the function '{name}' was called and did not answer, because the "
                        "connection was lost; it may have done its work"
                    )
                    raise AnswerLost(message) from None
        except ClientError as error:
            meaning = self._meaning(name, code(error), len(request))
            if meaning is None:
                raise
            raise meaning from error
        finally:
            self._used_at_s = self._now_s()

    def _close_idle_connections(self) -> None:
        """Close the connections unless they were just used; the client then opens new ones."""
        if self._used_at_s is not None and not 0 <= self._now_s() - self._used_at_s <= MAX_IDLE_S:
            self._client.close()

    def _meaning(self, name: str, error_code: str, request_bytes: int) -> Exception | None:
        """Return the error that Lambda's refusal means, or None for an unknown refusal."""
        if error_code in _LATER_CODES:
            return TryAgainError(f"AWS could not call the function now: {error_code}")
        if error_code in _MISSING_CODES:
            return ExecutorFailure(
                f"there is no executor function '{name}' in this deployment; "
                f"its name in AWS would be {self._prefix}{name}"
            )
        if error_code in _BROKEN_CODES:
            return ExecutorFailure(f"the function '{name}' cannot be started: {error_code}")
        if error_code == "RequestTooLargeException":
            return _too_large(name, request_bytes)
        return None


def _too_large(name: str, request_bytes: int) -> ExecutorFailure:
    return ExecutorFailure(
        f"the input of the function '{name}' has {request_bytes} bytes, and Lambda accepts at most "
        f"{_MAX_PAYLOAD_BYTES}"
    )


def _problem(answer: Json) -> str | None:
    """Return why *answer* cannot be kept exactly, with the first place where it cannot."""
    for path, problem in json_types.unusable(answer, "the function"):
        return f"{json_path.render(path)}: {problem}"
    return None


def _failure(answer: Json) -> str:
    """Return `<type>: <message>` of the error that a function raised, as Lambda reports it."""
    report = answer if isinstance(answer, dict) else {}
    parts = (report.get("errorType"), report.get("errorMessage"))
    text = ": ".join(str(part) for part in parts if part) or "it gave no reason"
    if len(text) > _MAX_MESSAGE_CHARACTERS:
        return f"its error message has {len(text)} characters, which are too many to record"
    # Replace lone surrogates, which UTF-8 cannot encode.
    return text.encode(errors="replace").decode()
