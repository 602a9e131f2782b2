"""Creates the people who can sign in to the local stack's console, and the groups they are in."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from taskrunner_cli.local.deployment import client, translated_errors
from taskrunner_cli.local.emulator import Emulator

TENANT = "tenant-prod"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in to the local stack's console."""

    group: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Group:
    """A group as the registry has it: the scopes and grants of its members."""

    scopes: tuple[str, ...]
    grants: tuple[str, ...] = ()


_GROUPS = {
    "viewers": _Group(("viewer",)),
    "operators": _Group(("operator",)),
    "approvers": _Group(("operator",), ("packs.approve", "security.approve")),
}
_PEOPLE = {"alice": "operators", "bob": "approvers", "vera": "viewers"}


@translated_errors("adding people")
def register(emulator: Emulator, pool_id: str, table_name: str) -> dict[str, Person]:
    """Create the groups and people that are missing, and return the people with new passwords.

    Raises:
        LocalStackError: the pool or the registry does not take them.

    """
    cognito = client("cognito-idp", emulator.endpoint_url)
    table = client("dynamodb", emulator.endpoint_url)
    groups = {entry["GroupName"] for entry in cognito.list_groups(UserPoolId=pool_id)["Groups"]}
    for name, group in _GROUPS.items():
        if name not in groups:
            cognito.create_group(UserPoolId=pool_id, GroupName=name)
        table.put_item(TableName=table_name, Item=_registry_item(name, group))
    users = {entry["Username"] for entry in cognito.list_users(UserPoolId=pool_id)["Users"]}
    return {
        name: _person(cognito, pool_id, name, group, is_new=name not in users)
        for name, group in _PEOPLE.items()
    }


@translated_errors("registering the console")
def admit_console(emulator: Emulator, pool_id: str, client_id: str, console_url: str) -> None:
    """Let the pool send people back to the console at its address in the emulator.

    The template knows the address that the API would have on AWS.

    Raises:
        LocalStackError: the pool does not take the address.

    """
    cognito = client("cognito-idp", emulator.endpoint_url)
    which = {"UserPoolId": pool_id, "ClientId": client_id}
    current = cognito.describe_user_pool_client(**which)["UserPoolClient"]
    kept = (
        "ClientName",
        "AllowedOAuthFlows",
        "AllowedOAuthFlowsUserPoolClient",
        "AllowedOAuthScopes",
        "SupportedIdentityProviders",
        "PreventUserExistenceErrors",
        "AccessTokenValidity",
        "TokenValidityUnits",
    )
    cognito.update_user_pool_client(
        **which,
        **{name: current[name] for name in kept if name in current},
        CallbackURLs=[console_url, *_loopback(current.get("CallbackURLs", []))],
        LogoutURLs=[console_url],
    )


def _loopback(urls: list[str]) -> list[str]:
    """Return the addresses of this machine, to which `taskrunner login` comes back."""
    return [url for url in urls if url.startswith("http://localhost:")]


def _person(cognito: Any, pool_id: str, name: str, group: str, *, is_new: bool) -> Person:  # noqa: ANN401 -- boto3 has no types
    """Return the person *name*, created if *is_new*, in *group* and with a new password."""
    who = {"UserPoolId": pool_id, "Username": name}
    password = f"Aa1-{secrets.token_urlsafe(12)}"  # the pool's policy asks for each kind
    if is_new:
        cognito.admin_create_user(**who, MessageAction="SUPPRESS")
        cognito.admin_add_user_to_group(**who, GroupName=group)
    cognito.admin_set_user_password(**who, Password=password, Permanent=True)
    return Person(group, password)


def _registry_item(name: str, group: _Group) -> dict[str, Any]:
    return {
        "pk": {"S": f"G#{name}"},
        "sk": {"S": "G"},
        "tenants": {"L": [{"S": TENANT}]},
        "scopes": {"L": [{"S": scope} for scope in group.scopes]},
        "grants": {"L": [{"S": grant} for grant in group.grants]},
    }
