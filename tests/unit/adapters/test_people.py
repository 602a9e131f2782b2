"""A person has what their groups have in the registry, and at most what their token allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters.table_layout import client_key, group_key
from tests.unit.adapters.key_server import Registry, a_token, an_authority

if TYPE_CHECKING:
    from taskrunner.model.caller import Caller
    from tests.unit.adapters.key_server import KeyServer

BOTH = "taskrunner/viewer taskrunner/operator"


def registry(**groups: tuple[str, str, str]) -> Registry:
    """Return a registry of groups, each with its tenants, scopes and grants."""
    return Registry(
        {
            group_key(name): {"tenants": tenants, "scopes": scopes, "grants": grants}
            for name, (tenants, scopes, grants) in groups.items()
        }
    )


def signed_in(server: KeyServer, table: Registry, *groups: str, **claims: Any) -> Caller:  # noqa: ANN401
    token = a_token(
        **{"sub": "8d3f", "username": "alice", "client_id": "console", "scope": BOTH}
        | ({"cognito:groups": list(groups)} if groups else {})
        | claims
    )
    authority = an_authority(
        server, table, groups_claim="cognito:groups", user_claim="username", default_tenant="acme"
    )
    return authority.caller(f"Bearer {token}")


def test_a_person_is_named_and_has_the_tenants_scopes_and_grants_of_a_group(
    server: KeyServer,
) -> None:
    caller = signed_in(server, registry(ops=("acme", "operator", "packs.approve")), "ops")

    assert caller.subject == "user:alice"
    assert caller.tenants == ("acme",)
    assert caller.scopes == {"viewer", "operator"}
    assert caller.grants == {"packs.approve"}


@pytest.mark.parametrize("groups", [(), ("unknown",)])
def test_a_person_without_a_registered_group_has_nothing(
    server: KeyServer, groups: tuple[str, ...]
) -> None:
    """Not even the default tenant, nor what the registry says of the console's client."""
    table = Registry({client_key("console"): {"tenants": "acme", "grants": "packs.approve"}})

    caller = signed_in(server, table, *groups)

    assert (caller.tenants, caller.scopes, caller.grants) == ((), frozenset(), frozenset())


def test_a_token_bounds_the_scopes_of_a_group(server: KeyServer) -> None:
    table = registry(admins=("acme", "admin", ""))

    assert signed_in(server, table, "admins").scopes == {"viewer", "operator"}
    assert signed_in(server, table, "admins", scope="taskrunner/viewer").scopes == {"viewer"}


def test_a_tokens_scopes_give_a_person_no_grant(server: KeyServer) -> None:
    table = registry(ops=("acme", "operator", ""))

    assert signed_in(server, table, "ops", scope=f"{BOTH} taskrunner/lead").grants == frozenset()


def test_groups_of_one_tenant_add_up(server: KeyServer) -> None:
    table = registry(see=("acme", "viewer", "a"), act=("acme", "operator", "b"))

    caller = signed_in(server, table, "see", "act")

    assert caller.scopes == {"viewer", "operator"}
    assert caller.grants == {"a", "b"}


def test_a_person_has_the_pools_that_their_groups_give_in_each_of_their_tenants(
    server: KeyServer,
) -> None:
    table = Registry(
        {
            group_key("a"): {"tenants": "acme", "scopes": "worker", "pools": "linux macos"},
            group_key("b"): {"tenants": "globex", "scopes": "worker", "pools": "linux"},
        }
    )

    caller = signed_in(server, table, "a", "b", scope="taskrunner/worker")

    assert caller.scopes == {"worker"}
    assert caller.pools == {"linux"}
    assert signed_in(server, table, "a").scopes == frozenset()


def test_a_viewer_of_one_tenant_is_no_operator_there_by_a_group_of_another(
    server: KeyServer,
) -> None:
    table = registry(see=("acme", "viewer", ""), act=("globex", "operator", "packs.approve"))

    caller = signed_in(server, table, "see", "act")

    assert caller.tenants == ("acme", "globex")
    assert caller.scopes == {"viewer"}
    assert caller.grants == set()


def test_only_the_first_twenty_groups_count(server: KeyServer) -> None:
    table = registry(last=("acme", "viewer", ""))

    caller = signed_in(server, table, *(f"other-{number}" for number in range(20)), "last")

    assert caller.tenants == ()


def test_a_client_is_not_a_person(server: KeyServer) -> None:
    table = Registry({client_key("client-1"): {"tenants": "acme"}})
    authority = an_authority(server, table, groups_claim="cognito:groups", user_claim="username")

    assert authority.caller(f"Bearer {a_token()}").subject == "client-1"


def test_without_the_setting_a_persons_token_is_that_of_a_client(server: KeyServer) -> None:
    table = Registry({client_key("console"): {"tenants": "acme"}})
    claims: Any = {"client_id": "console", "username": "alice", "cognito:groups": ["ops"]}

    assert an_authority(server, table).caller(f"Bearer {a_token(**claims)}").tenants == ("acme",)
