from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from taskrunner.adapters.task_tokens import TaskTokens
from taskrunner.errors import TryAgainError
from tests.contract.ports import client

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(name="stubber")
def _stubber() -> Iterator[Stubber]:
    with Stubber(client("stepfunctions")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture(name="tokens")
def _tokens(stubber: Stubber) -> TaskTokens:
    return TaskTokens(stubber.client)


def test_a_state_succeeds_with_an_empty_output(stubber: Stubber, tokens: TaskTokens) -> None:
    stubber.add_response("send_task_success", {}, {"taskToken": "token-1", "output": "{}"})

    tokens.succeed("token-1")


def test_a_state_fails_with_the_given_error(stubber: Stubber, tokens: TaskTokens) -> None:
    stubber.add_response(
        "send_task_failure",
        {},
        {"taskToken": "token-2", "error": "ApprovalRejectedError", "cause": "no"},
    )

    tokens.fail("token-2", "ApprovalRejectedError", "no")


@pytest.mark.parametrize("error", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_ignores_a_token_that_was_used_before(
    stubber: Stubber, tokens: TaskTokens, error: str
) -> None:
    stubber.add_client_error("send_task_success", error)
    stubber.add_client_error("send_task_failure", error)

    tokens.succeed("token-1")
    tokens.fail("token-1", "ApprovalRejectedError", "no")


def test_asks_the_caller_to_try_again_when_aws_is_busy(
    stubber: Stubber, tokens: TaskTokens
) -> None:
    stubber.add_client_error("send_task_success", "ThrottlingException")

    with pytest.raises(TryAgainError, match="answer the waiting state"):
        tokens.succeed("token-1")


def test_a_bug_looks_like_a_bug(stubber: Stubber, tokens: TaskTokens) -> None:
    stubber.add_client_error("send_task_success", "InvalidOutput")

    with pytest.raises(ClientError):
        tokens.succeed("token-1")
