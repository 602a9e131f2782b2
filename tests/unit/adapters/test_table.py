"""The table's own rules, where AWS refuses: what failed, what passes, and what is a bug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from taskrunner.adapters.table import ConditionFailedError, Table, decoded, encoded
from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Sequence

PUT: dict[str, Any] = {"Put": {"Item": {}, "ConditionExpression": "attribute_not_exists(pk)"}}
CHECK: dict[str, Any] = {"ConditionCheck": {"Key": {}, "ConditionExpression": "x"}}


def cancelled(*reasons: str | dict[str, Any]) -> ClientError:
    """A transaction that was cancelled for these reasons, one for each of its writes."""
    told = [{"Code": one} if isinstance(one, str) else one for one in reasons]
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": told,
    }
    return ClientError(response, "TransactWriteItems")


def refused(code: str, **more: Any) -> ClientError:  # noqa: ANN401 - any part of an answer
    return ClientError({"Error": {"Code": code, "Message": code}, **more}, "UpdateItem")


class Scripted:
    """A client that answers with what it was given, one after the other; the last one for ever."""

    def __init__(self, *answers: Any) -> None:  # noqa: ANN401 - an error, or an answer
        self._answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    def __getattr__(self, _name: str) -> Any:  # noqa: ANN401 - any call
        return self._call

    def _call(self, **arguments: Any) -> Any:  # noqa: ANN401
        self.calls.append(arguments)
        answer = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def a_table(*answers: Any) -> tuple[Table, Scripted, list[float]]:  # noqa: ANN401
    client, pauses = Scripted(*answers), list[float]()
    return Table(client, "runs", pauses.append), client, pauses


class TestTransactions:
    @pytest.mark.parametrize(
        "error",
        [
            cancelled("None", "TransactionConflict"),
            cancelled("ThrottlingError", "None"),
            cancelled("ProvisionedThroughputExceeded", "TransactionConflict"),
        ],
        ids=["conflict", "throttled", "both"],
    )
    def test_what_passes_is_tried_again(self, error: ClientError) -> None:
        table, client, pauses = a_table(error, error, {})

        table.transact([PUT, CHECK])

        assert len(client.calls) == 3
        assert len(pauses) == 2

    @pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError"])
    def test_what_does_not_pass_in_seconds_is_left_to_the_caller(self, reason: str) -> None:
        table, client, pauses = a_table(cancelled(reason))

        with pytest.raises(TryAgainError):
            table.transact([PUT])

        assert len(client.calls) == 8
        assert sum(pauses) < 6

    def test_a_failed_condition_tells_which_and_what_stood_in_the_way(self) -> None:
        failed = {"Code": "ConditionalCheckFailed", "Item": {"version": {"N": "3"}}}
        table, client, _ = a_table(cancelled("None", failed, {"Code": "ConditionalCheckFailed"}))

        with pytest.raises(ConditionFailedError) as caught:
            table.transact([PUT, CHECK, CHECK])

        assert caught.value.items == {1: {"version": 3}, 2: {}}
        assert len(client.calls) == 1

    def test_a_condition_that_failed_beside_a_conflict_is_final(self) -> None:
        table, client, _ = a_table(cancelled("TransactionConflict", "ConditionalCheckFailed"))

        with pytest.raises(ConditionFailedError) as caught:
            table.transact([PUT, CHECK])

        assert caught.value.items == {1: {}}
        assert len(client.calls) == 1

    @pytest.mark.parametrize("reasons", [["ValidationError"], ["DuplicateItem", "None"]])
    def test_a_bug_looks_like_a_bug(self, reasons: Sequence[str]) -> None:
        table, client, _ = a_table(cancelled(*reasons))

        with pytest.raises(ClientError):
            table.transact([PUT])

        assert len(client.calls) == 1

    def test_only_what_has_a_condition_asks_for_the_item_in_its_way(self) -> None:
        table, client, _ = a_table({})

        table.transact([PUT, {"Put": {"Item": {}}}])

        first, second = client.calls[0]["TransactItems"]
        assert first["Put"]["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
        assert "ReturnValuesOnConditionCheckFailure" not in second["Put"]


class TestUpdates:
    def test_a_transaction_at_the_item_is_waited_for(self) -> None:
        table, client, pauses = a_table(refused("TransactionConflictException"), {})

        table.update({"Key": {}})

        assert (len(client.calls), len(pauses)) == (2, 1)

    def test_a_throttle_is_left_to_the_caller_at_once(self) -> None:
        table, client, _ = a_table(refused("ThrottlingException"))

        with pytest.raises(TryAgainError):
            table.update({"Key": {}})

        assert len(client.calls) == 1

    def test_a_failed_condition_has_the_item_as_it_is(self) -> None:
        item = {"entries": {"L": [{"S": "a"}]}}
        table, _, _ = a_table(refused("ConditionalCheckFailedException", Item=item))

        with pytest.raises(ConditionFailedError) as caught:
            table.update({"Key": {}})

        assert caught.value.items == {0: {"entries": ["a"]}}

    def test_a_bug_looks_like_a_bug(self) -> None:
        table, _, _ = a_table(refused("ValidationException"))

        with pytest.raises(ClientError):
            table.update({"Key": {}})


class TestReads:
    def test_keys_that_dynamodb_left_unread_are_read_again(self) -> None:
        left = {"runs": {"Keys": [encoded({"pk": "b", "sk": "S"})]}}
        table, client, _ = a_table(
            {"Responses": {"runs": [encoded({"pk": "a"})]}, "UnprocessedKeys": left},
            {"Responses": {"runs": [encoded({"pk": "b"})]}},
        )

        found = list(table.batch([("a", "S"), ("b", "S")]))

        assert found == [{"pk": "a"}, {"pk": "b"}]
        assert client.calls[1]["RequestItems"]["runs"]["Keys"] == left["runs"]["Keys"]

    def test_a_query_reads_page_after_page_and_no_further_than_it_is_followed(self) -> None:
        page = {"Items": [encoded({"n": 1})], "LastEvaluatedKey": {"pk": {"S": "a"}}}
        table, client, _ = a_table(page, {"Items": [encoded({"n": 2})]})

        items = table.query(KeyConditionExpression="pk = :pk")

        assert next(items) == {"n": 1}
        assert len(client.calls) == 1
        assert list(items) == [{"n": 2}]
        assert client.calls[1]["ExclusiveStartKey"] == page["LastEvaluatedKey"]

    def test_the_table_is_read_consistently_and_an_index_as_it_can(self) -> None:
        table, client, _ = a_table({"Items": []})

        table.query_page(KeyConditionExpression="x")
        table.query_page(KeyConditionExpression="x", IndexName="runs-by-tenant")

        assert [one.get("ConsistentRead") for one in client.calls] == [True, None]


def test_an_item_comes_back_without_what_was_none() -> None:
    item = {"text": "ä", "n": 3, "yes": True, "list": [{"n": 1}], "ids": {"a", "b"}, "none": None}

    assert decoded(encoded(item)) == {k: v for k, v in item.items() if v is not None}
