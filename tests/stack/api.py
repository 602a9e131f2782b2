"""A caller of the local stack's API, and waiting for what the stack does by itself."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.api_schema import assert_conforms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from taskrunner_cli.local import Stack

PATIENCE_S: Final = 120.0
"""The longest that a request may take on a busy machine, where functions may have to start."""
_BUSY: Final = {429, 503}
_DEADLINE_S = 240.0
_EVIDENCE: Final = "evidence-bundle"


@dataclass
class Api:
    """The API as one of the stack's clients sees it.

    Every answer is checked against the API's document. A read is repeated while the service is
    busy, for example with browsers that follow runs. *tokens* holds each client's token, which all
    callers share.
    """

    stack: Stack
    http: httpx.Client
    name: str
    tokens: dict[str, str] = field(default_factory=dict, repr=False)

    def as_(self, name: str) -> Api:
        """Return the API as the client called *name* sees it."""
        return Api(self.stack, self.http, name, self.tokens)

    @property
    def token(self) -> str:
        """The client's access token, requested once."""
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

        def send() -> httpx.Response:
            url = self.stack.api_url + path
            answer = self.http.request(method, url, content=content, headers=sent, params=query)
            assert_conforms(method, path, answer.status_code, answer.headers, answer.content)
            return answer

        found = send()
        deadline = time.monotonic() + _DEADLINE_S
        while method == "GET" and found.status_code in _BUSY and time.monotonic() < deadline:
            time.sleep(float(found.headers.get("Retry-After", 1)))
            found = send()
        return found

    def run(self, manifest: str, **more: Any) -> str:  # noqa: ANN401 - any JSON
        """Create a run and return its id."""
        answer = self("POST", "runs", {"manifest": manifest, **more})
        assert answer.status_code == 201, answer.text
        run_id: str = answer.json()["runId"]
        return run_id

    def state(self, run_id: str) -> dict[str, Any]:
        """The run's state."""
        state: dict[str, Any] = self("GET", f"runs/{run_id}").json()
        return state

    def wait(self, run_id: str, *statuses: str, deadline_s: float = _DEADLINE_S) -> dict[str, Any]:
        """Return the run's state once its status is one of *statuses*."""
        state: dict[str, Any] = {}

        def is_reached() -> bool:
            state.update(self.state(run_id))
            return state["status"] in statuses

        until(is_reached, f"{run_id} is one of {statuses}", deadline_s)
        return state

    def ended(self, run_id: str) -> dict[str, Any]:
        """Return the run's state once it has ended."""
        return self.wait(run_id, "succeeded", "failed", "cancelled")

    def sealed(self, run_id: str) -> dict[str, Any]:
        """Return the run's state once it has ended and has its evidence, which comes after that."""
        state = self.ended(run_id)
        until(lambda: _EVIDENCE in self.artifacts(run_id), f"{run_id} has its evidence")
        return state

    def log(self, run_id: str) -> list[dict[str, Any]]:
        """The lines of the run's log."""
        return [json.loads(line) for line in self("GET", f"runs/{run_id}/logs").text.splitlines()]

    def artifacts(self, run_id: str) -> dict[str, dict[str, Any]]:
        """The run's artifacts by their names."""
        return {
            artifact["name"]: artifact
            for artifact in self("GET", f"runs/{run_id}/artifacts").json()
        }

    def open_approvals(self) -> list[dict[str, Any]]:
        """All open approvals of the tenant; those that other tests left may fill several pages."""
        found: list[dict[str, Any]] = []
        query = {"limit": "100"}
        while True:
            page = self("GET", "approvals", query=query).json()
            found += page["approvals"]
            if "nextCursor" not in page:
                return found
            query["cursor"] = page["nextCursor"]

    def decide(self, run_id: str, approval: str, decision: str, **more: str) -> httpx.Response:
        """Decide an approval of the plan that the run has."""
        body = {"decision": decision, "planHash": self.state(run_id)["planHash"], **more}
        return self("POST", f"runs/{run_id}/approvals/{approval}", body)


def statuses(state: dict[str, Any]) -> dict[str, str]:
    """Each step's status and reason, such as `Failed executor-error`, in the listing's order."""
    return {
        step["stepId"]: " ".join(filter(None, [step["status"], step.get("statusReason")]))
        for step in state["steps"]
    }


def until(condition: Callable[[], bool], claim: str, deadline_s: float = _DEADLINE_S) -> None:
    """Poll *condition* until it holds; fail with *claim* if it does not within *deadline_s*."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {claim}"
        time.sleep(0.1)
