"""Executors over HTTP on the real template: secrets, functions, and limits that really hold."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.packs import pack
from tests.stack.test_runs import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner_cli.local import Stack
    from tests.stack.conftest import Api

TENANT = "tenant-prod"
SECRET = 'Kq8/w"Zt4\\Vx+2mNbJ%7e'
GIVEN = base64.b64encode(f"bot:{SECRET}".encode()).decode()
AT = "2025-12-06T12:00:00Z"  # a Saturday


def journal(api: Api, run_id: str, event: str) -> list[dict[str, Any]]:
    """The entries of that event in a run's log."""
    lines = [json.loads(line) for line in api("GET", f"runs/{run_id}/logs").text.splitlines()]
    return [line for line in lines if line["eventType"] == event]


@contextmanager
def listening() -> Iterator[tuple[int, list[str]]]:
    """A server of this machine that gives back what it gets: its port, and what came."""
    came: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authorization = str(self.headers["Authorization"])
            came.append(authorization)
            body = json.dumps({"authorization": authorization, "again": [SECRET]}).encode()
            self.send_response(200 if self.path == "/fine" else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Back", authorization)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], came
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(name="secret")
def _secret(stack: Stack, aws: Callable[[str], Any]) -> Iterator[str]:
    """A secret of the tenant, by the name that packs have for it."""
    name = f"t-{uuid.uuid4().hex[:12]}"  # what a test that was killed left is not in the way
    secret_id = f"{stack.machine_prefix}/{TENANT}/{name}"
    client = aws("secretsmanager")
    client.create_secret(Name=secret_id, SecretString=SECRET)
    yield name
    client.delete_secret(SecretId=secret_id, ForceDeleteWithoutRecovery=True)


def test_a_secret_reaches_who_it_is_for_and_nobody_else(
    operator: Api, secret: str, aws: Callable[[str], Any], stack: Stack
) -> None:
    with listening() as (port, came):
        it = f"{{{{ secrets.{secret} }}}}"

        def ask(path: str) -> str:
            url = f"http://127.0.0.1:{port}/{path}"
            with_it = f"{{url: '{url}', headers: {{Authorization: 'Bearer {it}'}}}}"
            return f"{{uses: 'builtin:http', with: {with_it}}}"

        run_id = operator.run(
            pack(
                f"""
                - {{id: fine, run: {ask("fine")}}}
                - {{id: refused, continueOnError: true, run: {ask("refused")}}}
                - id: bundle
                  continueOnError: true
                  run: {{uses: builtin:build, with: {{files: {{a: "{it}"}}}}}}
                """,
                spec=f"""
                secrets: [{{name: {secret}}}]
                sandbox: {{egressAllowlist: ["127.0.0.1:{port}"]}}
                outputs: [{{name: said, type: object, expression: steps.fine.outputs.body}}]
                """,
            )
        )
        state = operator.ended(run_id)

    assert came == [f"Bearer {SECRET}"] * 2
    assert state["status"] == "succeeded"
    assert steps(state)["refused"] == ("Failed", "executor-error")
    assert "the bundle holds the secret" in state["steps"][2]["errorMessage"]
    seen = [
        operator("GET", path).text
        for path in (
            f"runs/{run_id}",
            f"runs/{run_id}/logs",
            f"runs/{run_id}/artifacts",
            f"runs/{run_id}/artifacts/said",
        )
    ]
    seen += [content(operator, run_id, one["name"]).decode() for one in listed(operator, run_id)]
    seen += [json.dumps(one) for one in rows(aws("dynamodb"), stack, run_id)]
    spellings = [SECRET, json.dumps(SECRET)[1:-1], json.dumps(json.dumps(SECRET)[1:-1])[1:-1]]
    assert [one for one in spellings for text in seen if one in text] == []
    assert any("Bearer ***" in text for text in seen)
    (bundle,) = [one for one in listed(operator, run_id) if one["name"] == "bundle"]
    assert "it holds the secret" in bundle["notes"]


def test_a_secret_of_another_tenant_is_not_there(operator: Api, secret: str) -> None:
    other = operator.as_("other-tenant-operator")
    uses = f'{{uses: builtin:noop, with: {{t: "{{{{ secrets.{secret} }}}}"}}}}'
    run_id = other.run(pack(f"- {{id: a, run: {uses}}}", spec=f"secrets: [{{name: {secret}}}]"))

    state = other.ended(run_id)

    assert steps(state)["a"] == ("Failed", "executor-error")
    assert f"there is no secret '{secret}'" in state["steps"][0]["errorMessage"]


def rows(client: Any, stack: Stack, run_id: str) -> list[dict[str, Any]]:  # noqa: ANN401
    found: list[dict[str, Any]] = client.query(
        TableName=stack.table_name,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"T#{TENANT}#R#{run_id}"}},
    )["Items"]
    assert found
    return found


def listed(api: Api, run_id: str) -> list[dict[str, Any]]:
    artifacts: list[dict[str, Any]] = api("GET", f"runs/{run_id}/artifacts").json()
    return artifacts


def content(api: Api, run_id: str, name: str) -> bytes:
    """An artifact as it is downloaded; nothing when there is none to download."""
    answer = api("GET", f"runs/{run_id}/artifacts/{name}")
    if answer.status_code != httpx.codes.FOUND:
        return answer.content
    return httpx.get(answer.headers["Location"]).raise_for_status().content


def test_a_function_is_executor_and_policy(operator: Api) -> None:
    def step(step_id: str, day: str) -> str:
        return f"{{id: {step_id}, run: {{uses: 'lambda:change-window', with: {given(day)}}}}}"

    def given(day: str) -> str:
        window = f"{{days: [{day}], from: '00:00', to: '23:59'}}"
        return f"{{environment: prod, at: '{AT}', windows: [{window}]}}"

    def gate(step_id: str, day: str) -> str:
        policy = f"{{policy: window, failureAction: warn, with: {given(day)}}}"
        return f"{{id: {step_id}, gate: {{policy: {policy}}}}}"

    run_id = operator.run(
        pack(
            f"- {step('open', 'sat')}\n- {gate('holds', 'sat')}\n- {gate('fails', 'sun')}\n"
            "- {id: wrong, run: {uses: 'lambda:change-window', with: {windows: []}}}\n",
            spec="""
            policies: [{id: window, version: "1", uses: "lambda:change-window"}]
            outputs: [{name: is-open, type: object, expression: steps.open.outputs.open}]
            """,
        )
    )
    state = operator.ended(run_id)

    assert steps(state) == {
        "open": ("Succeeded", None),
        "holds": ("Succeeded", None),
        "fails": ("Succeeded", "policy-warned"),
        "wrong": ("Failed", "executor-error"),
    }
    assert "'environment' is missing; name what" in state["steps"][3]["errorMessage"]
    (warned,) = [
        one for one in journal(operator, run_id, "step.completed") if one["stepId"] == "fails"
    ]
    assert "no change window of prod is open" in warned["message"]


MANY = ", ".join(f"f{number}: '{{{{ steps.text.outputs.t }}}}'" for number in range(34))
BUSY = ", ".join(f"f{number}: x" for number in range(999))
TEXT = f"{{id: text, run: {{uses: 'builtin:noop', with: {{t: '{'x' * 60_000}'}}}}}}"


def build(files: str) -> str:
    return f"run: {{uses: 'builtin:build', with: {{files: {{{files}}}}}}}"


# The steps, the sandbox, and what the step that is called `it` says.
LIMITS = {
    "memory-exceeded": (
        f"- {TEXT}\n- {{id: it, {build(MANY)}}}",
        "sandbox: {memoryLimitMiB: 21}",
        "more than the 21 MiB of memory",
    ),
    "timeout": (
        "- {id: it, timeoutSeconds: 1, run: {uses: builtin:sleep, with: {seconds: 20}}}",
        "",
        "not done after 1 seconds",
    ),
    "quota-exceeded": (
        """
        - {id: first, run: {uses: builtin:sleep, with: {seconds: 0.5}}}
        - {id: it, run: {uses: builtin:sleep, with: {seconds: 20}}}
        """,
        "sandbox: {quotaSeconds: 1}",
        "the 1 seconds are over",
    ),
    "timeout, of CPU time": (
        f"- {{id: it, timeoutSeconds: 3, {build(BUSY)}}}",
        "sandbox: {cpuLimitMillicores: 1}",
        "seconds of CPU time",
    ),
    "egress-denied": (
        "- {id: it, run: {uses: builtin:http, with: {url: 'http://127.0.0.1:9/'}}}",
        "sandbox: {mode: sealed}",
        "it is sealed and lists no host",
    ),
    "egress-denied, not listed": (
        "- {id: it, run: {uses: builtin:http, with: {url: 'https://example.com/'}}}",
        "sandbox: {mode: open, egressAllowlist: ['example.org']}",
        "no connection to example.com:443",
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_ends_the_step_and_not_the_function(operator: Api, limit: str) -> None:
    manifest, spec, message = LIMITS[limit]
    failed = operator.run(pack(manifest, spec=spec))
    state = operator.ended(failed)

    following = operator.run(pack("- {id: next, run: {uses: builtin:noop}}"))

    assert state["status"] == "failed"
    reason = limit.partition(",")[0]
    assert steps(state)["it"] == ("Failed", reason)
    (entry,) = journal(operator, failed, "step.failed")
    assert message in entry["message"]
    assert entry["metadata"]["reason"] == reason
    assert float(entry["metadata"]["duration"].removesuffix("s")) < 10
    assert entry["metadata"]["cpu"].endswith("s")
    assert int(entry["metadata"]["memory"].removesuffix("MiB")) < 400
    assert operator.ended(following)["status"] == "succeeded"


def test_a_bundle_is_downloaded_by_its_address_alone(operator: Api) -> None:
    run_id = operator.run(
        pack(
            "- {id: build, run: {uses: builtin:build, with: {files: {a.txt: hello}}}}",
            spec="outputs: [{name: made, type: object, expression: steps.build.outputs}]",
        )
    )
    operator.ended(run_id)
    artifacts = {one["name"]: one for one in listed(operator, run_id)}
    made = json.loads(artifacts["made"]["expressionJson"])

    answer = operator("GET", f"runs/{run_id}/artifacts/bundle")
    downloaded = httpx.get(answer.headers["Location"])

    assert answer.status_code == 302
    assert downloaded.headers["Content-Type"] == "application/zip"
    assert "bundle.zip" in downloaded.headers["Content-Disposition"]
    assert made["digest"] == "sha256:" + hashlib.sha256(downloaded.content).hexdigest()


def test_a_pack_that_asks_for_more_than_the_deployment_allows_is_refused(operator: Api) -> None:
    manifest = pack(
        "- {id: a, run: {uses: builtin:noop}}",
        spec="sandbox: {memoryLimitMiB: 769, cpuLimitMillicores: 2001, quotaSeconds: 86401}",
    )

    for path in ("simulations", "runs"):
        answer = operator("POST", path, {"manifest": manifest})

        assert answer.status_code == 400
        assert {one["path"] for one in answer.json()["errors"]} == {
            "$.spec.sandbox.cpuLimitMillicores",
            "$.spec.sandbox.memoryLimitMiB",
            "$.spec.sandbox.quotaSeconds",
        }
