"""The edge of the API: whatever a caller sends, the answer is one that the document describes."""

from __future__ import annotations

import base64
import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.adapters import http_api
from taskrunner.adapters.http_api import MAX_BODY_BYTES, Request, caller_context, serve
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
from taskrunner.model.access import SCOPES, Route
from taskrunner.model.caller import Caller
from tests.api_schema import assert_conforms
from tests.fakes.world import MemoryWorld
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE = "/v1/task-runner"
RUNS = f"{BASE}/runs"
JSON = {"content-type": "application/json"}
PLAIN = pack("- {id: ship, run: {uses: builtin:noop}}")
HASH = "sha256:" + "0" * 64
TRACE = "6f1c-trace"

# The function of each operation, with the API's resource and a path that fits it.
OPERATIONS = {
    "simulate_pack": ("POST", f"{BASE}/simulations", f"{BASE}/simulations"),
    "create_run": ("POST", RUNS, RUNS),
    "decide_approval": (
        "POST",
        f"{RUNS}/{{runId}}/approvals/{{approvalId}}",
        f"{RUNS}/run-7/approvals/security",
    ),
    "cancel_run": ("POST", f"{RUNS}/{{runId}}/cancel", f"{RUNS}/run-7/cancel"),
    "read_run": ("GET", f"{RUNS}/{{runId}}", f"{RUNS}/run-7"),
    "read_run/list": ("GET", RUNS, RUNS),
    "read_run/logs": ("GET", f"{RUNS}/{{runId}}/logs", f"{RUNS}/run-7/logs"),
    "read_run/artifacts": ("GET", f"{RUNS}/{{runId}}/artifacts", f"{RUNS}/run-7/artifacts"),
    "read_run/artifact": (
        "GET",
        f"{RUNS}/{{runId}}/artifacts/{{name}}",
        f"{RUNS}/run-7/artifacts/report",
    ),
    "read_run/approvals": ("GET", f"{BASE}/approvals", f"{BASE}/approvals"),
}
WITH_BODY = ["simulate_pack", "create_run", "decide_approval"]


class Answer:
    """An answer that conforms to the document."""

    def __init__(self, operation: str, reply: Mapping[str, Any]) -> None:
        method, _, path = OPERATIONS[operation]
        self.status: int = reply["statusCode"]
        self.headers: dict[str, str] = reply["headers"]
        self.text: str = reply["body"]
        self.text.encode()  # nothing that could not leave the function
        assert_conforms(method, path, self.status, self.headers, self.text)

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str]:
        assert self.json["error"]["traceId"] == TRACE
        return self.status, self.json["error"]["code"]


def an_event(
    operation: str,
    body: Any = None,  # noqa: ANN401 - any JSON, or a text as it stands
    headers: Mapping[str, str] = JSON,
    **changes: Any,  # noqa: ANN401 - any part of the event
) -> dict[str, Any]:
    """API Gateway's event of a request by ana, who is an operator of acme and globex."""
    method, resource, _ = OPERATIONS[operation]
    ana = Caller(subject="ana", scopes=frozenset({"operator"}), tenants=("acme", "globex"))
    event = {
        "httpMethod": method,
        "resource": resource,
        "pathParameters": {"runId": "run-7", "approvalId": "security", "name": "report"},
        "headers": {"X-StellaOps-Tenant": "acme", **headers},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "requestContext": {"requestId": TRACE, "authorizer": caller_context(ana)},
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }
    return event | changes


def sent(
    operation: str,
    body: Any = None,  # noqa: ANN401 - any JSON, or a text as it stands
    headers: Mapping[str, str] = JSON,
    *,
    world: MemoryWorld | None = None,
    **changes: Any,  # noqa: ANN401 - any part of the event
) -> Answer:
    """The answer of the operation's function, in a world without runs unless one is given."""
    name = operation.partition("/")[0]
    handler = importlib.import_module(f"functions.{name}.app").handler
    event = an_event(operation, body, headers, **changes)
    if name == "simulate_pack":
        return Answer(operation, handler(event, None))
    return Answer(operation, handler(event, None, world=world or MemoryWorld()))


def read(event: Mapping[str, Any]) -> dict[str, Any]:
    """What the function that reads answers to *event*."""
    handler = importlib.import_module("functions.read_run.app").handler
    reply: dict[str, Any] = handler(event, None, world=MemoryWorld())
    return reply


def a_body(operation: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A body that the operation accepts."""
    if operation == "decide_approval":
        return {"decision": "approved", "planHash": HASH, **changes}
    return {"manifest": PLAIN, **changes}


def raised(error: Exception, *, plans: bool = False) -> Answer:
    """The answer when a route raises *error*."""
    operation = "create_run" if plans else "read_run"
    method, resource, _ = OPERATIONS[operation]

    def route(_request: Request) -> http_api.Answer:
        raise error

    return Answer(
        operation, serve(an_event(operation), {(method, resource): route}, None, plans=plans)
    )


class TestGoodRequests:
    def test_a_pack_is_simulated(self) -> None:
        assert sent("simulate_pack", a_body("simulate_pack")).status == 200

    def test_a_run_is_created_and_read(self) -> None:
        world = MemoryWorld()

        created = sent("create_run", a_body("create_run", runId="run-7"), world=world)

        assert created.status == 201
        assert created.headers["Location"] == f"{RUNS}/run-7"
        for operation in OPERATIONS:
            if operation.startswith("read_run") and operation != "read_run/artifact":
                assert sent(operation, world=world).status == 200
        assert sent("cancel_run", world=world).status == 202

    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8"],
    )
    def test_the_content_type_may_have_parameters(self, content_type: str) -> None:
        answer = sent("simulate_pack", a_body("simulate_pack"), {"Content-Type": content_type})

        assert answer.status == 200

    def test_a_body_may_come_in_base64(self) -> None:
        body = base64.b64encode(json.dumps(a_body("simulate_pack")).encode()).decode()

        assert sent("simulate_pack", body, isBase64Encoded=True).status == 200

    def test_null_where_api_gateway_has_nothing_is_nothing(self) -> None:
        answer = sent("read_run/list", multiValueHeaders=None, pathParameters=None)

        assert answer.json == {"runs": []}


class TestContentType:
    @pytest.mark.parametrize("operation", WITH_BODY)
    @pytest.mark.parametrize(
        "headers", [{}, *({"content-type": one} for one in ("", "text/yaml", "json"))]
    )
    def test_anything_but_json_is_refused(self, operation: str, headers: dict[str, str]) -> None:
        answer = sent(operation, a_body(operation), headers)

        assert answer.error == (400, "unsupported_media_type")


class TestBodies:
    @pytest.mark.parametrize("operation", WITH_BODY)
    @pytest.mark.parametrize(
        "body",
        [
            None,
            "",
            "{",
            '{"a": 1,}',
            "{'a': 1}",
            '{"a": NaN}',
            '{"a": -Infinity}',
            "[" * 100_000,
            '{"a":' * 100_000,
            "1" * 5000,
            "\ud800",
        ],
        ids=[
            "none",
            "empty",
            "cut off",
            "comma",
            "quotes",
            "NaN",
            "infinity",
            "deep lists",
            "deep objects",
            "a very long number",
            "surrogate",
        ],
    )
    def test_what_is_not_json_is_refused(self, operation: str, body: str | None) -> None:
        assert sent(operation, body).error == (400, "bad_json")

    @pytest.mark.parametrize("operation", WITH_BODY)
    @pytest.mark.parametrize(
        "content", [b"\xff\xfe\xfd", b'{"manifest": "\xff"}', b"\xc3("], ids=repr
    )
    def test_invalid_utf_8_is_refused(self, operation: str, content: bytes) -> None:
        body = base64.b64encode(content).decode()

        assert sent(operation, body, isBase64Encoded=True).error == (400, "bad_json")

    @pytest.mark.parametrize("body", ["ä", "a", "{}", "===="])
    def test_invalid_base64_is_refused(self, body: str) -> None:
        answer = sent("create_run", body, isBase64Encoded=True)

        assert answer.error == (400, "bad_json")

    @pytest.mark.parametrize("operation", WITH_BODY)
    @pytest.mark.parametrize("body", ["[]", '"text"', "1", "null", "true"])
    def test_what_is_no_object_is_refused(self, operation: str, body: str) -> None:
        assert sent(operation, body).error == (400, "invalid_request")

    @pytest.mark.parametrize("operation", WITH_BODY)
    @pytest.mark.parametrize("in_base64", [True, False])
    def test_a_body_over_the_limit_is_too_large(self, operation: str, *, in_base64: bool) -> None:
        body = json.dumps({"manifest": "é" * (MAX_BODY_BYTES // 2)}, ensure_ascii=False)
        text = base64.b64encode(body.encode()).decode() if in_base64 else body

        assert sent(operation, text, isBase64Encoded=in_base64).error == (413, "body_too_large")

    def test_a_body_at_the_limit_is_read(self) -> None:
        body = json.dumps({"manifest": "x"})
        padded = body + " " * (MAX_BODY_BYTES - len(body))

        assert sent("simulate_pack", padded).error == (400, "invalid_pack")


class TestFields:
    @pytest.mark.parametrize("operation", WITH_BODY)
    def test_a_missing_field_is_named(self, operation: str) -> None:
        answer = sent(operation, {})

        wanted = "decision" if operation == "decide_approval" else "manifest"
        assert answer.error == (400, "invalid_request")
        assert answer.json["error"]["message"] == f"'{wanted}' is missing; it is required"

    @pytest.mark.parametrize(
        ("operation", "field"),
        [
            ("simulate_pack", "manifest"),
            ("simulate_pack", "inputs"),
            ("create_run", "manifest"),
            ("create_run", "inputs"),
            ("create_run", "runId"),
            ("create_run", "tenantId"),
            ("create_run", "expectPlanHash"),
            ("decide_approval", "decision"),
            ("decide_approval", "planHash"),
            ("decide_approval", "actorId"),
            ("decide_approval", "summary"),
        ],
    )
    @pytest.mark.parametrize("value", [None, 1, 1.5, True, [], ["a"]], ids=repr)
    def test_a_field_of_another_type_is_named(
        self, operation: str, field: str, value: object
    ) -> None:
        answer = sent(operation, a_body(operation, **{field: value}))

        assert answer.error == (400, "invalid_request")
        assert f"'{field}'" in answer.json["error"]["message"]

    @pytest.mark.parametrize(
        ("operation", "field"),
        [("create_run", "manifest"), ("create_run", "runId"), ("decide_approval", "summary")],
    )
    def test_a_lone_surrogate_in_a_text_is_refused(self, operation: str, field: str) -> None:
        answer = sent(operation, a_body(operation, **{field: "a\ud800b"}))

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize(
        "inputs",
        [{"\ud800": 1}, {"name": "\ud800"}, {"name": {"\udfff": 1}}, {"n": 2**60}, {"n": 1e400}],
        ids=repr,
    )
    def test_inputs_that_no_hash_could_be_made_of_are_refused(self, inputs: Any) -> None:  # noqa: ANN401
        manifest = pack(
            "- {id: ship, run: {uses: builtin:noop}}",
            spec="inputs: [{name: name, type: object}, {name: n, type: number}]",
        )
        body = json.dumps({"manifest": manifest, "inputs": inputs}).replace("Infinity", "1e400")

        for operation in ("simulate_pack", "create_run"):
            answer = sent(operation, body)
            assert answer.error == (400, "invalid_inputs")
            assert answer.json["errors"]

    @pytest.mark.parametrize(
        "manifest", ['a: "\\uD800"', "\x00", "{" * 5000, "&a [*a]", "- " * 5000, "!!python/name:os"]
    )
    def test_a_manifest_that_is_no_pack_is_told_with_every_problem(self, manifest: str) -> None:
        for operation in ("simulate_pack", "create_run"):
            answer = sent(operation, {"manifest": manifest})
            assert answer.error == (400, "invalid_pack")
            assert answer.json["errors"]

    @pytest.mark.parametrize(
        ("decision", "plan_hash"),
        [("maybe", HASH), ("Approved", HASH), ("approved", "sha256:12"), ("approved", HASH + "\n")],
    )
    def test_a_decision_and_a_plan_hash_have_their_forms(
        self, decision: str, plan_hash: str
    ) -> None:
        answer = sent("decide_approval", {"decision": decision, "planHash": plan_hash})

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize("field", ["actorId", "summary"])
    def test_what_a_decision_says_is_limited(self, field: str) -> None:
        answer = sent("decide_approval", a_body("decide_approval", **{field: "x" * 2001}))

        assert answer.error == (400, "invalid_request")


class TestPathsAndQueries:
    @pytest.mark.parametrize(
        "operation", [one for one in OPERATIONS if "{runId}" in OPERATIONS[one][1]]
    )
    @pytest.mark.parametrize("run_id", ["a b", "a.b", "%20", "x" * 129, "é", "\ud800", "a\n"])
    def test_a_run_id_that_none_can_have_is_malformed(self, operation: str, run_id: str) -> None:
        path = {"runId": run_id, "approvalId": "security", "name": "report"}

        answer = sent(operation, a_body("decide_approval"), pathParameters=path)

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize("run_id", ["a b", "", "x" * 129])
    def test_so_it_is_in_a_body_where_a_pack_is_sent(self, run_id: str) -> None:
        answer = sent("create_run", a_body("create_run", runId=run_id))

        assert answer.error == (400, "invalid_request")
        assert [one["path"] for one in answer.json["errors"]] == ["$"]

    @pytest.mark.parametrize("name", ["\ud800", "x" * 8000, "../secret", "a/b"])
    def test_a_name_that_nothing_has_is_not_found(self, name: str) -> None:
        world = MemoryWorld()
        created = sent("create_run", a_body("create_run", runId="run-7"), world=world)
        path = {"runId": "run-7", "approvalId": name, "name": name}

        artifact = sent("read_run/artifact", world=world, pathParameters=path)
        approval = sent(
            "decide_approval",
            a_body("decide_approval", planHash=created.json["planHash"]),
            world=world,
            pathParameters=path,
        )

        assert artifact.error == approval.error == (404, "not_found")

    @pytest.mark.parametrize("operation", ["read_run/list", "read_run/approvals", "read_run/logs"])
    @pytest.mark.parametrize("limit", ["0", "-1", "1.5", "many", "", "99999999", "٣", " 1"])
    def test_a_limit_is_a_number_in_its_bounds(self, operation: str, limit: str) -> None:
        answer = sent(operation, queryStringParameters={"limit": limit})

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize("operation", ["read_run/list", "read_run/approvals", "read_run/logs"])
    @pytest.mark.parametrize("cursor", ["nonsense", "", "\ud800", "=", "x" * 5000])
    def test_a_cursor_that_was_never_given_out_is_refused(
        self, operation: str, cursor: str
    ) -> None:
        answer = sent(operation, queryStringParameters={"cursor": cursor})

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize(
        "operation", [one for one in OPERATIONS if "{runId}" in OPERATIONS[one][1]]
    )
    def test_an_unknown_run_is_not_found(self, operation: str) -> None:
        answer = sent(operation, a_body("decide_approval"))

        assert answer.error == (404, "not_found")
        assert answer.json["error"]["message"] == "run run-7 not found"


class TestTenants:
    def test_the_header_chooses_among_the_callers(self) -> None:
        world = MemoryWorld()

        sent("create_run", a_body("create_run", runId="run-7"), world=world)

        elsewhere = {"X-StellaOps-Tenant": "globex"}
        assert sent("read_run", world=world).status == 200
        assert sent("read_run", headers=elsewhere, world=world).error == (404, "not_found")

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_foreign_tenant_is_forbidden(self, operation: str) -> None:
        answer = sent(operation, a_body(operation), JSON | {"X-StellaOps-Tenant": "initech"})

        assert answer.error == (403, "forbidden")

    def test_a_foreign_tenant_in_the_body_is_forbidden(self) -> None:
        event_headers = {**JSON, "X-StellaOps-Tenant": "initech"}

        answer = sent("create_run", a_body("create_run", tenantId="initech"), event_headers)

        assert answer.error == (403, "forbidden")

    def test_header_and_body_must_agree(self) -> None:
        answer = sent("create_run", a_body("create_run", tenantId="globex"))

        assert answer.error == (400, "invalid_request")
        assert "differ" in answer.json["error"]["message"]

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_header_that_is_doubled_with_another_value_is_refused(self, operation: str) -> None:
        doubled = {"x-stellaops-TENANT": ["acme", "globex"]}

        answer = sent(operation, a_body(operation), multiValueHeaders=doubled)

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize("where", ["headers", "multiValueHeaders"])
    def test_the_other_case_of_its_name_is_the_same_header(self, where: str) -> None:
        names = {"X-StellaOps-Tenant": "acme", "x-stellaops-tenant": "globex"}
        doubled = {name: [tenant] for name, tenant in names.items()}
        more = {} if where == "headers" else {"headers": {}, "multiValueHeaders": doubled}

        refused = Answer("read_run/list", read(an_event("read_run/list", None, names) | more))

        assert refused.error == (400, "invalid_request")

    def test_a_header_that_is_doubled_with_one_value_is_one(self) -> None:
        doubled = {"X-StellaOps-Tenant": ["acme", "acme"]}

        assert sent("read_run/list", multiValueHeaders=doubled).status == 200

    @pytest.mark.parametrize("tenant", ["", "ACME", "a b", "x" * 64, "\ud800"])
    def test_a_malformed_tenant_is_refused(self, tenant: str) -> None:
        answer = sent("read_run/list", headers={"X-StellaOps-Tenant": tenant})

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize("context", [None, {}, {"authorizer": None}, {"authorizer": {}}])
    def test_without_a_checked_token_nobody_comes_in(self, context: dict[str, Any] | None) -> None:
        known = {"requestId": TRACE} | (context or {})

        assert sent("read_run/list", requestContext=known).error == (401, "unauthorized")

    @pytest.mark.parametrize(("seconds", "status"), [(-60, 200), (0, 200), (29, 200), (30, 401)])
    def test_a_token_ends_also_while_api_gateway_remembers_it(
        self, seconds: int, status: int
    ) -> None:
        ana = Caller(
            subject="ana", scopes=frozenset({"viewer"}), tenants=("acme",), expires_at=1_000
        )
        context = {
            "requestId": TRACE,
            "authorizer": caller_context(ana),
            "requestTimeEpoch": (1_000 + seconds) * 1000,
        }

        answer = sent("read_run/list", requestContext=context)

        assert answer.status == status
        assert answer.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)

    def test_a_token_that_has_ended_is_refused_by_our_own_clock_too(self) -> None:
        ana = Caller(
            subject="ana", scopes=frozenset({"viewer"}), tenants=("acme",), expires_at=1_000
        )

        answer = sent(
            "read_run/list", requestContext={"requestId": TRACE, "authorizer": caller_context(ana)}
        )

        assert answer.error == (401, "unauthorized")

    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("scopes", ["", "viewer", "packs.approve", "openid VIEWER"])
    def test_the_table_of_scopes_holds_also_where_a_policy_let_somebody_in(
        self, operation: str, scopes: str
    ) -> None:
        context = {
            "requestId": TRACE,
            "authorizer": {"subject": "eve", "scopes": scopes, "tenants": "acme", "grants": ""},
        }
        method, resource, _ = OPERATIONS[operation]
        needed = SCOPES[Route(method, resource)]

        answer = sent(operation, a_body(operation), requestContext=context)

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
        event = an_event("read_run", requestContext={"authorizer": caller_context(caller)})
        seen: list[Caller] = []

        def route(request: Request) -> http_api.Answer:
            seen.append(request.caller)
            return http_api.answer(200, {})

        serve(event, {("GET", f"{RUNS}/{{runId}}"): route}, None)

        assert seen == [caller]


class TestErrors:
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
    def test_each_refusal_has_its_status_and_code(
        self, error: TaskRunnerError, status: int, code: str, *, plans: bool
    ) -> None:
        answer = raised(error, plans=plans)

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
    def test_what_nobody_foresaw_says_nothing_of_its_insides(
        self, error: Exception, *, plans: bool
    ) -> None:
        answer = raised(error, plans=plans)

        assert answer.json == {
            "error": {
                "code": "internal_error",
                "message": "An unexpected error occurred",
                "traceId": TRACE,
            }
        }
        assert answer.status == 500

    def test_what_nobody_foresaw_is_logged_with_its_traceback(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        raised(RuntimeError("the cause"))

        assert "RuntimeError: the cause" in caplog.text
        assert getattr(caplog.records[0], "trace", None) == TRACE

    def test_a_busy_service_says_when_to_come_back_and_not_why(self) -> None:
        answer = raised(TryAgainError("secret-arn"))

        assert answer.headers["Retry-After"] == "2"
        assert "secret" not in answer.text

    def test_too_many_runs_say_when_to_come_back(self) -> None:
        assert raised(TooManyRunsError("deploy-app", 3)).headers["Retry-After"] == "30"

    def test_every_problem_of_a_pack_is_told_where_a_pack_is_sent(self) -> None:
        problems = [Diagnostic("$.a", "one"), Diagnostic("$.b", "two")]

        answer = raised(InvalidPackError(problems), plans=True)

        assert answer.json["errors"] == [
            {"path": "$.a", "message": "one"},
            {"path": "$.b", "message": "two"},
        ]

    def test_no_answer_may_be_kept_by_anyone(self) -> None:
        for answer in (raised(RuntimeError()), sent("read_run/list")):
            assert answer.headers["Cache-Control"] == "no-store"

    def test_a_text_that_quotes_a_surrogate_still_leaves_the_function(self) -> None:
        answer = raised(InvalidRequestError("invalid_request", "'\ud800' is unknown"))

        assert answer.json["error"]["message"] == "'?' is unknown"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_fields = st.sampled_from(
    ["manifest", "inputs", "runId", "tenantId", "expectPlanHash", "decision", "planHash", "summary"]
)


@settings(max_examples=150, deadline=None)
@given(operation=st.sampled_from(WITH_BODY), body=st.dictionaries(_fields, _json) | _json)
def test_no_json_whatsoever_is_answered_with_a_fault_of_ours(operation: str, body: Any) -> None:  # noqa: ANN401
    assert sent(operation, json.dumps(body)).status < 500


@settings(max_examples=100, deadline=None)
@given(operation=st.sampled_from(WITH_BODY), content=st.binary(max_size=40), encoded=st.booleans())
def test_no_bytes_whatsoever_are_answered_with_a_fault_of_ours(
    operation: str, content: bytes, *, encoded: bool
) -> None:
    body = base64.b64encode(content).decode() if encoded else content.decode("latin-1")

    assert sent(operation, body, isBase64Encoded=encoded).status < 500
