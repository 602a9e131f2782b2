"""The port Secrets: a tenant's own, and none that could not be redacted."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import SecretError

if TYPE_CHECKING:
    from tests.contract.ports import Ports

_numbers = count(1)


@pytest.fixture(name="tenant")
def _tenant() -> str:
    return f"acme-{next(_numbers)}"


def test_the_secrets_that_are_asked_for_are_given_by_name(world: Ports, tenant: str) -> None:
    stored = {"one": "first-secret", "two": "zweites ☃ Geheimnis", "three": "third-secret"}
    for name, value in stored.items():
        world.store_secret(tenant, name, value)

    found = world.secrets.values(tenant, ["two", "one"])

    assert found == {"one": "first-secret", "two": "zweites ☃ Geheimnis"}
    assert world.secrets.values(tenant, []) == {}


def test_a_secret_of_another_tenant_is_none_of_ours(world: Ports, tenant: str) -> None:
    world.store_secret(tenant, "token", "first-secret")

    with pytest.raises(SecretError, match="there is no secret 'token'"):
        world.secrets.values(f"not-{tenant}", ["token"])


def test_a_missing_secret_is_named(world: Ports, tenant: str) -> None:
    world.store_secret(tenant, "one", "first-secret")

    with pytest.raises(SecretError, match="there is no secret 'two'"):
        world.secrets.values(tenant, ["one", "two"])


@pytest.mark.parametrize(
    ("value", "why"),
    [("seven77", "has 7 characters, at least 8 are needed"), ("   \n", "is empty")],
)
def test_what_cannot_be_redacted_is_not_given(
    world: Ports, tenant: str, value: str, why: str
) -> None:
    world.store_secret(tenant, "pin", value)

    with pytest.raises(SecretError) as refused:
        world.secrets.values(tenant, ["pin"])

    assert str(refused.value) == f"the secret 'pin' {why}"


def test_space_around_a_secret_is_a_part_of_it(world: Ports, tenant: str) -> None:
    world.store_secret(tenant, "token", " first-secret\n")

    assert world.secrets.values(tenant, ["token"]) == {"token": " first-secret\n"}
