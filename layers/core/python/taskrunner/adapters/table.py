"""Calls on the one DynamoDB table, with plain Python values in and out.

`table_layout` describes the items and `table_requests` the requests. This module reads page after
page, and repeats a write that meets another transaction.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.adapters.table_requests import (
    decoded,
    encoded_key,
    query_arguments,
    transaction_item,
    update_arguments,
)
from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taskrunner.adapters.table_layout import Key
    from taskrunner.adapters.table_requests import Item, Query, Update, Write

_BATCH_KEYS: Final = 100
_CONFLICT_TRIES: Final = 8
_LONGEST_PAUSE_S: Final = 2.0
_CONFLICT: Final = "TransactionConflict"
_PASSING_REASONS: Final = frozenset({_CONFLICT, "ThrottlingError", "ProvisionedThroughputExceeded"})


class ItemPage(NamedTuple):
    """Some items of a query, and the key of the last one if there may be more."""

    items: Sequence[Item]
    last_key: Item | None


class ConditionFailedError(Exception):
    """A condition of a write did not hold.

    *items* has the present item of each failed condition, by the place of its write. If the request
    *was_repeated*, an earlier one without an answer may have made the write.
    """

    def __init__(self, items: dict[int, Item], *, was_repeated: bool = False) -> None:
        """Keep the items that the conditions were checked against."""
        super().__init__("a condition of the write did not hold")
        self.items = items
        self.was_repeated = was_repeated


class Table:
    """The table called *name*; *client* is boto3's client for DynamoDB."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 has no static types
        name: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Call nothing yet."""
        self._client = client
        self._name = name
        self._sleep = sleep

    def get(self, key: Key) -> Item | None:
        """Read one item, strongly consistent."""
        with translated("read from the table"):
            response = self._client.get_item(
                TableName=self._name, Key=encoded_key(key), ConsistentRead=True
            )
        return decoded(response["Item"]) if "Item" in response else None

    def batch(self, keys: Sequence[Key]) -> Iterator[Item]:
        """Read those of the items that exist, strongly consistent, in no order."""
        pending = [encoded_key(key) for key in keys]
        while pending:
            request = {"Keys": pending[:_BATCH_KEYS], "ConsistentRead": True}
            with translated("read from the table"):
                response = self._client.batch_get_item(RequestItems={self._name: request})
            yield from map(decoded, response["Responses"].get(self._name, []))
            unread = response.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            pending = unread + pending[_BATCH_KEYS:]

    def query(self, query: Query) -> Iterator[Item]:
        """Read all items of *query*, page after page, but no page before it is needed."""
        while True:
            page = self.page(query)
            yield from page.items
            if page.last_key is None:
                return
            query = replace(query, start_after=page.last_key)

    def page(self, query: Query) -> ItemPage:
        """Read one page of *query*."""
        with translated("read from the table"):
            response = self._client.query(TableName=self._name, **query_arguments(query))
        last_key = response.get("LastEvaluatedKey")
        return ItemPage(
            [decoded(item) for item in response.get("Items", [])],
            None if last_key is None else decoded(last_key),
        )

    def update(self, update: Update) -> None:
        """Make one update.

        Raises:
            ConditionFailedError: with the present item.
            TryAgainError: AWS is too busy, or transactions hold the item again and again.
        """
        self._update(update)

    def updated(self, update: Update) -> Item:
        """Make one update, and return the item as it is then, which costs no read units.

        Raises:
            ConditionFailedError: as for `update`.
            TryAgainError: as for `update`.
        """
        return decoded(self._update(update, ReturnValues="ALL_NEW")["Attributes"])

    def _update(self, update: Update, **more: str) -> Any:  # noqa: ANN401 - boto3's own
        arguments = update_arguments(update) | more
        return self._without_conflict(
            lambda: self._client.update_item(TableName=self._name, **arguments)
        )

    def transact(self, writes: Sequence[Write], patience_s: float = 0) -> None:
        """Make all of *writes* or none. Try for *patience_s* seconds, and a few times at least.

        Raises:
            ConditionFailedError: with the present items whose conditions failed.
            TryAgainError: AWS is too busy, or other writers hold an item again and again.
        """
        items = [transaction_item(write, self._name) for write in writes]
        self._without_conflict(
            lambda: self._client.transact_write_items(TransactItems=items), patience_s
        )

    def _without_conflict(self, call: Callable[[], Any], patience_s: float = 0) -> Any:  # noqa: ANN401 - boto3's own
        """Return what *call* returns. Repeat it while a transaction holds an item."""
        give_up_at, was_repeated = time.monotonic() + patience_s, False
        for tries in count(1):
            is_over = time.monotonic() >= give_up_at
            try:
                with translated("write to the table"):
                    return call()
            except ClientError as error:
                failed = _failed_conditions(error)
                if failed is None:
                    raise
                was_repeated |= _was_repeated(error)
                if failed:
                    raise ConditionFailedError(failed, was_repeated=was_repeated) from None
            except TryAgainError as error:
                was_repeated |= _was_repeated(error.__cause__)
                # boto3 has repeated what is not a conflict.
                if is_over and _CONFLICT not in str(error):
                    raise
            if is_over and tries >= _CONFLICT_TRIES:
                raise TryAgainError("other writers hold the same item again and again")
            longest_s = min(0.01 * 2**tries, _LONGEST_PAUSE_S)
            self._sleep(random.uniform(0, longest_s))  # noqa: S311 - jitter, not a secret
        raise AssertionError  # count() has no end


def _was_repeated(error: BaseException | None) -> bool:
    """Return whether botocore has repeated a request, or lost its answer, before it failed."""
    if not isinstance(error, ClientError):
        return True
    return bool(error.response.get("ResponseMetadata", {}).get("RetryAttempts"))


def _failed_conditions(error: ClientError) -> dict[int, Item] | None:
    """Return the present items of the failed conditions, by the place of their writes.

    The result is empty if the write may be repeated, and None if *error* is of another kind.
    """
    if code(error) == "ConditionalCheckFailedException":
        item = error.response.get("Item")
        return {0: decoded(item) if item else {}}
    if code(error) != "TransactionCanceledException":
        return None
    reasons = error.response.get("CancellationReasons", [])
    codes = {str(reason.get("Code")) for reason in reasons}
    if not codes <= _PASSING_REASONS | {"None", "ConditionalCheckFailed"}:
        return None
    return {
        place: decoded(reason.get("Item") or {})
        for place, reason in enumerate(reasons)
        if reason.get("Code") == "ConditionalCheckFailed"
    }
