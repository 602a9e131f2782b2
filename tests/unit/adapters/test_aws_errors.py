from __future__ import annotations

import botocore.exceptions
import pytest

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.errors import TryAgainError


def an_error(name: str, message: str = "arn:aws:secret") -> botocore.exceptions.ClientError:
    return botocore.exceptions.ClientError({"Error": {"Code": name, "Message": message}}, "Put")


@pytest.mark.parametrize(
    "name",
    [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
        "InternalServerError",
        "SlowDown",
        "ServiceUnavailable",
        "ExecutionLimitExceeded",
        "StateMachineLimitExceeded",
        "KMSInternalException",
        "DependencyTimeoutException",
        "KeyUnavailableException",
    ],
)
def test_translates_a_passing_error(name: str) -> None:
    with (
        pytest.raises(TryAgainError, match=f"AWS could not write now: {name}") as caught,
        translated("write"),
    ):
        raise an_error(name)

    assert "arn" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"),
        botocore.exceptions.ConnectTimeoutError(endpoint_url="http://x"),
        botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"),
        botocore.exceptions.ConnectionClosedError(endpoint_url="http://x"),
        botocore.exceptions.HTTPClientError(error="x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_translates_a_connection_error(error: Exception) -> None:
    with (
        pytest.raises(TryAgainError, match="AWS could not be reached to write"),
        translated("write"),
    ):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        an_error("ValidationException"),
        an_error("AccessDeniedException"),
        an_error("ConditionalCheckFailedException"),
        an_error("TransactionCanceledException"),
        an_error("ResourceNotFoundException"),
        botocore.exceptions.NoCredentialsError(),
        botocore.exceptions.ParamValidationError(report="x"),
        KeyError("x"),
    ],
    ids=repr,
)
def test_does_not_translate_other_errors(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, translated("write"):
        raise error

    assert caught.value is error


def test_does_nothing_without_an_error() -> None:
    with translated("write"):
        completed = True

    assert completed


@pytest.mark.parametrize(
    ("response", "name"),
    [({"Error": {"Code": "SlowDown"}}, "SlowDown"), ({}, ""), ({"Error": {}}, "")],
)
def test_code_is_awss_name_of_the_error(response: dict[str, dict[str, str]], name: str) -> None:
    assert code(botocore.exceptions.ClientError(response, "Put")) == name
