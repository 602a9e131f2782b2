"""The requests to SNS, the log lines about failures, and the time limit of publishing."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from taskrunner.adapters.logs import JsonLines, logger
from taskrunner.adapters.notifications import ATTEMPTS, SnsNotifications
from taskrunner.bootstrap import AwsWorld
from taskrunner.model.notification import Notification

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPIC = "arn:aws:sns:us-east-1:123456789012:approvals"
NOTIFICATION = Notification(
    id="0123456789abcdef0123456789abcdef",
    subject="Approval needed: security of deploy-app 1.4.0 (acme)",
    attributes={"tenant": "acme", "kind": "awaiting-approval"},
    body='{"message": "nobody-may-log-this"}',
)


@dataclass
class Sns:
    """An SNS client that accepts everything, or raises *error*."""

    error: Exception | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)

    def publish(self, **request: Any) -> dict[str, str]:  # noqa: ANN401
        self.calls.append(request)
        if self.error is not None:
            raise self.error
        return {"MessageId": "1"}


def sns_error(code: str) -> botocore.exceptions.ClientError:
    text = f"Invalid parameter: {NOTIFICATION.body} {TOPIC}"
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": text}}, "Publish")


@contextmanager
def log_lines() -> Iterator[list[dict[str, Any]]]:
    """Collect the lines of the structured log; the list is filled at the end of the block."""
    lines: list[dict[str, Any]] = []
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        lines += map(json.loads, stream.getvalue().splitlines())


def test_publishes_subject_body_and_attributes() -> None:
    sns = Sns()

    assert SnsNotifications(sns, TOPIC).publish(NOTIFICATION) is True

    assert sns.calls == [
        {
            "TopicArn": TOPIC,
            "Subject": NOTIFICATION.subject,
            "Message": NOTIFICATION.body,
            "MessageAttributes": {
                "tenant": {"DataType": "String", "StringValue": "acme"},
                "kind": {"DataType": "String", "StringValue": "awaiting-approval"},
            },
        }
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (sns_error("Throttled"), "Throttled"),
        (sns_error("AuthorizationError"), "AuthorizationError"),
        (sns_error("KMSAccessDenied"), "KMSAccessDenied"),
        (sns_error("NotFound"), "NotFound"),
        (sns_error("InvalidParameter"), "InvalidParameter"),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"), "ReadTimeoutError"),
        (botocore.exceptions.NoCredentialsError(), "NoCredentialsError"),
        (
            botocore.exceptions.ParamValidationError(report=NOTIFICATION.body),
            "ParamValidationError",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_logs_one_line_about_a_failure_and_raises_nothing(error: Exception, reason: str) -> None:
    with log_lines() as lines:
        assert SnsNotifications(Sns(error), TOPIC).publish(NOTIFICATION) is False

    (line,) = lines
    names = ("level", "message", "reason", "notification", "tenant", "kind")
    assert [line[name] for name in names] == [
        "ERROR",
        "a notification was not published",
        reason,
        NOTIFICATION.id,
        "acme",
        "awaiting-approval",
    ]


def test_logs_nothing_of_the_body() -> None:
    with log_lines() as lines:
        SnsNotifications(Sns(sns_error("InvalidParameter")), TOPIC).publish(NOTIFICATION)

    assert lines
    assert "nobody-may-log-this" not in json.dumps(lines)


def test_a_bug_looks_like_a_bug() -> None:
    with pytest.raises(ZeroDivisionError):
        SnsNotifications(Sns(ZeroDivisionError()), TOPIC).publish(NOTIFICATION)


def test_gives_up_on_a_silent_endpoint_after_two_attempts_of_three_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with silent_server() as (url, connections):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        notifications = AwsWorld({"APPROVAL_TOPIC_ARN": TOPIC}).notifications
        config = notifications._client.meta.config
        started_at = time.monotonic()

        assert notifications.publish(NOTIFICATION) is False

    assert config.connect_timeout + config.read_timeout == 3
    assert len(connections) == ATTEMPTS == 2
    # A busy machine needs some time more; the limit of one attempt of boto3 is 60 seconds.
    assert time.monotonic() - started_at < 60


@contextmanager
def silent_server() -> Iterator[tuple[str, list[socket.socket]]]:
    """Accept connections, and never answer; yields the URL and the accepted connections."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while not is_over.is_set():
                connection, _ = server.accept()
                if is_over.is_set():
                    connection.close()
                else:
                    connections.append(connection)

        is_over = threading.Event()
        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", connections
        is_over.set()
        socket.create_connection(server.getsockname()).close()
        thread.join()
        for connection in connections:
            connection.close()
