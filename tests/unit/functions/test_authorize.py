"""API Gateway's authorizer: a policy for the caller's scopes, or one of two errors."""

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


class TokenAuthenticator:
    """Returns the same caller, or raises the same error, for every token."""

    def __init__(self, answer: Caller | Exception) -> None:
        self._answer = answer
        self.headers: list[str] = []

    def caller(self, authorization: str) -> Caller:
        self.headers.append(authorization)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def authorize(answer: Caller | Exception, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    authority: Any = TokenAuthenticator(answer)
    event = {"type": "TOKEN", "authorizationToken": "Bearer x.y.z", "methodArn": ARN, **changes}
    response = handler(event, None, authority=authority)
    assert authority.headers == ["Bearer x.y.z"]
    return response


@pytest.mark.parametrize("scope", ["viewer", "operator", "admin", "worker"])
def test_the_policy_allows_every_route_of_the_scope(scope: str) -> None:
    caller = Caller(
        subject="ana",
        scopes=frozenset({scope}),
        tenants=("acme", "globex"),
        expires_at=77,
        name="nightly",
        pools=frozenset({"linux", "gpu"}),
    )

    response = authorize(caller)

    (statement,) = response["policyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert len(statement["Resource"]) == len(routes(caller))
    assert all(arn.startswith(f"{BASE}/") for arn in statement["Resource"])
    assert response["context"] == {
        "subject": "ana",
        "name": "nightly",
        "scopes": scope,
        "tenants": "acme globex",
        "grants": "",
        "expires": "77",
        "pools": "gpu linux",
    }
    assert len(SCOPES) >= len(statement["Resource"])


def test_the_policy_of_a_worker_allows_the_routes_of_workers_and_no_others() -> None:
    worker = Caller(subject="build", scopes=frozenset({"worker"}), tenants=("acme",))

    (statement,) = authorize(worker)["policyDocument"]["Statement"]

    leases = f"{BASE}/POST/v1/task-runner/worker/leases"
    assert statement["Resource"] == [
        leases,
        f"{leases}/*/heartbeat",
        f"{leases}/*/artifacts",
        f"{leases}/*/completion",
    ]


def test_denies_everything_to_a_caller_without_a_scope() -> None:
    response = authorize(Caller(subject="ana", scopes=frozenset(), tenants=("acme",)))

    (statement,) = response["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Deny", f"{BASE}/*")


def test_a_bad_token_raises_the_text_that_api_gateway_answers_with_401() -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$") as caught:
        authorize(BadTokenError("the token is not valid: ExpiredSignatureError"))

    assert caught.value.__cause__ is None


def test_unavailable_keys_raise_another_error_than_a_bad_token() -> None:
    """API Gateway answers every other error with AUTHORIZER_FAILURE, a 503 in the template."""
    with pytest.raises(TryAgainError):
        authorize(TryAgainError("the issuer's keys could not be fetched"))
