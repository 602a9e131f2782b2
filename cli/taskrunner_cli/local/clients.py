"""Gives the local stack its callers: OAuth clients of the user pool, and their registry entries."""

from dataclasses import dataclass, field
from typing import Any

from taskrunner_cli.local.deployment import client
from taskrunner_cli.local.emulator import Emulator


@dataclass(frozen=True, slots=True)
class Client:
    """A caller of the local stack: an OAuth client with one scope and one tenant."""

    client_id: str
    scope: str
    tenant: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Wanted:
    name: str
    scope: str
    tenant: str = "tenant-prod"
    grants: tuple[str, ...] = ()


_APPROVER_GRANTS = ("packs.approve",)  # what the approvals of the examples ask for
_WANTED = (
    _Wanted("viewer", "taskrunner/viewer"),
    _Wanted("operator", "taskrunner/operator"),
    _Wanted("approver", "taskrunner/operator", grants=_APPROVER_GRANTS),
    _Wanted("admin", "taskrunner/admin", grants=_APPROVER_GRANTS),
    _Wanted("other-tenant-operator", "taskrunner/operator", tenant="tenant-dev"),
)


def register(emulator: Emulator, pool_id: str, table_name: str) -> dict[str, Client]:
    """Make sure that every caller exists in the pool and in the registry; return them by name."""
    cognito = client("cognito-idp", emulator.endpoint_url)
    table = client("dynamodb", emulator.endpoint_url)
    pages = cognito.get_paginator("list_user_pool_clients").paginate(UserPoolId=pool_id)
    known = {
        entry["ClientName"]: entry["ClientId"]
        for page in pages
        for entry in page["UserPoolClients"]
    }
    callers = {}
    for wanted in _WANTED:
        caller = _caller(cognito, pool_id, wanted, known.get(wanted.name))
        table.put_item(
            TableName=table_name,
            Item={
                "pk": {"S": f"C#{caller.client_id}"},
                "sk": {"S": "C"},
                "name": {"S": wanted.name},
                "tenants": {"L": [{"S": wanted.tenant}]},
                "grants": {"L": [{"S": grant} for grant in wanted.grants]},
            },
        )
        callers[wanted.name] = caller
    return callers


def _caller(cognito: Any, pool_id: str, wanted: _Wanted, client_id: str | None) -> Client:  # noqa: ANN401 -- a boto3 client
    """The pool's client for *wanted*, made when the pool has none."""
    if client_id is None:
        answer = cognito.create_user_pool_client(
            UserPoolId=pool_id,
            ClientName=wanted.name,
            GenerateSecret=True,
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthFlows=["client_credentials"],
            AllowedOAuthScopes=[wanted.scope],
        )
    else:
        answer = cognito.describe_user_pool_client(UserPoolId=pool_id, ClientId=client_id)
    made = answer["UserPoolClient"]
    return Client(made["ClientId"], wanted.scope, wanted.tenant, made["ClientSecret"])
