"""Callers inside AWS: API Gateway's event of a signed request, and what is made of it."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters.principals import Principals, principal
from taskrunner.bootstrap import AwsWorld
from taskrunner.model.access import SCOPES
from tests.api_schema import assert_conforms
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.template import folder, routes

if TYPE_CHECKING:
    from taskrunner.adapters.table import Table

DEPLOYER = "arn:aws:iam::123456789012:role/deployer"
SESSION = "arn:aws:sts::123456789012:assumed-role/deployer/build-7"
ALICE = "arn:aws:iam::123456789012:user/people/alice"
ITEMS: dict[str, dict[str, Any]] = {
    f"I#{DEPLOYER}": {"tenants": ["acme"], "scopes": ["operator"], "grants": ["security.lead"]},
    f"I#{ALICE}": {"tenants": ["acme", "globex", "no#tenant"], "scopes": ["viewer", "root"]},
    "I#arn:aws:iam::123456789012:role/bare": {},
    "C#deployer": {"tenants": ["acme"], "scopes": ["admin"]},
}


class Registry:
    def __init__(self) -> None:
        self.reads: list[tuple[str, str]] = []

    def get(self, pk: str, sk: str) -> dict[str, Any] | None:
        self.reads.append((pk, sk))
        return ITEMS.get(pk)


def the_principals(registry: Registry | None = None) -> Principals:
    table: Any = registry or Registry()
    known: Table = table
    return Principals(known)


def an_event(method: str, resource: str, user_arn: str | None, **context: Any) -> dict[str, Any]:  # noqa: ANN401
    """API Gateway's proxy event where a method's authorization is AWS_IAM."""
    path = resource.format(runId="run-7", approvalId="security", name="report")
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": {
            "Authorization": "AWS4-HMAC-SHA256 Credential=ASIA/20251206/us-east-1/execute-api",
            "X-Amz-Date": "20251206T120000Z",
            "X-Amz-Security-Token": "secret",
            "Content-Type": "application/json",
        },
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "pathParameters": {"runId": "run-7", "approvalId": "security", "name": "report"},
        "requestContext": {
            "requestId": "6f1c",
            "requestTimeEpoch": 1765015200000,
            "identity": {
                "accountId": "123456789012",
                "caller": "AROAEXAMPLE:build-7",
                "accessKey": "ASIAEXAMPLE",
                "userArn": user_arn,
                "user": "AROAEXAMPLE:build-7",
                "cognitoIdentityId": None,
                "sourceIp": "192.0.2.7",
            },
            **context,
        },
        "body": json.dumps({"manifest": pack("- {id: one, run: {uses: builtin:noop}}")}),
        "isBase64Encoded": False,
    }


def replied(event: dict[str, Any], principals: Principals | None = None) -> dict[str, Any]:
    """What the event's function answers to API Gateway, in an empty world."""
    method, resource = event["httpMethod"], event["resource"]
    name = folder(routes()[method, resource])
    handler = importlib.import_module(f"functions.{name}.app").handler
    world = MemoryWorld()
    world.principals = principals
    reply: dict[str, Any] = handler(event, None, world=world)
    assert_conforms(method, event["path"], reply["statusCode"], reply["headers"], reply["body"])
    return reply


def answered(event: dict[str, Any], principals: Principals | None = None) -> tuple[int, Any]:
    """The status and the body of it."""
    reply = replied(event, principals)
    is_json = reply["headers"]["Content-Type"] == "application/json"
    return reply["statusCode"], json.loads(reply["body"]) if is_json else reply["body"]


class TestArns:
    @pytest.mark.parametrize(
        ("arn", "registered_as"),
        [
            (SESSION, DEPLOYER),
            ("arn:aws:sts::123456789012:assumed-role/deployer/another", DEPLOYER),
            (ALICE, ALICE),
            (
                "arn:aws-us-gov:sts::123456789012:assumed-role/a.b@c/i-0123",
                "arn:aws-us-gov:iam::123456789012:role/a.b@c",
            ),
        ],
    )
    def test_a_session_is_its_role_and_a_user_is_itself(self, arn: str, registered_as: str) -> None:
        assert principal(arn) == registered_as

    @pytest.mark.parametrize(
        "arn",
        [
            "arn:aws:iam::123456789012:root",
            "arn:aws:sts::123456789012:federated-user/bob",
            DEPLOYER,
            "arn:aws:sts::123456789012:assumed-role/deployer",
            "arn:aws:sts::123456789012:assumed-role/a/b/c",
            "arn:aws:sts::1234:assumed-role/deployer/x",
            "arn:evil:sts::123456789012:assumed-role/deployer/x",
            f"{SESSION}\n",
            f"{ALICE} x",
            f"x{ALICE}",
            "deployer",
            "",
        ],
    )
    def test_nothing_else_can_be_registered(self, arn: str) -> None:
        assert principal(arn) is None


class TestCallers:
    def test_what_a_principal_may_do_is_registered(self) -> None:
        registry = Registry()

        caller = the_principals(registry).caller({"userArn": SESSION})

        assert (caller.subject, caller.tenants) == (DEPLOYER, ("acme",))
        assert caller.scopes == {"operator"}
        assert caller.grants == {"security.lead"}
        assert registry.reads == [(f"I#{DEPLOYER}", "I")]

    def test_what_is_no_scope_and_no_tenant_is_none(self) -> None:
        caller = the_principals().caller({"userArn": ALICE})

        assert caller.scopes == {"viewer"}
        assert caller.tenants == ("acme", "globex")

    def test_a_registry_entry_without_anything_opens_nothing(self) -> None:
        arn = "arn:aws:sts::123456789012:assumed-role/bare/x"

        caller = the_principals().caller({"userArn": arn})

        assert (caller.scopes, caller.tenants, caller.grants) == (frozenset(), (), frozenset())


class TestRoutes:
    def test_a_registered_principal_comes_in(self) -> None:
        event = an_event("POST", "/v1/task-runner/runs", SESSION)

        status, body = answered(event, the_principals())

        assert (status, body["runId"]) == (201, "run-1")

    @pytest.mark.parametrize("route", SCOPES)
    def test_the_table_of_scopes_holds(self, route: tuple[str, str]) -> None:
        event = an_event(*route, "arn:aws:iam::123456789012:user/people/alice")
        event["headers"]["X-StellaOps-Tenant"] = "acme"

        status, body = answered(event, the_principals())

        assert (status == 403) == (SCOPES[route] != "viewer"), body  # type: ignore[index]

    @pytest.mark.parametrize("route", SCOPES)
    @pytest.mark.parametrize(
        ("arn", "expected"),
        [
            (None, (401, "unauthorized")),
            ("", (401, "unauthorized")),
            ("arn:aws:sts::123456789012:assumed-role/stranger/x", (403, "forbidden")),
            ("arn:aws:iam::123456789012:root", (403, "forbidden")),
            ("arn:aws:sts::123456789012:assumed-role/bare/x", (403, "forbidden")),
        ],
    )
    def test_nobody_else_does(
        self, route: tuple[str, str], arn: str | None, expected: tuple[int, str]
    ) -> None:
        status, body = answered(an_event(*route, arn), the_principals())

        assert (status, body["error"]["code"]) == expected

    def test_nothing_that_a_request_carries_says_who_signed_it(self) -> None:
        event = an_event("GET", "/v1/task-runner/runs", None)
        event["headers"] |= {"userArn": SESSION, "X-Amz-User-Arn": SESSION, "identity": SESSION}
        event["queryStringParameters"] = {"userArn": SESSION}
        event["body"] = json.dumps({"requestContext": {"identity": {"userArn": SESSION}}})

        assert answered(event, the_principals())[0] == 401

    def test_a_foreign_tenant_is_forbidden(self) -> None:
        event = an_event("GET", "/v1/task-runner/runs", SESSION)
        event["headers"]["X-StellaOps-Tenant"] = "globex"

        assert answered(event, the_principals())[0] == 403


class TestOneWayInOnly:
    """A deployment takes tokens or signatures; the other way's context counts for nothing."""

    @pytest.mark.parametrize("route", SCOPES)
    def test_where_tokens_count_a_signature_does_not(self, route: tuple[str, str]) -> None:
        assert answered(an_event(*route, SESSION))[0] == 401

    @pytest.mark.parametrize("route", SCOPES)
    def test_where_signatures_count_an_authorizers_context_does_not(
        self, route: tuple[str, str]
    ) -> None:
        admin = {"subject": "eve", "scopes": "admin", "tenants": "acme", "grants": ""}

        assert answered(an_event(*route, None, authorizer=admin), the_principals())[0] == 401

    def test_a_refusal_names_the_way_in_that_there_is(self) -> None:
        event = an_event("GET", "/v1/task-runner/runs", None)

        named = [
            (reply["statusCode"], reply["headers"]["WWW-Authenticate"])
            for reply in (replied(event), replied(event, the_principals()))
        ]

        assert named == [(401, "Bearer"), (401, "AWS4-HMAC-SHA256")]

    def test_the_template_says_which(self) -> None:
        table = {"TABLE_NAME": "runs", "AWS_DEFAULT_REGION": "us-east-1"}

        assert AwsWorld({**table, "AUTHORIZATION": "Authorize"}).principals is None
        assert AwsWorld(table).principals is None
