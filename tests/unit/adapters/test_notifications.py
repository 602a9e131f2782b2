"""What is sent to SNS, what is logged of its refusals, and how long nobody waits for it."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from taskrunner.adapters.logs import logger
from taskrunner.adapters.notifications import ATTEMPTS, SnsNotifications
from taskrunner.bootstrap import AwsWorld
from taskrunner.model.notification import Notification

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPIC = "arn:aws:sns:us-east-1:123456789012:approvals"
ONE = Notification(
    id="0123456789abcdef0123456789abcdef",
    subject="Approval needed: security of deploy-app 1.4.0 (acme)",
    attributes={"tenant": "acme", "kind": "awaiting-approval"},
    body='{"message": "nobody-may-log-this"}',
)


@dataclass
class Sns:
    """A client of SNS that takes everything, or raises *error*."""

    error: Exception | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)

    def publish(self, **request: Any) -> dict[str, str]:  # noqa: ANN401
        self.calls.append(request)
        if self.error is not None:
            raise self.error
        return {"MessageId": "1"}


def refusal(code: str) -> botocore.exceptions.ClientError:
    text = f"Invalid parameter: {ONE.body} {TOPIC}"
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": text}}, "Publish")


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """The lines of the structured log, as CloudWatch has them; they are there afterwards."""
    lines: list[dict[str, Any]] = []
    written = io.StringIO()
    (handler,) = [one for one in logger.handlers if isinstance(one, logging.StreamHandler)]
    before = handler.setStream(written)
    try:
        yield lines
    finally:
        handler.setStream(before)
        lines += map(json.loads, written.getvalue().splitlines())


def test_the_topic_is_given_subject_body_and_what_subscribers_filter_by() -> None:
    sns = Sns()

    assert SnsNotifications(sns, TOPIC).publish(ONE) is True

    assert sns.calls == [
        {
            "TopicArn": TOPIC,
            "Subject": ONE.subject,
            "Message": ONE.body,
            "MessageAttributes": {
                "tenant": {"DataType": "String", "StringValue": "acme"},
                "kind": {"DataType": "String", "StringValue": "awaiting-approval"},
            },
        }
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (refusal("Throttled"), "Throttled"),
        (refusal("AuthorizationError"), "AuthorizationError"),
        (refusal("KMSAccessDenied"), "KMSAccessDenied"),
        (refusal("NotFound"), "NotFound"),
        (refusal("InvalidParameter"), "InvalidParameter"),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"), "ReadTimeoutError"),
        (botocore.exceptions.NoCredentialsError(), "NoCredentialsError"),
        (botocore.exceptions.ParamValidationError(report=ONE.body), "ParamValidationError"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_refusal_is_one_line_of_the_log_and_no_error(error: Exception, reason: str) -> None:
    with logged() as lines:
        assert SnsNotifications(Sns(error), TOPIC).publish(ONE) is False

    (line,) = lines
    said = ("level", "message", "reason", "notification", "tenant", "kind")
    assert [line[name] for name in said] == [
        "ERROR",
        "a notification was not published",
        reason,
        ONE.id,
        "acme",
        "awaiting-approval",
    ]


def test_nothing_of_the_body_is_logged() -> None:
    with logged() as lines:
        SnsNotifications(Sns(refusal("InvalidParameter")), TOPIC).publish(ONE)

    assert lines
    assert "nobody-may-log-this" not in json.dumps(lines)


def test_a_bug_looks_like_a_bug() -> None:
    with pytest.raises(ZeroDivisionError):
        SnsNotifications(Sns(ZeroDivisionError()), TOPIC).publish(ONE)


class TestTheClient:
    """The client that the deployment makes."""

    @pytest.fixture(name="world")
    def _world(self, monkeypatch: pytest.MonkeyPatch) -> AwsWorld:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        return AwsWorld({"APPROVAL_TOPIC_ARN": TOPIC})

    def test_waits_some_seconds_in_all(self, world: AwsWorld) -> None:
        config = world.notifications._client.meta.config
        pause_s = 1  # before a second attempt, at the most

        attempts = config.retries["total_max_attempts"]
        longest_s = attempts * (config.connect_timeout + config.read_timeout)
        assert longest_s + (attempts - 1) * pause_s <= 7

    def test_tries_as_often_as_it_is_told(
        self, world: AwsWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with hanging_up() as (url, connections):
            monkeypatch.setenv("AWS_ENDPOINT_URL", url)
            assert world.notifications.publish(ONE) is False

        assert len(connections) == ATTEMPTS == 2


@contextmanager
def hanging_up() -> Iterator[tuple[str, list[str]]]:
    """Takes connections and closes them; where those came from."""
    connections: list[str] = []

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                connection, address = server.accept()
                with connection:
                    if over.is_set():
                        return
                    connections.append(str(address))

        over = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", connections
        over.set()
        socket.create_connection(server.getsockname()).close()
        thread.join()
