"""Secrets over HTTP: they reach the executor that asks for them, and nothing that is kept."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.packs import pack
from tests.stack.api import PATIENCE_S, statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

TENANT = "tenant-prod"
SECRET = 'Kq8/w"Zt4\\Vx+2mNbJ%7e'


@contextmanager
def echo_server() -> Iterator[tuple[int, list[str]]]:
    """A server that returns what it is sent, as success at /fine and as an error elsewhere.

    Yields its port, and the `Authorization` headers that it has received so far.
    """
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authorization = str(self.headers["Authorization"])
            received.append(authorization)
            body = json.dumps({"authorization": authorization, "again": [SECRET]}).encode()
            self.send_response(200 if self.path == "/fine" else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Back", authorization)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], received
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(name="secret")
def _secret(stack: Stack, aws: Callable[[str], Any]) -> Iterator[str]:
    """The name, in packs, of a secret of the tenant."""
    name = f"t-{uuid.uuid4().hex[:12]}"  # a name that no interrupted test has left behind
    secret_id = f"{stack.machine_prefix}/{TENANT}/{name}"
    client = aws("secretsmanager")
    client.create_secret(Name=secret_id, SecretString=SECRET)
    yield name
    client.delete_secret(SecretId=secret_id, ForceDeleteWithoutRecovery=True)


def test_a_secret_reaches_its_executor_and_nothing_that_is_kept(
    operator: Api, secret: str, aws: Callable[[str], Any], stack: Stack
) -> None:
    template = f"{{{{ secrets.{secret} }}}}"
    with echo_server() as (port, received):

        def request(path: str) -> str:
            url = f"http://127.0.0.1:{port}/{path}"
            parameters = f"{{url: '{url}', headers: {{Authorization: 'Bearer {template}'}}}}"
            return f"{{uses: 'builtin:http', with: {parameters}}}"

        run_id = operator.run(
            pack(
                f"""
                - {{id: fine, run: {request("fine")}}}
                - {{id: refused, continueOnError: true, run: {request("refused")}}}
                - id: bundle
                  continueOnError: true
                  run: {{uses: builtin:build, with: {{files: {{a: "{template}"}}}}}}
                """,
                spec=f"""
                secrets: [{{name: {secret}}}]
                sandbox: {{egressAllowlist: ["127.0.0.1:{port}"]}}
                outputs: [{{name: said, type: object, expression: steps.fine.outputs.body}}]
                """,
            )
        )
        state = operator.ended(run_id)

    assert received == [f"Bearer {SECRET}"] * 2
    assert state["status"] == "succeeded"
    assert statuses(state)["refused"] == "Failed executor-error"
    assert "the bundle holds the secret" in state["steps"][2]["errorMessage"]
    texts = everything_kept(operator, run_id, aws("dynamodb"), stack)
    spellings = [SECRET, json.dumps(SECRET)[1:-1], json.dumps(json.dumps(SECRET)[1:-1])[1:-1]]
    assert [spelling for spelling in spellings for text in texts if spelling in text] == []
    assert any("Bearer ***" in text for text in texts)
    assert "it holds the secret" in operator.artifacts(run_id)["bundle"]["notes"]


def everything_kept(api: Api, run_id: str, dynamodb: Any, stack: Stack) -> list[str]:  # noqa: ANN401
    """Return the API's answers about a run, its artifacts as they are downloaded, and its items."""
    run = f"runs/{run_id}"
    texts = [
        api("GET", path).text
        for path in (run, f"{run}/logs", f"{run}/artifacts", f"{run}/artifacts/said")
    ]
    texts += [content(api, run_id, name).decode() for name in api.artifacts(run_id)]
    items = dynamodb.query(
        TableName=stack.table_name,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"T#{TENANT}#R#{run_id}"}},
    )["Items"]
    assert items
    return [*texts, *(json.dumps(item) for item in items)]


def content(api: Api, run_id: str, name: str) -> bytes:
    """An artifact as it is downloaded, or the answer if it cannot be downloaded."""
    answer = api("GET", f"runs/{run_id}/artifacts/{name}")
    if answer.status_code != httpx.codes.FOUND:
        return answer.content
    return httpx.get(answer.headers["Location"], timeout=PATIENCE_S).raise_for_status().content


def test_a_policy_with_a_secret_is_overridden(operator: Api, approver: Api, secret: str) -> None:
    """The function that reads the secret hands the gate on to the one that may resume it."""
    gate = (
        f'{{policy: strong, with: {{t: "{{{{ secrets.{secret} }}}}", n: MOST}}, '
        "failureAction: requestOverride, override: {approval: owner}}"
    )
    run_id = operator.run(
        pack(
            f"""
            - {{id: holds, gate: {{policy: {gate.replace("MOST", "99")}}}}}
            - {{id: denied, gate: {{policy: {gate.replace("MOST", "1")}}}}}
            - {{id: ship, run: {{uses: builtin:noop}}}}
            """,
            spec=f"""
            secrets: [{{name: {secret}}}]
            approvals: [{{id: owner}}]
            policies:
              - {{id: strong, version: "1", rules: [{{id: r, require: length(with.t) <= with.n}}]}}
            """,
        )
    )

    operator.wait(run_id, "waiting", "failed")
    assert approver.decide(run_id, "owner", "approved").json()["resumed"] is True
    state = operator.ended(run_id)

    assert state["status"] == "succeeded"
    found = statuses(state)
    assert found == {"holds": "Succeeded", "denied": "Succeeded", "ship": "Succeeded"}


def test_a_tenant_does_not_see_the_secret_of_another(operator: Api, secret: str) -> None:
    other = operator.as_("other-tenant-operator")
    uses = f'{{uses: builtin:noop, with: {{t: "{{{{ secrets.{secret} }}}}"}}}}'
    run_id = other.run(pack(f"- {{id: a, run: {uses}}}", spec=f"secrets: [{{name: {secret}}}]"))

    state = other.ended(run_id)

    assert statuses(state)["a"] == "Failed executor-error"
    assert f"there is no secret '{secret}'" in state["steps"][0]["errorMessage"]
