"""Creates the local stack's callers: OAuth clients of the user pool, with registry entries."""

from dataclasses import dataclass, field
from typing import Any

from taskrunner_cli.local.deployment import client, translated_errors
from taskrunner_cli.local.emulator import Emulator


@dataclass(frozen=True, slots=True)
class Client:
    """A caller of the local stack: an OAuth client with one scope, and its first tenant."""

    client_id: str
    scope: str
    tenant: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _ClientSpec:
    """The definition of a caller: its scope, its tenants, and its grants and pools."""

    name: str
    scope: str
    tenant: str = "tenant-prod"
    more_tenants: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()


_APPROVER_GRANTS = ("packs.approve",)  # the grant that the example packs require
_CLIENTS = (
    _ClientSpec("viewer", "taskrunner/viewer"),
    _ClientSpec("operator", "taskrunner/operator"),
    _ClientSpec("approver", "taskrunner/operator", grants=_APPROVER_GRANTS),
    _ClientSpec("admin", "taskrunner/admin", grants=_APPROVER_GRANTS),
    _ClientSpec("other-tenant-operator", "taskrunner/operator", tenant="tenant-dev"),
    _ClientSpec("worker", "taskrunner/worker", more_tenants=("tenant-dev",), pools=("local",)),
)


@translated_errors("registering the clients")
def register(emulator: Emulator, pool_id: str, table_name: str) -> dict[str, Client]:
    """Create the callers that are missing from the pool, write the registry, return all by name.

    Raises:
        LocalStackError: the pool or the registry does not take them.

    """
    cognito = client("cognito-idp", emulator.endpoint_url)
    table = client("dynamodb", emulator.endpoint_url)
    pages = cognito.get_paginator("list_user_pool_clients").paginate(UserPoolId=pool_id)
    existing_ids = {
        entry["ClientName"]: entry["ClientId"]
        for page in pages
        for entry in page["UserPoolClients"]
    }
    callers = {}
    for spec in _CLIENTS:
        caller = _client(cognito, pool_id, spec, existing_ids.get(spec.name))
        table.put_item(
            TableName=table_name,
            Item={
                "pk": {"S": f"C#{caller.client_id}"},
                "sk": {"S": "C"},
                "name": {"S": spec.name},
                "tenants": {"L": [{"S": tenant} for tenant in (spec.tenant, *spec.more_tenants)]},
                "grants": {"L": [{"S": grant} for grant in spec.grants]},
                "pools": {"L": [{"S": pool} for pool in spec.pools]},
            },
        )
        callers[spec.name] = caller
    return callers


def _client(cognito: Any, pool_id: str, spec: _ClientSpec, client_id: str | None) -> Client:  # noqa: ANN401 -- boto3 has no types
    """Return the pool's client for *spec*, created if *client_id* is None."""
    if client_id is None:
        answer = cognito.create_user_pool_client(
            UserPoolId=pool_id,
            ClientName=spec.name,
            GenerateSecret=True,
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthFlows=["client_credentials"],
            AllowedOAuthScopes=[spec.scope],
        )
    else:
        answer = cognito.describe_user_pool_client(UserPoolId=pool_id, ClientId=client_id)
    entry = answer["UserPoolClient"]
    return Client(entry["ClientId"], spec.scope, spec.tenant, entry["ClientSecret"])
