"""Malformed and unusual HTTP: the document describes every answer, and none is a 500."""

from __future__ import annotations

import gzip
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.api_schema import assert_conforms
from tests.security.hostile.manifests import cases
from tests.stack.api import PATIENCE_S
from tests.stack.packs import GATE, STEP

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stack.api import Api

RUNS = "/v1/task-runner/runs"
# One case of each family; tests/security/hostile runs all of them, without HTTP.
SAMPLE = {"alias-bomb", "deep-flow-lists", "doubles-each-time", "references-that-double",
          "pattern-with-a-back-reference", "steps-until-full", "inputs-of-one-name",
          "python-errors-of-slices"}  # fmt: skip


def raw(api: Api, method: str, path: str, *headers: tuple[str, str], body: bytes = b"") -> Any:  # noqa: ANN401
    """The answer to a request that is sent as it is; httpx would correct or refuse many."""
    url = urlsplit(api.stack.api_url)
    connection = http.client.HTTPConnection(url.netloc, timeout=PATIENCE_S)
    connection.putrequest(method, url.path + path, skip_accept_encoding=True)
    for name, value in (("Authorization", f"Bearer {api.token}"), *headers):
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), content


@pytest.mark.parametrize("case", [case for case in cases() if case.name in SAMPLE], ids=str)
def test_rejects_a_hostile_pack(operator: Api, case: Any) -> None:  # noqa: ANN401
    answer = operator("POST", "simulations", {"manifest": case.manifest, "inputs": case.inputs})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, case.code)
    assert answer.json()["errors"]


@pytest.mark.parametrize(
    "path",
    [
        f"{RUNS}/..%2f..%2fopenapi", f"{RUNS}/%00", f"{RUNS}/%e0%a4%a", f"{RUNS}/a;b=c",
        f"{RUNS}/run-7/", "/v1/Task-Runner/runs",
        f"{RUNS}/%2e%2e/%2e%2e", f"{RUNS}/{'x' * 4000}", f"{RUNS}/run-7/artifacts/%2e%2e%2fplan",
        f"{RUNS}/run-7%0d%0aX-A:%20b", f"{RUNS}/%ff%fe", f"{RUNS}/run-7/logs/..", "/", "/%",
        f"{RUNS}/\\..\\x", f"{RUNS}/*", f"{RUNS}/%25%32%65",
    ],
)  # fmt: skip
def test_a_malformed_path_leads_nowhere(operator: Api, path: str) -> None:
    status, headers, body = raw(operator, "GET", path)

    assert status in {400, 403, 404}, body
    assert_conforms("GET", "/nowhere", status, headers, body)


@pytest.mark.parametrize("path", [f"{RUNS}//", "//v1/task-runner/runs"])
def test_doubled_slashes_count_as_one_or_lead_nowhere(operator: Api, path: str) -> None:
    status, headers, body = raw(operator, "GET", path)

    assert status in {200, 404}, body
    assert_conforms("GET", RUNS, status, headers, body)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (RUNS, "GET, POST"),
        ("/openapi", "GET"),
        (f"{RUNS}/run-7", "GET"),
        (f"{RUNS}/run-7/cancel", "POST"),
    ],
)
def test_rejects_a_method_and_names_those_of_the_path(
    operator: Api, method: str, path: str, allowed: str
) -> None:
    status, headers, body = raw(operator, method, path, ("Content-Type", "text/plain"), body=b"x")

    assert (status, headers.get("Allow")) == (405, allowed), body
    assert_conforms(method, path, status, headers, body)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/task-runner", f"{RUNS}/run-7/approvals", "/favicon.ico"]
)
def test_answers_404_to_an_unknown_path(operator: Api, method: str, path: str) -> None:
    status, headers, body = raw(operator, method, path, ("Content-Type", "text/plain"), body=b"x")

    assert (status, json.loads(body)["error"]["code"]) == (404, "not_found")
    assert_conforms(method, path, status, headers, body)


@pytest.mark.parametrize(
    "headers",
    [
        [("X-StellaOps-Tenant", "a"), ("X-StellaOps-Tenant", "b")],
        [("X-StellaOps-Tenant", "x" * 4000)],
        [("X-StellaOps-Tenant", "\xe9\xff")],
        [("Content-Type", "application/json; charset=utf-16")],
        [("Content-Type", "multipart/form-data; boundary=x")],
        [("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
        [("Content-Type", "text/plain"), ("Content-Type", "application/json")],
        [("Idempotency-Key", "k" * 4000), ("Content-Type", "application/json")],
        [(f"X-Many-{n}", "x" * 50) for n in range(60)],
        [],
    ],
    ids=lambda headers: f"{len(headers)} {headers[0][0] if headers else 'none'}",
)
def test_rejects_unusual_headers_with_a_compressed_body(
    operator: Api, headers: list[tuple[str, str]]
) -> None:
    body = gzip.compress(json.dumps({"manifest": STEP}).encode())

    status, sent, content = raw(operator, "POST", RUNS, *headers, body=body)

    assert status in {400, 403}, content
    assert_conforms("POST", RUNS, status, sent, content)


@pytest.mark.parametrize("limit", ["0", "-1", "1e9", "NaN", "5 ", "1&limit=2"])
def test_rejects_a_limit_out_of_bounds(operator: Api, limit: str) -> None:
    status, headers, body = raw(operator, "GET", f"{RUNS}?limit={limit.replace(' ', '%20')}")

    assert status in ({200, 400} if "&" in limit else {400})
    assert_conforms("GET", RUNS, status, headers, body)


def test_a_cursor_works_for_its_own_list_only(operator: Api) -> None:
    run_ids = [operator.run(GATE) for _ in range(2)]
    stranger = operator.as_("other-tenant-operator")

    cursor = operator("GET", "runs", query={"limit": "1"}).json()["nextCursor"]
    elsewhere = [
        stranger("GET", "runs", query={"cursor": cursor}),
        operator("GET", "approvals", query={"cursor": cursor}),
        operator("GET", f"runs/{run_ids[0]}/logs", query={"cursor": cursor}),
        operator("GET", "runs", query={"cursor": cursor * 40}),
        operator("GET", "runs", query={"cursor": cursor[:-3]}),
    ]

    for run_id in run_ids:
        assert run_id not in elsewhere[0].text
        operator("POST", f"runs/{run_id}/cancel")
    assert [answer.status_code for answer in elsewhere[2:]] == [400] * 3
    assert elsewhere[0].status_code in {200, 400}
    assert elsewhere[1].status_code in {200, 400}


def test_the_limits_of_the_template_are_deployed(operator: Api, aws: Callable[[str], Any]) -> None:
    """The emulator stores the limits and does not enforce them, so no more can be tested here."""
    gateway = aws("apigateway")
    api_id = operator.stack.api_url.split("/")[-2]
    (stage,) = gateway.get_stages(restApiId=api_id)["item"]
    limits = {
        method: (settings["throttlingRateLimit"], settings["throttlingBurstLimit"])
        for method, settings in stage["methodSettings"].items()
    }

    planning = ("runs/POST", "runs~1{runId}~1rerun/POST", "simulations/POST")
    prefix = "/~1v1~1task-runner~1"
    assert limits["*/*"] == (10, 20)
    assert {limits[f"{prefix}{method}"] for method in planning} == {(20, 40)}
    others = limits.keys() - {"*/*", *(f"{prefix}{method}" for method in planning)}
    assert {limits[method] for method in others} == {(100, 200)}
    assert f"{prefix}runs~1{{runId}}/GET" in others
