"""Callers inside AWS, in API Gateway's events of signed requests."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters.principals import Principals, registered_arn
from taskrunner.bootstrap import AwsWorld
from taskrunner.model.access import SCOPES
from tests.api_schema import assert_conforms
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.template import folder, routes

if TYPE_CHECKING:
    from taskrunner.adapters.table import Table
    from taskrunner.adapters.table_layout import Key

DEPLOYER = "arn:aws:iam::123456789012:role/deployer"
SESSION = "arn:aws:sts::123456789012:assumed-role/deployer/build-7"
ALICE = "arn:aws:iam::123456789012:user/people/alice"
ITEMS: dict[str, dict[str, Any]] = {
    f"I#{DEPLOYER}": {"tenants": ["acme"], "scopes": ["operator"], "grants": ["security.lead"]},
    f"I#{ALICE}": {"tenants": ["acme", "globex", "no#tenant"], "scopes": ["viewer", "root"]},
    "I#arn:aws:iam::123456789012:role/bare": {},
    "I#arn:aws:iam::123456789012:role/build": {"scopes": ["worker"], "pools": ["linux"]},
    "C#deployer": {"tenants": ["acme"], "scopes": ["admin"]},
}


class Registry:
    def __init__(self) -> None:
        self.reads: list[tuple[str, str]] = []

    def get(self, key: Key) -> dict[str, Any] | None:
        self.reads.append(key)
        return ITEMS.get(key.pk)


def the_principals(registry: Registry | None = None) -> Principals:
    stand_in: Any = registry or Registry()
    table: Table = stand_in
    return Principals(table)


def an_event(method: str, resource: str, user_arn: str | None, **context: Any) -> dict[str, Any]:  # noqa: ANN401
    """API Gateway's proxy event for a method with the authorization AWS_IAM."""
    path = resource.format(
        runId="run-7", approvalId="security", name="report", stepId="one", leaseId="l"
    )
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
        "pathParameters": {
            "runId": "run-7",
            "approvalId": "security",
            "name": "report",
            "stepId": "one",
        },
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


def respond(event: dict[str, Any], principals: Principals | None = None) -> dict[str, Any]:
    """Return the response of the event's function, in an empty world."""
    method, resource = event["httpMethod"], event["resource"]
    name = folder(routes()[method, resource])
    handler = importlib.import_module(f"functions.{name}.app").handler
    world = MemoryWorld()
    world.principals = principals
    response: dict[str, Any] = handler(event, None, world=world)
    status, headers, body = response["statusCode"], response["headers"], response["body"]
    assert_conforms(method, event["path"], status, headers, body)
    return response


def status_and_body(event: dict[str, Any], principals: Principals | None = None) -> tuple[int, Any]:
    response = respond(event, principals)
    is_json = response["headers"]["Content-Type"] == "application/json"
    return response["statusCode"], json.loads(response["body"]) if is_json else response["body"]


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
    def test_registers_a_session_as_its_role_and_a_user_as_itself(
        self, arn: str, registered_as: str
    ) -> None:
        assert registered_arn(arn) == registered_as

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
    def test_registers_no_other_principal(self, arn: str) -> None:
        assert registered_arn(arn) is None


class TestCallers:
    def test_reads_tenants_scopes_and_grants_from_the_registry(self) -> None:
        registry = Registry()

        caller = the_principals(registry).caller({"userArn": SESSION})

        assert (caller.subject, caller.tenants) == (DEPLOYER, ("acme",))
        assert caller.scopes == {"operator"}
        assert caller.grants == {"security.lead"}
        assert registry.reads == [(f"I#{DEPLOYER}", "I")]

    def test_a_worker_has_the_pools_of_the_registry(self) -> None:
        arn = "arn:aws:sts::123456789012:assumed-role/build/x"

        caller = the_principals().caller({"userArn": arn})

        assert caller.may_take_from("linux")
        assert not caller.may_take_from("macos")

    def test_drops_unknown_scopes_and_malformed_tenants(self) -> None:
        caller = the_principals().caller({"userArn": ALICE})

        assert caller.scopes == {"viewer"}
        assert caller.tenants == ("acme", "globex")

    def test_an_empty_registry_entry_allows_nothing(self) -> None:
        arn = "arn:aws:sts::123456789012:assumed-role/bare/x"

        caller = the_principals().caller({"userArn": arn})

        assert (caller.scopes, caller.tenants, caller.grants) == (frozenset(), (), frozenset())


class TestRoutes:
    def test_a_registered_principal_may_create_a_run(self) -> None:
        event = an_event("POST", "/v1/task-runner/runs", SESSION)

        status, body = status_and_body(event, the_principals())

        assert (status, body["runId"]) == (201, "run-1")

    @pytest.mark.parametrize("route", SCOPES)
    def test_a_viewer_may_use_exactly_the_viewers_routes(self, route: tuple[str, str]) -> None:
        event = an_event(*route, "arn:aws:iam::123456789012:user/people/alice")
        event["headers"]["X-StellaOps-Tenant"] = "acme"

        status, body = status_and_body(event, the_principals())

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
    def test_refuses_everybody_else(
        self, route: tuple[str, str], arn: str | None, expected: tuple[int, str]
    ) -> None:
        status, body = status_and_body(an_event(*route, arn), the_principals())

        assert (status, body["error"]["code"]) == expected

    def test_no_part_of_a_request_can_name_its_signer(self) -> None:
        event = an_event("GET", "/v1/task-runner/runs", None)
        event["headers"] |= {"userArn": SESSION, "X-Amz-User-Arn": SESSION, "identity": SESSION}
        event["queryStringParameters"] = {"userArn": SESSION}
        event["body"] = json.dumps({"requestContext": {"identity": {"userArn": SESSION}}})

        assert status_and_body(event, the_principals())[0] == 401

    def test_a_foreign_tenant_is_forbidden(self) -> None:
        event = an_event("GET", "/v1/task-runner/runs", SESSION)
        event["headers"]["X-StellaOps-Tenant"] = "globex"

        assert status_and_body(event, the_principals())[0] == 403


class TestOneKindOfAuthorization:
    """A deployment takes tokens or signatures, and ignores the context of the other kind."""

    @pytest.mark.parametrize("route", SCOPES)
    def test_a_deployment_with_tokens_ignores_signatures(self, route: tuple[str, str]) -> None:
        assert status_and_body(an_event(*route, SESSION))[0] == 401

    @pytest.mark.parametrize("route", SCOPES)
    def test_a_deployment_with_signatures_ignores_an_authorizers_context(
        self, route: tuple[str, str]
    ) -> None:
        admin = {"subject": "eve", "scopes": "admin", "tenants": "acme", "grants": ""}

        assert status_and_body(an_event(*route, None, authorizer=admin), the_principals())[0] == 401

    def test_the_environment_chooses_the_kind_of_authorization(self) -> None:
        table = {"TABLE_NAME": "runs", "AWS_DEFAULT_REGION": "us-east-1"}

        assert AwsWorld({**table, "AUTHORIZATION": "Authorize"}).principals is None
        assert AwsWorld(table).principals is None
