"""The one table: its keys, and calls in plain Python values.

Everything of a run is one partition, `T#<tenant>#R#<run id>`, and its items sort as

    A#<approval id>      an approval, with its decisions
    F#<name>             an artifact
    G#<step path>        a gate, with its task token while it waits
    J#<chunk>            a chunk of the journal, numbered from 0
    R                    the run
    S#<step path>        how the last attempt of a step ended

so that one query backwards from `R` reads the run and the end of its journal: nothing may sort
between the two. Beside the runs there are `C#<client id>`/`C`, which tenants and grants a client
has, `I#<arn>`/`I`, the same of a principal of AWS, and `T#<tenant>#E#<environment>` with `CURRENT`,
`D#<deployment>` and `H#<revision>`.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taskrunner.model.json_types import JsonMapping, JsonObject

RUNS_BY_TENANT: Final = "runs-by-tenant"
OPEN_APPROVALS: Final = "open-approvals"
UNFINISHED_RUNS: Final = "unfinished-runs"
# What lists an approval as open; one that is decided, or whose run has ended, has none of it.
OPEN_APPROVAL: Final = ("tenant_open_approvals", "opened_sort", "summary")
_BATCH: Final = 100
_CONFLICT_TRIES: Final = 8
_PASSING_REASONS: Final = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)

_serialize: Callable[[Any], Any] = TypeSerializer().serialize
_deserialize: Callable[[Any], Any] = TypeDeserializer().deserialize


def run_key(tenant: str, run_id: str) -> str:
    """The partition of a run."""
    return f"T#{tenant}#R#{run_id}"


def encoded(item: JsonMapping) -> JsonObject:
    """Plain values as DynamoDB's attribute values; None is left away."""
    return {key: _serialize(value) for key, value in item.items() if value is not None}


def decoded(item: JsonMapping) -> JsonObject:
    """The reverse; numbers come back as int, which is all that we store."""
    plain = {key: _deserialize(value) for key, value in item.items()}
    return {key: _plain_numbers(value) for key, value in plain.items()}


def _plain_numbers(value: Any) -> Any:  # noqa: ANN401 - any attribute value
    if isinstance(value, dict):
        return {key: _plain_numbers(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_plain_numbers(child) for child in value]
    return int(value) if type(value).__name__ == "Decimal" else value


class ConditionFailedError(Exception):
    """A condition did not hold. *items* has the item of each failed condition, by its place."""

    def __init__(self, items: dict[int, JsonObject]) -> None:
        """Keep what stood in the way."""
        super().__init__("a condition of the write did not hold")
        self.items = items


class Table:
    """The table by its name; *client* is boto3's for DynamoDB."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 has no static types
        name: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Hold the client; nothing is called yet."""
        self._client = client
        self._name = name
        self._sleep = sleep

    def get(self, pk: str, sk: str) -> JsonObject | None:
        """One item, strongly consistent."""
        with translated("read from the table"):
            answer = self._client.get_item(
                TableName=self._name, Key=encoded({"pk": pk, "sk": sk}), ConsistentRead=True
            )
        return decoded(answer["Item"]) if "Item" in answer else None

    def batch(self, keys: Sequence[tuple[str, str]]) -> Iterator[JsonObject]:
        """Those of the items that exist, strongly consistent, in no order."""
        pending = [encoded({"pk": pk, "sk": sk}) for pk, sk in keys]
        while pending:
            request = {"Keys": pending[:_BATCH], "ConsistentRead": True}
            with translated("read from the table"):
                answer = self._client.batch_get_item(RequestItems={self._name: request})
            yield from map(decoded, answer["Responses"].get(self._name, []))
            unread = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            pending = unread + pending[_BATCH:]

    def query(self, **arguments: Any) -> Iterator[JsonObject]:  # noqa: ANN401 - boto3's own
        """All items of a query, page after page; a caller that stops early reads no further."""
        while True:
            answer = self.query_page(**arguments)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def query_page(self, **arguments: Any) -> JsonObject:  # noqa: ANN401 - boto3's own
        """One page of a query as boto3 answers it, with its items in plain values."""
        if "ExpressionAttributeValues" in arguments:
            values = arguments["ExpressionAttributeValues"]
            arguments["ExpressionAttributeValues"] = encoded(values)
        if "IndexName" not in arguments:
            arguments["ConsistentRead"] = True
        with translated("read from the table"):
            answer: JsonObject = self._client.query(TableName=self._name, **arguments)
        return answer | {"Items": [decoded(item) for item in answer.get("Items", [])]}

    def update(self, update: JsonMapping) -> None:
        """One UpdateItem, given as in a transaction.

        Raises:
            ConditionFailedError: with the item as it is.
            TryAgainError: AWS has no room, or a transaction holds the item again and again.
        """
        self._without_conflict(
            lambda: self._client.update_item(
                TableName=self._name,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **update,
            )
        )

    def transact(self, writes: Sequence[JsonMapping]) -> None:
        """All of *writes* or none; each is `{"Put": {...}}`, or an Update or a ConditionCheck.

        Raises:
            ConditionFailedError: with the items whose conditions failed.
            TryAgainError: AWS has no room, or others hold an item again and again.
        """
        items = [
            {
                kind: {
                    "TableName": self._name,
                    **body,
                    **(
                        {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
                        if "ConditionExpression" in body
                        else {}
                    ),
                }
                for kind, body in write.items()
            }
            for write in writes
        ]
        self._without_conflict(lambda: self._client.transact_write_items(TransactItems=items))

    def _without_conflict(self, call: Callable[[], Any]) -> None:
        """Repeat *call* while another transaction is at an item, or for a moment of no room."""
        for attempt in range(_CONFLICT_TRIES):
            try:
                with translated("write to the table"):
                    call()
            except ClientError as error:
                failed = _failed_conditions(error)
                if failed is None:
                    raise
                if failed:
                    raise ConditionFailedError(failed) from None
            except TryAgainError as error:
                if "TransactionConflict" not in str(error):
                    raise
            else:
                return
            self._sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - jitter, no secret
        raise TryAgainError("others write to the same item again and again")


def _failed_conditions(error: ClientError) -> dict[int, JsonObject] | None:
    """The items of failed conditions; empty when it will pass; None when it was neither."""
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
