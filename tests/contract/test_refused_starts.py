"""Starts from memory that DynamoDB refuses: of others, and those whose answer was lost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.ports import aws, client, moto
from tests.contract.samples import an_entry, entry_ids, new_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(name="_aws", autouse=True)
def _aws() -> Iterator[None]:
    with moto():
        yield


class LostAnswer:
    """A client of DynamoDB that repeats a call of UpdateItem, as botocore does without an answer.

    *between* is called before the repetition.
    """

    def __init__(self) -> None:
        self._dynamodb = client("dynamodb")
        self.between: Callable[[], None] = lambda: None
        self.is_lost = False

    def __getattr__(self, operation: str) -> Any:  # noqa: ANN401 - boto3 has no static types
        return getattr(self._dynamodb, operation)

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 - as above
        answer = self._dynamodb.update_item(**arguments)
        if not self.is_lost:
            return answer
        self.between()
        return _repeated(self._dynamodb.update_item, arguments)


def test_a_start_whose_answer_was_lost_is_recorded_once() -> None:
    dynamodb = LostAnswer()
    world = aws(dynamodb)
    snapshot = new_run(world)
    theirs = world.in_another_process()
    dynamodb.between = partial(theirs.append, snapshot, [an_entry("theirs")])
    dynamodb.is_lost = True
    known = world.runs.remembered("acme", snapshot.run.run_id, "next")
    assert known is not None

    assert world.runs.append_if_unchanged(known, [an_entry("next")])

    assert entry_ids(world, snapshot.run) == ["run.created", "next", "theirs"]
    assert world.runs.remembered("acme", snapshot.run.run_id, "later") is None


class LostRequest(LostAnswer):
    """As `LostAnswer`, but the first request is lost, and not its answer."""

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3 has no static types
        if self.is_lost:
            self.is_lost = False
            self.between()
            return _repeated(self._dynamodb.update_item, arguments)
        return self._dynamodb.update_item(**arguments)


class BusyAfterLostAnswer(LostAnswer):
    """As `LostAnswer`, but the repetition meets a transaction, and so fails."""

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3 has no static types
        answer = self._dynamodb.update_item(**arguments)
        if not self.is_lost:
            return answer
        self.is_lost = False
        conflict = {"Code": "TransactionConflictException", "Message": ""}
        raise ClientError(
            {"Error": conflict, "ResponseMetadata": {"RetryAttempts": 1}}, "UpdateItem"
        )


def _repeated(call: Callable[..., Any], arguments: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
    try:
        return call(**arguments)
    except ClientError as error:
        error.response["ResponseMetadata"]["RetryAttempts"] = 1
        raise


def test_a_start_whose_request_was_lost_is_not_taken_for_recorded() -> None:
    dynamodb = LostRequest()
    world = aws(dynamodb)
    snapshot = new_run(world)
    theirs = world.in_another_process()
    dynamodb.between = partial(theirs.append, snapshot, [an_entry("theirs")])
    known = world.runs.remembered("acme", snapshot.run.run_id, "next")
    assert known is not None
    dynamodb.is_lost = True

    assert not world.runs.append_if_unchanged(known, [an_entry("next")])

    assert entry_ids(world, snapshot.run) == ["run.created", "theirs"]


def test_a_start_whose_answer_was_lost_is_its_own_after_a_conflict() -> None:
    """Else the attempt would be taken for lost, although nothing else has begun it."""
    dynamodb = BusyAfterLostAnswer()
    world = aws(dynamodb)
    snapshot = new_run(world)
    known = world.runs.remembered("acme", snapshot.run.run_id, "next")
    assert known is not None
    dynamodb.is_lost = True

    assert world.runs.append_if_unchanged(known, [an_entry("next")])

    assert entry_ids(world, snapshot.run) == ["run.created", "next"]


def test_the_same_start_by_another_process_is_not_taken_for_its_own() -> None:
    """Even if both have the same text, because they were made in the same millisecond."""
    world = aws()
    snapshot = new_run(world)
    known = world.runs.remembered("acme", snapshot.run.run_id, "next")
    assert known is not None

    world.in_another_process().append(snapshot, [an_entry("next")])

    assert not world.runs.append_if_unchanged(known, [an_entry("next")])


def test_a_run_to_which_another_process_writes_is_not_remembered_again() -> None:
    """Else the first write of each of its steps would be made in vain."""
    world = aws()
    snapshot = new_run(world)
    known = world.runs.remembered("acme", snapshot.run.run_id, "next")
    assert known is not None
    world.in_another_process().append(snapshot, [an_entry("theirs")])
    assert not world.runs.append_if_unchanged(known, [an_entry("next")])

    world.runs.snapshot("acme", snapshot.run.run_id, "next")

    assert world.runs.remembered("acme", snapshot.run.run_id, "next") is None
