"""The local stack for tests that talk to it: started when not up, with what is here deployed."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest

from taskrunner_cli import local
from tests.api_schema import assert_conforms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from taskrunner_cli.local import Stack

_DEADLINE_S = 60.0


@pytest.fixture(name="stack", scope="session")
def _stack() -> Stack:
    return local.up(lambda _line: None)


@dataclass
class Api:
    """A caller of the running API; every answer is checked against the API's document."""

    stack: Stack
    http: httpx.Client
    name: str
    tokens: dict[str, str] = field(default_factory=dict, repr=False)

    def as_(self, name: str) -> Api:
        return Api(self.stack, self.http, name, self.tokens)

    @property
    def token(self) -> str:
        if self.name not in self.tokens:
            client = self.stack.clients[self.name]
            answer = self.http.post(
                self.stack.token_url,
                data={"grant_type": "client_credentials", "scope": client.scope},
                auth=(client.client_id, client.client_secret),
            )
            self.tokens[self.name] = answer.raise_for_status().json()["access_token"]
        return self.tokens[self.name]

    def __call__(  # noqa: PLR0913 - a request has this many parts
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - any JSON
        *,
        headers: Mapping[str, str] | None = None,
        content: str | bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        path = path if path.startswith("/") else f"/v1/task-runner/{path}"
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        if body is not None:
            content = json.dumps(body)
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        answer = self.http.request(
            method, self.stack.api_url + path, content=content, headers=sent, params=query
        )
        assert_conforms(method, path, answer.status_code, answer.headers, answer.content)
        return answer

    def run(self, manifest: str, **more: Any) -> str:  # noqa: ANN401 - any JSON
        """Create a run and return its id."""
        answer = self("POST", "runs", {"manifest": manifest, **more})
        assert answer.status_code == 201, answer.text
        run_id: str = answer.json()["runId"]
        return run_id

    def wait(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """The run's state once its status is one of *statuses*."""
        found: dict[str, Any] = {}

        def reached() -> bool:
            found.update(self("GET", f"runs/{run_id}").json())
            return found["status"] in statuses

        until(reached, f"{run_id} is one of {statuses}")
        return found

    def ended(self, run_id: str) -> dict[str, Any]:
        return self.wait(run_id, "succeeded", "failed", "cancelled")

    def decide(self, run_id: str, approval: str, decision: str, **more: str) -> httpx.Response:
        plan_hash = self("GET", f"runs/{run_id}").json()["planHash"]
        body = {"decision": decision, "planHash": plan_hash, **more}
        return self("POST", f"runs/{run_id}/approvals/{approval}", body)


def until(condition: Callable[[], bool], what: str, deadline_s: float = _DEADLINE_S) -> None:
    """Poll *condition* until it holds."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.1)


@pytest.fixture(name="operator", scope="session")
def _operator(stack: Stack) -> Iterator[Api]:
    with httpx.Client(timeout=30.0) as http:
        yield Api(stack, http, "operator")


@pytest.fixture(name="approver", scope="session")
def _approver(operator: Api) -> Api:
    return operator.as_("approver")


@pytest.fixture(name="aws", scope="session")
def _aws(stack: Stack) -> Callable[[str], Any]:
    """Clients behind the API, as an administrator of the account has them."""

    def client(service: str) -> Any:  # noqa: ANN401 - boto3 has no static types
        return boto3.client(
            service,
            endpoint_url=stack.endpoint_url,
            region_name=stack.region,
            aws_access_key_id=stack.access_key_id,
            aws_secret_access_key=stack.secret_access_key,
        )

    return client
