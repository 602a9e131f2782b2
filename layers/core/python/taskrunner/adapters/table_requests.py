"""Reads and writes of the table as values, and the arguments of DynamoDB that they become."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

from taskrunner.adapters.attribute_values import from_attribute_value, to_attribute_value
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.adapters.table_layout import Key

# The attributes of an item as plain values; numbers are integers.
Item: TypeAlias = dict[str, Any]

# A failed condition then reports the item that it was checked against.
_RETURN_ITEM: Final = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Write *item*, replacing the one under its key. Attributes that are None are omitted."""

    item: Mapping[str, object]
    condition: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Change the item under *key* by DynamoDB's update *expression*."""

    key: Key
    expression: str
    condition: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Require that the item under *key* meets *condition*."""

    key: Key
    condition: str
    values: Mapping[str, object] = field(default_factory=dict)


Write: TypeAlias = Put | Update | Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query of the table, or of *index*, in DynamoDB's expressions.

    *filter* drops items after they were read. *attributes* names the ones to return; None returns
    all. *start_after* is the key after which the query continues.
    """

    condition: str
    values: Mapping[str, object]
    index: str | None = None
    filter: str | None = None
    attributes: str | None = None
    descending: bool = False
    limit: int | None = None
    start_after: Item | None = None


def by_prefix(prefix: Key) -> Query:
    """Query the items of a partition whose sort keys begin with that of *prefix*."""
    return Query(
        condition="pk = :pk AND begins_with(sk, :prefix)",
        values={":pk": prefix.pk, ":prefix": prefix.sk},
    )


def by_range(
    first: Key, last_sk: str, *, descending: bool = False, limit: int | None = None
) -> Query:
    """Query the items from *first* to *last_sk* in its partition, both included."""
    return Query(
        condition="pk = :pk AND sk BETWEEN :first AND :last",
        values={":pk": first.pk, ":first": first.sk, ":last": last_sk},
        descending=descending,
        limit=limit,
    )


def encoded(item: Mapping[str, object]) -> dict[str, Any]:
    """Return plain values as DynamoDB's attribute values, without those that are None."""
    return {key: to_attribute_value(value) for key, value in item.items() if value is not None}


def encoded_key(key: Key) -> dict[str, Any]:
    """Return a key as DynamoDB's attribute values."""
    return encoded({"pk": key.pk, "sk": key.sk})


def decoded(item: Mapping[str, Any]) -> Item:
    """Return DynamoDB's attribute values as plain ones; numbers become integers."""
    return {key: from_attribute_value(value) for key, value in item.items()}


def query_arguments(query: Query) -> dict[str, Any]:
    """Return *query* as Query's arguments: strongly consistent, except for an index."""
    arguments = {
        "KeyConditionExpression": query.condition,
        "ExpressionAttributeValues": encoded(query.values),
        "IndexName": query.index,
        "ConsistentRead": True if query.index is None else None,
        "FilterExpression": query.filter,
        "ProjectionExpression": query.attributes,
        "ScanIndexForward": False if query.descending else None,
        "Limit": query.limit,
        "ExclusiveStartKey": None if query.start_after is None else encoded(query.start_after),
    }
    return {name: value for name, value in arguments.items() if value is not None}


def update_arguments(update: Update) -> dict[str, Any]:
    """Return *update* as UpdateItem's arguments."""
    return _update_body(update) | _RETURN_ITEM


def transaction_item(write: Write, table_name: str) -> dict[str, Any]:
    """Return *write* as an item of TransactWriteItems."""
    match write:
        case Put():
            operation, body = "Put", {"Item": encoded(write.item)} | _condition(write)
        case Update():
            operation, body = "Update", _update_body(write)
        case Check():
            operation, body = "ConditionCheck", {"Key": encoded_key(write.key)} | _condition(write)
        case _:
            assert_never(write)
    reported = {} if write.condition is None else _RETURN_ITEM
    return {operation: {"TableName": table_name} | body | reported}


def _update_body(update: Update) -> dict[str, Any]:
    return {
        "Key": encoded_key(update.key),
        "UpdateExpression": update.expression,
        **_condition(update),
    }


def _condition(write: Write) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if write.condition is not None:
        arguments["ConditionExpression"] = write.condition
    if write.values:
        arguments["ExpressionAttributeValues"] = encoded(write.values)
    return arguments
