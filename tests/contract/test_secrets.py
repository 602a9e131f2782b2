"""The port Secrets: the values of a tenant's own secrets, if they can be redacted."""

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


def test_values_are_returned_by_name(world: Ports, tenant: str) -> None:
    stored = {"one": "first-secret", "two": "zweites ☃ Geheimnis", "three": "third-secret"}
    for name, value in stored.items():
        world.store_secret(tenant, name, value)

    values = world.secrets.values(tenant, ["two", "one"])

    assert values == {"one": "first-secret", "two": "zweites ☃ Geheimnis"}
    assert world.secrets.values(tenant, []) == {}


def test_a_secret_of_another_tenant_is_not_found(world: Ports, tenant: str) -> None:
    world.store_secret(tenant, "token", "first-secret")

    with pytest.raises(SecretError, match="there is no secret 'token'"):
        world.secrets.values(f"not-{tenant}", ["token"])


def test_a_missing_secret_is_reported_by_name(world: Ports, tenant: str) -> None:
    world.store_secret(tenant, "one", "first-secret")

    with pytest.raises(SecretError, match="there is no secret 'two'"):
        world.secrets.values(tenant, ["one", "two"])


@pytest.mark.parametrize(
    ("value", "why"),
    [("seven77", "has 7 characters, and at least 8 are needed"), ("   \n", "is empty")],
)
def test_a_value_that_cannot_be_redacted_is_refused(
    world: Ports, tenant: str, value: str, why: str
) -> None:
    world.store_secret(tenant, "pin", value)

    with pytest.raises(SecretError) as error:
        world.secrets.values(tenant, ["pin"])

    assert str(error.value) == f"the secret 'pin' {why}"


def test_space_around_a_value_is_kept(world: Ports, tenant: str) -> None:
    world.store_secret(tenant, "token", " first-secret\n")

    assert world.secrets.values(tenant, ["token"]) == {"token": " first-secret\n"}
