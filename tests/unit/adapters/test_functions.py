"""What Lambda's answers and refusals mean, and that nothing is ever called twice."""

from __future__ import annotations

import io
import json
import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from taskrunner.adapters.functions import READ_TIMEOUT_S, LambdaFunctions
from taskrunner.bootstrap import AwsWorld
from taskrunner.errors import TryAgainError
from taskrunner.executors.work import ExecutorFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.json_types import Json

URL = "https://lambda.example.com"


@dataclass
class Lambda:
    """A client of Lambda that answers *answer*, or raises it."""

    answer: Any
    error: str | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)

    def invoke(self, **request: Any) -> dict[str, Any]:  # noqa: ANN401
        self.calls.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        is_raw = isinstance(self.answer, bytes)
        content = self.answer if is_raw else json.dumps(self.answer).encode()
        failed = {} if self.error is None else {"FunctionError": self.error}
        return {"StatusCode": 200, "Payload": io.BytesIO(content), **failed}

    def asked(self, payload: Json = None) -> Json:
        return LambdaFunctions(self, "stack-executor-").invoke("window", payload or {})


def failure(client: Lambda, payload: Json = None) -> str:
    with pytest.raises(ExecutorFailure) as failed:
        client.asked(payload)
    return str(failed.value)


def refused(code: str) -> Lambda:
    error = {"Error": {"Code": code, "Message": "arn:aws:lambda:x is not for you"}}
    return Lambda(botocore.exceptions.ClientError(error, "Invoke"))


def test_a_function_is_called_by_its_prefix_and_nothing_of_it_is_logged() -> None:
    client = Lambda({"passed": True})

    assert client.asked({"with": "☃"}) == {"passed": True}
    assert client.calls == [
        {"FunctionName": "stack-executor-window", "Payload": '{"with":"☃"}'.encode()}
    ]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"errorType": "KeyError", "errorMessage": "'x'", "stackTrace": ["..."]}, "KeyError: 'x'"),
        ({"errorMessage": "Task timed out after 3 seconds"}, "Task timed out after 3 seconds"),
        ({}, "it gave no reason"),
        ("text", "it gave no reason"),
        (b"no json", "it gave no reason"),
        ({"errorType": "E", "errorMessage": "\ud800!"}, "E: ?!"),
    ],
)
def test_a_function_that_fails_is_told_as_lambda_reports_it(answer: Any, told: str) -> None:  # noqa: ANN401
    client = Lambda(answer, error="Unhandled")

    assert failure(client) == f"the function 'window' failed: {told}"


def test_what_a_failing_function_says_is_bounded() -> None:
    client = Lambda({"errorType": "E", "errorMessage": "x" * 1_000_000}, error="Unhandled")

    assert len(failure(client)) < 70_000


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"NaN", b'"\\ud800"', b"[" * 5000 + b"]" * 5000]
)
def test_an_answer_that_is_no_json_is_a_failure(content: bytes) -> None:
    assert failure(Lambda(content)).startswith("the function 'window' answered what is no JSON: ")


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_a_function_that_is_not_there_is_told_with_the_name_it_needs(code: str) -> None:
    told = failure(refused(code))

    assert told == (
        "there is no executor function 'window' in this deployment; "
        "its name in AWS would be stack-executor-window"
    )


@pytest.mark.parametrize("code", ["KMSDisabledException", "InvalidZipFileException"])
def test_a_function_that_cannot_be_started_is_told_with_the_reason(code: str) -> None:
    assert failure(refused(code)) == f"the function 'window' cannot be started: {code}"


def test_more_than_lambda_takes_is_not_sent() -> None:
    client = Lambda({})

    assert "would be given 7000010 bytes" in failure(client, {"with": "x" * 6_999_999})
    assert client.calls == []


def test_what_lambda_finds_too_large_is_told_too() -> None:
    assert "Lambda takes 6291456" in failure(refused("RequestTooLargeException"))


@pytest.mark.parametrize(
    "code", ["TooManyRequestsException", "ServiceException", "EC2ThrottledException"]
)
def test_a_call_that_was_not_made_may_be_made_again(code: str) -> None:
    with pytest.raises(TryAgainError):
        refused(code).asked()


@pytest.mark.parametrize(
    "error",
    [
        botocore.exceptions.EndpointConnectionError(endpoint_url=URL),
        botocore.exceptions.ConnectTimeoutError(endpoint_url=URL),
    ],
)
def test_whom_nobody_reached_may_be_called_again(error: Exception) -> None:
    with pytest.raises(TryAgainError):
        Lambda(error).asked()


@pytest.mark.parametrize(
    "error",
    [
        botocore.exceptions.ReadTimeoutError(endpoint_url=URL),
        botocore.exceptions.ConnectionClosedError(endpoint_url=URL),
        botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
)
def test_whoever_was_called_and_did_not_answer_is_not_called_again(error: Exception) -> None:
    assert "was called and did not answer within 870 s" in failure(Lambda(error))


def test_what_is_not_known_passes_untouched() -> None:
    with pytest.raises(botocore.exceptions.ClientError):
        refused("InvalidParameterValueException").asked()


class TestTheClient:
    """The client that the deployment makes."""

    @pytest.fixture(name="config")
    def _config(self, monkeypatch: pytest.MonkeyPatch) -> Config:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        return AwsWorld({"EXECUTOR_PREFIX": "stack-executor-"}).functions._client.meta.config

    def test_waits_nearly_as_long_as_lambda_lets_it(self, config: Any) -> None:  # noqa: ANN401
        assert config.read_timeout == READ_TIMEOUT_S == 870
        assert config.connect_timeout == 3

    def test_does_not_call_again_by_itself(self, config: Any) -> None:  # noqa: ANN401
        impatient = config.merge(Config(read_timeout=0.2))
        with silent_server() as (url, requests):
            client = boto3.client("lambda", endpoint_url=url, config=impatient)
            with pytest.raises(ExecutorFailure, match="was called and did not answer"):
                LambdaFunctions(client, "").invoke("window", {})

        assert requests == ["POST"]


@contextmanager
def silent_server() -> Iterator[tuple[str, list[str]]]:
    """Takes requests and never answers; the methods of those that came."""
    requests: list[str] = []
    over = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            requests.append(self.rfile.readline().split()[0].decode())
            over.wait(10)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
        over.set()
        server.shutdown()
        thread.join()
