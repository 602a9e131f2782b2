"""API Gateway's authorizer: a policy for the caller's scopes, or one of two ways of saying no."""

from __future__ import annotations

from typing import Any

import pytest

from functions.authorize.app import handler
from taskrunner.adapters.identity import BadTokenError
from taskrunner.errors import TryAgainError
from taskrunner.model.access import SCOPES, routes
from taskrunner.model.caller import Caller

ARN = "arn:aws:execute-api:us-east-1:123456789012:abc123/live/GET/v1/task-runner/runs"
BASE = "arn:aws:execute-api:us-east-1:123456789012:abc123/live"


class Authority:
    """Answers every token with the same caller or error."""

    def __init__(self, answer: Caller | Exception) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def caller(self, authorization: str) -> Caller:
        self.asked.append(authorization)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def answered(answer: Caller | Exception, **event: Any) -> dict[str, Any]:  # noqa: ANN401
    authority: Any = Authority(answer)
    given = {"type": "TOKEN", "authorizationToken": "Bearer x.y.z", "methodArn": ARN, **event}
    reply = handler(given, None, authority=authority)
    assert authority.asked == ["Bearer x.y.z"]
    return reply


@pytest.mark.parametrize("scope", ["viewer", "operator", "admin"])
def test_the_policy_names_every_route_of_the_scope_because_it_is_remembered(scope: str) -> None:
    caller = Caller(
        subject="ana", scopes=frozenset({scope}), tenants=("acme", "globex"), expires_at=77
    )

    reply = answered(caller)

    (statement,) = reply["policyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert len(statement["Resource"]) == len(routes(caller))
    assert all(one.startswith(f"{BASE}/") for one in statement["Resource"])
    assert reply["context"] == {
        "subject": "ana",
        "scopes": scope,
        "tenants": "acme globex",
        "grants": "",
        "expires": "77",
    }
    assert len(SCOPES) >= len(statement["Resource"])


def test_without_a_scope_everything_is_denied() -> None:
    reply = answered(Caller(subject="ana", scopes=frozenset(), tenants=("acme",)))

    (statement,) = reply["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Deny", f"{BASE}/*")


def test_a_bad_token_is_told_in_the_one_word_that_api_gateway_answers_with_401() -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$") as caught:
        answered(BadTokenError("the token is not valid: ExpiredSignatureError"))

    assert caught.value.__cause__ is None


def test_keys_that_cannot_be_fetched_are_no_bad_token() -> None:
    """API Gateway answers any other error as AUTHORIZER_FAILURE, which is 503 in the template."""
    with pytest.raises(TryAgainError):
        answered(TryAgainError("the issuer's keys could not be fetched"))
