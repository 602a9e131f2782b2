"""The table's calls where AWS refuses them, and how it reads page after page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from taskrunner.adapters.table import ConditionFailedError, Table
from taskrunner.adapters.table_layout import Key
from taskrunner.adapters.table_requests import Check, Put, Query, Update, decoded, encoded
from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = Key("T#acme#R#run-7", "R")
PUT = Put(item={"pk": "a", "sk": "R"}, condition="attribute_not_exists(pk)")
CHECK = Check(key=KEY, condition="attribute_exists(pk)")
UPDATE = Update(key=KEY, expression="REMOVE unfinished")


def cancelled(*reasons: str | dict[str, Any]) -> ClientError:
    """A transaction that was cancelled for these reasons, one for each of its writes."""
    listed = [{"Code": reason} if isinstance(reason, str) else reason for reason in reasons]
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": listed,
    }
    return ClientError(response, "TransactWriteItems")


def refused(code: str, **more: Any) -> ClientError:  # noqa: ANN401 - any part of an answer
    return ClientError({"Error": {"Code": code, "Message": code}, **more}, "UpdateItem")


class Scripted:
    """A client that gives one answer after the other, and then repeats the last one."""

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
    def test_repeats_a_transaction_that_meets_a_passing_error(self, error: ClientError) -> None:
        table, client, pauses = a_table(error, error, {})

        table.transact([PUT, CHECK])

        assert len(client.calls) == 3
        assert len(pauses) == 2

    @pytest.mark.parametrize(
        "error",
        [cancelled("None", "TransactionConflict"), refused("ThrottlingException")],
        ids=["conflict", "busy"],
    )
    def test_repeats_a_transaction_for_as_long_as_the_caller_has(self, error: ClientError) -> None:
        table, client, pauses = a_table(*[error] * 100, {})

        table.transact([PUT, CHECK], patience_s=600)

        assert len(client.calls) == 101
        assert max(pauses) <= 2

    @pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError"])
    def test_gives_up_within_seconds_and_leaves_it_to_the_caller(self, reason: str) -> None:
        table, client, pauses = a_table(cancelled(reason))

        with pytest.raises(TryAgainError):
            table.transact([PUT])

        assert len(client.calls) == 8
        assert sum(pauses) < 6

    def test_reports_which_conditions_failed_and_the_present_items(self) -> None:
        failed = {"Code": "ConditionalCheckFailed", "Item": {"version": {"N": "3"}}}
        table, client, _ = a_table(cancelled("None", failed, {"Code": "ConditionalCheckFailed"}))

        with pytest.raises(ConditionFailedError) as caught:
            table.transact([PUT, CHECK, CHECK])

        assert caught.value.items == {1: {"version": 3}, 2: {}}
        assert len(client.calls) == 1

    def test_does_not_repeat_if_a_condition_failed_beside_a_conflict(self) -> None:
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

    def test_asks_for_the_present_item_of_writes_with_a_condition_only(self) -> None:
        table, client, _ = a_table({})

        table.transact([PUT, Put(item={"pk": "b", "sk": "R"})])

        first, second = client.calls[0]["TransactItems"]
        assert first["Put"]["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
        assert "ReturnValuesOnConditionCheckFailure" not in second["Put"]


class TestUpdates:
    def test_asks_for_the_item_only_if_it_is_returned(self) -> None:
        table, client, _ = a_table({}, {"Attributes": {"entries": {"L": [{"S": "a"}]}}})

        table.update(UPDATE)
        item = table.updated(UPDATE)

        assert item == {"entries": ["a"]}
        assert [call.get("ReturnValues") for call in client.calls] == [None, "ALL_NEW"]

    def test_repeats_an_update_that_meets_a_transaction(self) -> None:
        table, client, pauses = a_table(refused("TransactionConflictException"), {})

        table.update(UPDATE)

        assert (len(client.calls), len(pauses)) == (2, 1)

    def test_leaves_a_throttle_to_the_caller_at_once(self) -> None:
        table, client, _ = a_table(refused("ThrottlingException"))

        with pytest.raises(TryAgainError):
            table.update(UPDATE)

        assert len(client.calls) == 1

    def test_reports_the_present_item_of_a_failed_condition(self) -> None:
        item = {"entries": {"L": [{"S": "a"}]}}
        table, _, _ = a_table(refused("ConditionalCheckFailedException", Item=item))

        with pytest.raises(ConditionFailedError) as caught:
            table.update(UPDATE)

        assert caught.value.items == {0: {"entries": ["a"]}}

    def test_a_bug_looks_like_a_bug(self) -> None:
        table, _, _ = a_table(refused("ValidationException"))

        with pytest.raises(ClientError):
            table.update(UPDATE)


class TestReads:
    def test_reads_keys_again_that_dynamodb_left_unread(self) -> None:
        left = {"runs": {"Keys": [encoded({"pk": "b", "sk": "S"})]}}
        table, client, _ = a_table(
            {"Responses": {"runs": [encoded({"pk": "a"})]}, "UnprocessedKeys": left},
            {"Responses": {"runs": [encoded({"pk": "b"})]}},
        )

        found = list(table.batch([Key("a", "S"), Key("b", "S")]))

        assert found == [{"pk": "a"}, {"pk": "b"}]
        assert client.calls[1]["RequestItems"]["runs"]["Keys"] == left["runs"]["Keys"]

    def test_reads_no_page_of_a_query_before_it_is_needed(self) -> None:
        page = {"Items": [encoded({"n": 1})], "LastEvaluatedKey": {"pk": {"S": "a"}}}
        table, client, _ = a_table(page, {"Items": [encoded({"n": 2})]})

        items = table.query(Query(condition="pk = :pk", values={":pk": "a"}))

        assert next(items) == {"n": 1}
        assert len(client.calls) == 1
        assert list(items) == [{"n": 2}]
        assert client.calls[1]["ExclusiveStartKey"] == page["LastEvaluatedKey"]

    def test_reads_the_table_consistently_and_an_index_eventually(self) -> None:
        table, client, _ = a_table({"Items": []})

        table.page(Query(condition="x", values={}))
        table.page(Query(condition="x", values={}, index="runs-by-tenant"))

        assert [call.get("ConsistentRead") for call in client.calls] == [True, None]


def test_an_item_is_read_as_it_was_written_without_its_none_values() -> None:
    item = {"text": "ä", "n": 3, "yes": True, "list": [{"n": 1}], "ids": {"a", "b"}, "none": None}

    assert decoded(encoded(item)) == {k: v for k, v in item.items() if v is not None}
