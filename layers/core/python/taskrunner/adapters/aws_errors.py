"""The one place that translates AWS's errors.

A throttle or a passing failure becomes TryAgainError. Every other error passes unchanged, so that a
bug looks like a bug.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own name for it
    HTTPClientError,
    IncompleteReadError,
)

from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSING: Final = frozenset(
    {
        "DependencyTimeoutException",
        "ExecutionLimitExceeded",
        "InternalServerError",
        "InternalServiceError",
        "InternalError",
        "InternalFailure",
        "KMSInternalException",
        "KeyUnavailableException",
        "KmsThrottlingException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServerException",
        "ServiceUnavailable",
        "SlowDown",
        "StateMachineLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise TryAgainError for errors that pass; *action* reads like `start the execution`."""
    try:
        yield
    except ClientError as error:
        if code(error) in _PASSING:
            raise TryAgainError(f"AWS could not {action} now: {code(error)}") from error
        raise
    except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise TryAgainError(f"AWS could not be reached to {action}") from error


def code(error: ClientError) -> str:
    """Return AWS's own name of the error."""
    return str(error.response.get("Error", {}).get("Code", ""))
