"""The items of the table, looked at without a call."""

from __future__ import annotations

from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from tests.machine.deployment import TABLE
from tests.moto_aws import REGION


def items() -> list[dict[str, Any]]:
    """Every item of the table, with plain values."""
    partitions = table_items().values()
    return [item.to_regular_json() for partition in partitions for item in partition.values()]


def item(sk: str) -> dict[str, Any]:
    """The item of the run with a sort key, or an empty item."""
    found = (item for part in table_items().values() for item in part.values() if _sk(item) == sk)
    return next((item.to_regular_json() for item in found), {})


def has_item(beginning: str) -> bool:
    """Return whether an item's sort key has a *beginning*."""
    return any(
        _sk(item).startswith(beginning) for part in table_items().values() for item in part.values()
    )


def has_attribute(*names: str) -> bool:
    """Return whether an item has any of some attributes."""
    return any(
        not item.attrs.keys().isdisjoint(names)
        for part in table_items().values()
        for item in part.values()
    )


def _sk(stored: Any) -> str:  # noqa: ANN401 - moto is untyped
    return str(stored.range_key.value)


def images() -> dict[tuple[str, str], dict[str, Any]]:
    """Every item of the table in DynamoDB's own form, by its key."""
    found = [
        item.to_json()["Attributes"] for part in table_items().values() for item in part.values()
    ]
    return {(image["pk"]["S"], image["sk"]["S"]): image for image in found}


def table_items() -> Any:  # noqa: ANN401 - moto is untyped
    """The items of the table as moto has them, by partition."""
    return dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[TABLE].items
