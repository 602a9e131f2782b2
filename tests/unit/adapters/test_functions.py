"""LambdaFunctions interprets Lambda's answers and errors, and invokes no function twice."""

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
    """A Lambda client that returns *answer*, or raises it."""

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

    def call(self, payload: Json = None) -> Json:
        return LambdaFunctions(self, "stack_executor-").invoke("window", payload or {})


def failure(client: Lambda, payload: Json = None) -> str:
    with pytest.raises(ExecutorFailure) as failure:
        client.call(payload)
    return str(failure.value)


def client_error(code: str) -> Lambda:
    error = {"Error": {"Code": code, "Message": "arn:aws:lambda:x is not for you"}}
    return Lambda(botocore.exceptions.ClientError(error, "Invoke"))


def test_a_function_is_invoked_by_prefix_and_name() -> None:
    client = Lambda({"passed": True})

    assert client.call({"with": "☃"}) == {"passed": True}
    assert client.calls == [
        {"FunctionName": "stack_executor-window", "Payload": '{"with":"☃"}'.encode()}
    ]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"errorType": "KeyError", "errorMessage": "'x'", "stackTrace": ["..."]}, "KeyError: 'x'"),
        ({"errorMessage": "Task timed out after 3 seconds"}, "Task timed out after 3 seconds"),
        ({}, "it gave no reason"),
        ("text", "it gave no reason"),
        (b"no json", "it gave no reason"),
        ({"errorType": "E", "errorMessage": "\ud800!"}, "E: ?!"),
    ],
)
def test_the_error_of_a_function_is_reported_as_lambda_reports_it(
    answer: Any,  # noqa: ANN401 - any JSON
    message: str,
) -> None:
    client = Lambda(answer, error="Unhandled")

    assert failure(client) == f"the function 'window' failed: {message}"


def test_the_error_message_of_a_function_is_bounded() -> None:
    client = Lambda({"errorType": "E", "errorMessage": "x" * 1_000_000}, error="Unhandled")

    assert len(failure(client)) < 70_000


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "Expecting value: line 1 column 1 (char 0)"),
        (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"\xff", "it is not UTF-8"),
        (b"NaN", "NaN is not JSON"),
        (b'"\\ud800"', "$: the text holds a lone surrogate, which is not valid Unicode"),
        (b"[" * 300 + b"]" * 300, "$: it is nested deeper than 200 levels"),
        (b"[" * 50_000 + b"]" * 50_000, "it is nested too deeply"),
        (
            b'{"n": [1e400]}',
            "$.n[0]: the number 1e400 is out of range; the function must send it as text",
        ),
        (b'{"n": 9007199254740993}', "$.n: the number 9007199254740993 would be rounded to "),
        (b"0.12345678901234567890", "$: the number 0.12345678901234567890 would be rounded to "),
    ],
)
def test_an_answer_that_is_not_json_fails(content: bytes, problem: str) -> None:
    expected = f"the function 'window' answered with invalid JSON: {problem}"
    assert failure(Lambda(content)).startswith(expected)


def test_a_number_of_an_answer_has_one_form() -> None:
    answer = Lambda(b"[2.0, 2e0, 9007199254740991]").call()

    assert [str(number) for number in answer] == ["2", "2", "9007199254740991"]


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_a_function_that_does_not_exist_is_reported_with_its_name_in_aws(code: str) -> None:
    message = failure(client_error(code))

    assert message == (
        "there is no executor function 'window' in this deployment; "
        "its name in AWS would be stack_executor-window"
    )


@pytest.mark.parametrize("code", ["KMSDisabledException", "InvalidZipFileException"])
def test_a_function_that_cannot_start_is_reported_with_the_error_code(code: str) -> None:
    assert failure(client_error(code)) == f"the function 'window' cannot be started: {code}"


def test_a_payload_that_is_too_large_is_not_sent() -> None:
    client = Lambda({})

    assert "has 7000010 bytes" in failure(client, {"with": "x" * 6_999_999})
    assert client.calls == []


def test_a_payload_that_lambda_finds_too_large_is_reported() -> None:
    assert "at most 6291456" in failure(client_error("RequestTooLargeException"))


@pytest.mark.parametrize(
    "code", ["TooManyRequestsException", "ServiceException", "EC2ThrottledException"]
)
def test_an_invocation_that_lambda_refused_may_be_tried_again(code: str) -> None:
    with pytest.raises(TryAgainError):
        client_error(code).call()


@pytest.mark.parametrize(
    "error",
    [
        botocore.exceptions.EndpointConnectionError(endpoint_url=URL),
        botocore.exceptions.ConnectTimeoutError(endpoint_url=URL),
    ],
)
def test_an_invocation_that_did_not_reach_aws_may_be_tried_again(error: Exception) -> None:
    with pytest.raises(TryAgainError):
        Lambda(error).call()


@pytest.mark.parametrize(
    "error",
    [
        botocore.exceptions.ReadTimeoutError(endpoint_url=URL),
        botocore.exceptions.ConnectionClosedError(endpoint_url=URL),
        botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
)
def test_an_invocation_without_an_answer_is_not_tried_again(error: Exception) -> None:
    assert "was called and did not answer within 870 s" in failure(Lambda(error))


def test_an_unknown_client_error_is_raised_unchanged() -> None:
    with pytest.raises(botocore.exceptions.ClientError):
        client_error("InvalidParameterValueException").call()


class TestTheClient:
    """The client that the bootstrap makes."""

    @pytest.fixture(name="config")
    def _config(self, monkeypatch: pytest.MonkeyPatch) -> Config:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        return AwsWorld({"EXECUTOR_PREFIX": "stack_executor-"}).functions._client.meta.config

    def test_the_client_waits_nearly_as_long_as_a_function_may_run(self, config: Any) -> None:  # noqa: ANN401
        assert config.read_timeout == READ_TIMEOUT_S == 870
        assert config.connect_timeout == 3

    def test_the_client_does_not_retry(self, config: Any) -> None:  # noqa: ANN401
        impatient = config.merge(Config(read_timeout=0.2))
        with silent_server() as (url, requests):
            client = boto3.client("lambda", endpoint_url=url, config=impatient)
            with pytest.raises(ExecutorFailure, match="was called and did not answer"):
                LambdaFunctions(client, "").invoke("window", {})

        assert requests == ["POST"]


@contextmanager
def silent_server() -> Iterator[tuple[str, list[str]]]:
    """Accept requests without answering; yield the URL and the methods that came."""
    requests: list[str] = []
    test_is_over = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            requests.append(self.rfile.readline().split()[0].decode())
            test_is_over.wait(10)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
        test_is_over.set()
        server.shutdown()
        thread.join()
