"""LambdaFunctions interprets Lambda's answers and errors, and invokes no function twice."""

from __future__ import annotations

import gc
import http.server
import io
import json
import socket
import socketserver
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from taskrunner.adapters import keep_alive
from taskrunner.adapters.functions import MAX_IDLE_S, READ_TIMEOUT_S, LambdaFunctions
from taskrunner.bootstrap import AwsWorld
from taskrunner.errors import TryAgainError
from taskrunner.executors.work import AnswerLost, ExecutorFailure

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
        functions = LambdaFunctions(self, "stack_executor-", lambda: 0.0)
        return functions.invoke("window", payload or {})


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


def test_a_function_that_takes_too_long_is_not_called_again() -> None:
    error = botocore.exceptions.ReadTimeoutError(endpoint_url=URL)

    assert "was called and did not answer within 870 s" in failure(Lambda(error))


@pytest.mark.parametrize(
    "error",
    [
        botocore.exceptions.ConnectionClosedError(endpoint_url=URL),
        botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
)
def test_an_answer_that_is_lost_is_told_apart_from_a_late_one(error: Exception) -> None:
    with pytest.raises(AnswerLost, match="did not answer, because the connection was lost"):
        Lambda(error).call()


def test_an_unknown_client_error_is_raised_unchanged() -> None:
    with pytest.raises(botocore.exceptions.ClientError):
        client_error("InvalidParameterValueException").call()


class TestTheClient:
    """The client that the bootstrap makes."""

    @pytest.fixture(name="world")
    def _world(self, monkeypatch: pytest.MonkeyPatch) -> AwsWorld:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        return AwsWorld({"EXECUTOR_PREFIX": "stack_executor-"})

    @pytest.fixture(name="config")
    def _config(self, world: AwsWorld) -> Config:
        return world.functions._client.meta.config

    def test_the_client_waits_nearly_as_long_as_a_function_may_run(self, config: Any) -> None:  # noqa: ANN401
        assert config.read_timeout == READ_TIMEOUT_S == 870
        assert config.connect_timeout == 3

    def test_the_client_does_not_retry(self, config: Any) -> None:  # noqa: ANN401
        impatient = config.merge(Config(read_timeout=0.2))
        with silent_server() as (url, requests):
            client = boto3.client("lambda", endpoint_url=url, config=impatient)
            with pytest.raises(ExecutorFailure, match="was called and did not answer"):
                LambdaFunctions(client, "", lambda: 0.0).invoke("window", {})

        assert requests == ["POST"]

    def test_a_call_after_a_freeze_takes_a_new_connection(
        self, world: AwsWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watch = Watch()
        world.clock = watch
        with forgetful_server() as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
            assert world.functions.invoke("window", {}) == "answered"
            server.forgets = True  # as a NAT gateway, which says so to neither end
            watch.seconds += MAX_IDLE_S + 1

            assert world.functions.invoke("window", {}) == "answered"

        assert server.requests_by_connection == [1, 1]

    def test_a_call_takes_the_connection_of_a_moment_ago(
        self, world: AwsWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watch = Watch()
        world.clock = watch
        with forgetful_server() as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
            world.functions.invoke("window", {})
            watch.seconds += MAX_IDLE_S
            world.functions.invoke("window", {})

        assert server.requests_by_connection == [2]

    def test_a_connection_is_kept_alive_during_a_call_of_minutes(
        self, world: AwsWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with forgetful_server() as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
            world.functions.invoke("window", {})
            (ours,) = connections_to(server.address)

            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            # NAT gateways and load balancers drop what was idle for 350 seconds.
            assert ours.getsockopt(socket.IPPROTO_TCP, keep_alive.IDLE_OPTION) <= 60
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) <= 60


@dataclass
class Watch:
    """The port Clock, which a test moves."""

    seconds: float = 1_000_000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def connections_to(address: tuple[str, int]) -> list[socket.socket]:
    """Return the open sockets of this process whose other end is *address*."""
    sockets = [thing for thing in gc.get_objects() if isinstance(thing, socket.socket)]
    return [
        each
        for each in sockets
        if each.fileno() != -1 and not has_no_peer(each) and each.getpeername() == address
    ]


def has_no_peer(each: socket.socket) -> bool:
    try:
        each.getpeername()
    except OSError:
        return True
    return False


@dataclass
class ForgetfulServer:
    """Lambda on this machine: answers, and resets old connections at their next byte if it forgets.

    *requests_by_connection* counts the requests that reached each connection, in order.
    """

    address: tuple[str, int]
    forgets: bool = False
    requests_by_connection: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"


@contextmanager
def forgetful_server() -> Iterator[ForgetfulServer]:
    """Serve Lambda's Invoke on a port of this machine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.number = len(server.requests_by_connection)
            self.was_forgotten = server.forgets
            server.requests_by_connection.append(0)

        def do_POST(self) -> None:
            server.requests_by_connection[self.number] += 1
            self.rfile.read(int(self.headers["Content-Length"]))
            if server.forgets and not self.was_forgotten:
                # With this option, closing sends a reset.
                no_wait = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_wait)
                self.close_connection = True
                return
            content = b'"answered"'
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the output of tests clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        serving.daemon_threads = True
        server = ForgetfulServer(("127.0.0.1", serving.server_address[1]))
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            serving.shutdown()
            thread.join()


@contextmanager
def silent_server() -> Iterator[tuple[str, list[str]]]:
    """Accept requests without answering; yield the URL and the methods that came."""
    requests: list[str] = []
    test_is_over = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            requests.append(self.rfile.readline().split()[0].decode())
            test_is_over.wait(300)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", requests
        finally:
            test_is_over.set()
            server.shutdown()
            thread.join()
