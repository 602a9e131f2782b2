"""The functions behind the API: good requests, and the callers, tenants and scopes of all."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from functions.read_run.app import handler as read_run_handler
from taskrunner.adapters.authorizer_context import to_context
from taskrunner.adapters.http_api import Operation, serve
from taskrunner.adapters.http_response import Response, json_response
from taskrunner.model.access import SCOPES, Route
from taskrunner.model.caller import Caller
from tests.fakes.world import MemoryWorld
from tests.unit.adapters.api_calls import (
    API_URL,
    JSON,
    OPERATIONS,
    RUNS,
    TRACE,
    Answer,
    a_body,
    an_event,
    send,
)

if TYPE_CHECKING:
    from taskrunner.adapters.http_request import Request


class TestGoodRequests:
    def test_simulates_a_pack(self) -> None:
        assert send("simulate_pack", a_body("simulate_pack")).status == 200

    def test_creates_reads_and_cancels_a_run(self) -> None:
        world = MemoryWorld()

        created = send("create_run", a_body("create_run", runId="run-7"), world=world)

        assert created.status == 201
        assert created.headers["Location"] == f"{API_URL}{RUNS}/run-7"
        absent = ("read_run/artifact", "read_run/approval")
        for operation in OPERATIONS:
            if operation.startswith("read_run") and operation not in absent:
                assert send(operation, world=world).status == 200
        cancelled = send("cancel_run", world=world)
        assert (cancelled.status, cancelled.headers["Location"]) == (
            202,
            f"{API_URL}{RUNS}/run-7",
        )

    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8"],
    )
    def test_accepts_a_content_type_in_any_case_and_with_parameters(
        self, content_type: str
    ) -> None:
        answer = send("simulate_pack", a_body("simulate_pack"), {"Content-Type": content_type})

        assert answer.status == 200

    def test_accepts_a_body_in_base64(self) -> None:
        body = base64.b64encode(json.dumps(a_body("simulate_pack")).encode()).decode()

        assert send("simulate_pack", body, isBase64Encoded=True).status == 200

    def test_accepts_null_for_absent_parts_of_an_event(self) -> None:
        answer = send("read_run/list", multiValueHeaders=None, pathParameters=None)

        assert answer.json == {"runs": []}


class TestTenants:
    def test_the_header_chooses_one_of_the_callers_tenants(self) -> None:
        world = MemoryWorld()

        send("create_run", a_body("create_run", runId="run-7"), world=world)

        elsewhere = {"X-StellaOps-Tenant": "globex"}
        assert send("read_run", world=world).status == 200
        assert send("read_run", headers=elsewhere, world=world).error == (404, "not_found")

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_forbids_a_foreign_tenant_in_the_header(self, operation: str) -> None:
        answer = send(operation, a_body(operation), JSON | {"X-StellaOps-Tenant": "initech"})

        assert answer.error == (403, "forbidden")

    def test_forbids_a_foreign_tenant_in_the_body(self) -> None:
        event_headers = {**JSON, "X-StellaOps-Tenant": "initech"}

        answer = send("create_run", a_body("create_run", tenantId="initech"), event_headers)

        assert answer.error == (403, "forbidden")

    def test_rejects_a_header_and_a_body_that_differ(self) -> None:
        answer = send("create_run", a_body("create_run", tenantId="globex"))

        assert answer.error == (400, "invalid_request")
        assert "differ" in answer.json["error"]["message"]

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_rejects_two_values_of_the_header(self, operation: str) -> None:
        repeated = {"x-stellaops-TENANT": ["acme", "globex"]}

        answer = send(operation, a_body(operation), multiValueHeaders=repeated)

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize("where", ["headers", "multiValueHeaders"])
    def test_rejects_two_values_in_two_spellings_of_the_header(self, where: str) -> None:
        names = {"X-StellaOps-Tenant": "acme", "x-stellaops-tenant": "globex"}
        repeated = {name: [tenant] for name, tenant in names.items()}
        changes = {"headers": {}, "multiValueHeaders": repeated}
        event = an_event("read_run/list", None, names)
        event |= {} if where == "headers" else changes

        response = read_run_handler(event, None, world=MemoryWorld())

        assert Answer("read_run/list", response).error == (400, "invalid_request")

    def test_accepts_one_value_that_is_sent_twice(self) -> None:
        repeated = {"X-StellaOps-Tenant": ["acme", "acme"]}

        assert send("read_run/list", multiValueHeaders=repeated).status == 200

    @pytest.mark.parametrize("tenant", ["", "ACME", "a b", "x" * 64, "\ud800"])
    def test_rejects_a_malformed_tenant(self, tenant: str) -> None:
        answer = send("read_run/list", headers={"X-StellaOps-Tenant": tenant})

        assert answer.error == (400, "invalid_request")


class TestCallers:
    @pytest.mark.parametrize("context", [None, {}, {"authorizer": None}, {"authorizer": {}}])
    def test_rejects_a_request_without_a_checked_token(
        self, context: dict[str, Any] | None
    ) -> None:
        request_context = {"requestId": TRACE} | (context or {})

        assert send("read_run/list", requestContext=request_context).error == (401, "unauthorized")

    @pytest.mark.parametrize(("seconds", "status"), [(-60, 200), (0, 200), (29, 200), (30, 401)])
    def test_rejects_an_expired_token_that_api_gateway_has_cached(
        self, seconds: int, status: int
    ) -> None:
        ana = Caller(
            subject="ana", scopes=frozenset({"viewer"}), tenants=("acme",), expires_at=1_000
        )
        context = {
            "requestId": TRACE,
            "authorizer": to_context(ana),
            "requestTimeEpoch": (1_000 + seconds) * 1000,
        }

        answer = send("read_run/list", requestContext=context)

        assert answer.status == status
        # API Gateway would rename it; its own 401 has one.
        assert "WWW-Authenticate" not in answer.headers

    def test_rejects_an_expired_token_by_our_own_clock(self) -> None:
        ana = Caller(
            subject="ana", scopes=frozenset({"viewer"}), tenants=("acme",), expires_at=1_000
        )

        answer = send(
            "read_run/list", requestContext={"requestId": TRACE, "authorizer": to_context(ana)}
        )

        assert answer.error == (401, "unauthorized")

    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("scopes", ["", "viewer", "packs.approve", "openid VIEWER"])
    def test_checks_the_scope_of_a_route_again(self, operation: str, scopes: str) -> None:
        context = {
            "requestId": TRACE,
            "authorizer": {"subject": "eve", "scopes": scopes, "tenants": "acme", "grants": ""},
        }
        method, resource, _ = OPERATIONS[operation]
        needed = SCOPES[Route(method, resource)]

        answer = send(operation, a_body(operation), requestContext=context)

        if needed == scopes:
            assert answer.status != 403
        else:
            assert answer.error == (403, "forbidden")
            assert f"taskrunner.{needed}" in answer.json["error"]["message"]

    def test_a_caller_survives_the_authorizers_context(self) -> None:
        caller = Caller(
            subject="ana",
            scopes=frozenset({"viewer", "operator"}),
            tenants=("acme", "globex"),
            grants=frozenset({"packs.approve", "security.lead"}),
        )
        event = an_event("read_run", requestContext={"authorizer": to_context(caller)})
        callers: list[Caller] = []

        def route(request: Request) -> Response:
            callers.append(request.caller)
            return json_response(200, {})

        serve(event, {("GET", f"{RUNS}/{{runId}}"): Operation(route)}, None)

        assert callers == [caller]
