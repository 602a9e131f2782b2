"""Executor functions: those of this account's Lambda functions whose names begin with a prefix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own name for it
    HTTPClientError,
    IncompleteReadError,
)

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.errors import TryAgainError
from taskrunner.executors.work import ExecutorFailure
from taskrunner.model.json_types import unusable

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json, JsonObject

# Lambda ends whoever calls us after 900 s; the rest is for recording that no answer came.
READ_TIMEOUT_S: Final = 870
_MAX_BYTES: Final = 6 * 1024 * 1024
# It is cut once it is redacted, and not before: in half a secret nobody finds the whole.
_MAX_MESSAGE: Final = 64 * 1024
_ABSENT: Final = frozenset({"AccessDeniedException", "ResourceNotFoundException"})
_LATER: Final = frozenset(
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
_BROKEN: Final = frozenset(
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
    """`usecases.ports.Functions`. *client* must not try again by itself: it would call twice."""

    def __init__(self, client: Any, prefix: str) -> None:  # noqa: ANN401 - boto3 has no static types
        """Hold the client; nothing is called yet."""
        self._client = client
        self._prefix = prefix

    def invoke(self, name: str, payload: JsonObject) -> Json:
        """See the port."""
        request = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        if len(request) > _MAX_BYTES:
            raise _too_large(name, len(request))
        content, has_failed = self._answer(name, request)
        try:
            answer = json.loads(content)
            problem = next((why for _, why in unusable(answer)), None)
        except (ValueError, RecursionError) as error:
            answer, problem = None, type(error).__name__
        if has_failed:
            raise ExecutorFailure(f"the function '{name}' failed: {_failure(answer)}")
        if problem is not None:
            raise ExecutorFailure(f"the function '{name}' answered what is no JSON: {problem}")
        return answer

    def _answer(self, name: str, request: bytes) -> tuple[bytes, bool]:
        """What the function answered, and whether that is an error of it."""
        try:
            with translated("call the function"):
                try:
                    answer = self._client.invoke(FunctionName=self._prefix + name, Payload=request)
                    return answer["Payload"].read(), "FunctionError" in answer
                except ConnectionError:
                    raise  # nobody was reached, so nothing was called
                except (HTTPClientError, IncompleteReadError):
                    message = (
                        f"the function '{name}' was called and did not answer within "
                        f"{READ_TIMEOUT_S} s; nobody knows what it has done"
                    )
                    raise ExecutorFailure(message) from None
        except ClientError as error:
            meaning = self._meaning(name, code(error), len(request))
            if meaning is None:
                raise
            raise meaning from error

    def _meaning(self, name: str, what: str, size: int) -> Exception | None:
        """What Lambda's refusal means, or None when it is not known here."""
        if what in _LATER:
            return TryAgainError(f"AWS could not call the function now: {what}")
        if what in _ABSENT:
            return ExecutorFailure(
                f"there is no executor function '{name}' in this deployment; "
                f"its name in AWS would be {self._prefix}{name}"
            )
        if what in _BROKEN:
            return ExecutorFailure(f"the function '{name}' cannot be started: {what}")
        if what == "RequestTooLargeException":
            return _too_large(name, size)
        return None


def _too_large(name: str, size: int) -> ExecutorFailure:
    return ExecutorFailure(
        f"the function '{name}' would be given {size} bytes, and Lambda takes {_MAX_BYTES}"
    )


def _failure(answer: Json) -> str:
    """How Lambda reports what a function raised: `<type>: <message>`."""
    told = answer if isinstance(answer, dict) else {}
    words = (told.get("errorType"), told.get("errorMessage"))
    text = ": ".join(str(word) for word in words if word) or "it gave no reason"
    if len(text) > _MAX_MESSAGE:
        return f"for a reason of {len(text)} characters, which are too many to tell"
    # A lone surrogate has no place in a log.
    return text.encode(errors="replace").decode()
