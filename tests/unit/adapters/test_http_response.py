"""The answers to errors, with their status, code and headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.adapters.http_api import Operation, serve
from taskrunner.errors import (
    ConflictError,
    Diagnostic,
    ForbiddenError,
    InvalidPackError,
    InvalidRequestError,
    NotFoundError,
    TaskRunnerError,
    TooManyRunsError,
    TryAgainError,
)
from tests.unit.adapters.api_calls import OPERATIONS, TRACE, Answer, an_event, send

if TYPE_CHECKING:
    from taskrunner.adapters.http_request import Request
    from taskrunner.adapters.http_response import Response


def answer_to(error: Exception, *, plans: bool = False) -> Answer:
    """Return the answer of a route that raises *error*."""
    operation = "create_run" if plans else "read_run"
    method, resource, _ = OPERATIONS[operation]

    def fail(_request: Request) -> Response:
        raise error

    routes = {(method, resource): Operation(fail, members=() if plans else None)}
    body: dict[str, str] | None = {} if plans else None
    return Answer(operation, serve(an_event(operation, body), routes, None, plans=plans))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidRequestError("invalid_request", "no"), 400, "invalid_request"),
        (InvalidRequestError("body_too_large", "no"), 413, "body_too_large"),
        (ForbiddenError("forbidden", "no"), 403, "forbidden"),
        (ForbiddenError("grant_required", "no"), 403, "grant_required"),
        (NotFoundError("run run-7"), 404, "not_found"),
        (ConflictError("run_exists", "no"), 409, "run_exists"),
        (TooManyRunsError("deploy-app", 3), 429, "too_many_runs"),
        (TryAgainError("secret-arn"), 503, "try_again"),
        (InvalidPackError([Diagnostic("$.spec", "no")]), 400, "invalid_pack"),
        (InvalidPackError([Diagnostic("$.a", "no")], "invalid_inputs"), 400, "invalid_inputs"),
    ],
)
@pytest.mark.parametrize("plans", [True, False])
def test_each_error_has_its_status_and_code(
    error: TaskRunnerError, status: int, code: str, *, plans: bool
) -> None:
    answer = answer_to(error, plans=plans)

    assert answer.error == (status, code)
    assert ("errors" in answer.json) == (plans and status == 400)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("arn:aws:states:us-east-1:123456789012:stateMachine:secret"),
        RuntimeError("at /var/task/secret.py"),
        AssertionError(),
        RecursionError("secret"),
    ],
)
@pytest.mark.parametrize("plans", [True, False])
def test_an_unexpected_error_is_answered_without_details(error: Exception, *, plans: bool) -> None:
    answer = answer_to(error, plans=plans)

    assert answer.json == {
        "error": {
            "code": "internal_error",
            "message": "An unexpected error occurred",
            "traceId": TRACE,
        }
    }
    assert answer.status == 500


def test_an_unexpected_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    answer_to(RuntimeError("the cause"))

    assert "RuntimeError: the cause" in caplog.text
    assert getattr(caplog.records[0], "trace", None) == TRACE


def test_a_busy_service_says_when_to_retry_but_not_why() -> None:
    answer = answer_to(TryAgainError("secret-arn"))

    assert answer.headers["Retry-After"] == "2"
    assert "secret" not in answer.text


def test_too_many_runs_says_when_to_retry() -> None:
    assert answer_to(TooManyRunsError("deploy-app", 3)).headers["Retry-After"] == "30"


def test_lists_every_problem_of_a_pack() -> None:
    problems = [Diagnostic("$.a", "one"), Diagnostic("$.b", "two")]

    answer = answer_to(InvalidPackError(problems), plans=True)

    assert answer.json["errors"] == [
        {"path": "$.a", "message": "one"},
        {"path": "$.b", "message": "two"},
    ]


def test_no_answer_may_be_cached() -> None:
    for answer in (answer_to(RuntimeError()), send("read_run/list")):
        assert answer.headers["Cache-Control"] == "no-store"


def test_replaces_a_lone_surrogate_that_a_message_quotes() -> None:
    answer = answer_to(InvalidRequestError("invalid_request", "'\ud800' is unknown"))

    assert answer.json["error"]["message"] == "'?' is unknown"
