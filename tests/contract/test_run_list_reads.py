"""The reads of DynamoDB that the lists of runs, and the end of a journal, cost."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import InvalidRequestError
from taskrunner.model.run import RunStatus
from taskrunner.model.run_filters import RunFilters
from tests.contract.ports import TABLE, aws, client, moto
from tests.contract.samples import ENDED, a_run, an_entry, new_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.ports import Ports

RUNS = 230


class CountingClient:
    """A client that keeps the arguments of its reads."""

    def __init__(self, real: Any) -> None:  # noqa: ANN401 - boto3 has no static types
        self._real = real
        self.queries: list[dict[str, Any]] = []
        self.gotten = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._real, name)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's own
        self.queries.append(arguments)
        return self._real.query(**arguments)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's own
        (request,) = arguments["RequestItems"].values()
        self.gotten += len(request["Keys"])
        return self._real.batch_get_item(**arguments)


@pytest.fixture(name="counted", scope="module")
def _counted() -> Iterator[tuple[Ports, CountingClient]]:
    """A world with many runs of one pack, the oldest of which was created by bob."""
    with moto():
        counting = CountingClient(client("dynamodb"))
        world = aws(counting)
        for number in range(RUNS):
            at = f"2025-12-06T12:{number // 60:02d}:{number % 60:02d}.000Z"
            new_run(world, a_run(created_at=at, created_by="ana" if number else "bob"))
        yield world, counting


def test_a_page_of_one_filter_reads_what_it_lists(counted: tuple[Ports, CountingClient]) -> None:
    world, counting = counted
    counting.queries.clear()
    counting.gotten = 0

    page = world.runs.list("acme", 10, None, RunFilters(pack="deploy-app"))

    assert len(page.items) == 10
    assert counting.gotten == 10
    assert [query["Limit"] for query in counting.queries if "IndexName" in query] == [10]


def test_a_page_of_several_filters_reads_a_limited_number_of_runs(
    counted: tuple[Ports, CountingClient],
) -> None:
    world, counting = counted
    filters = RunFilters(requested_by="bob", status=RunStatus.QUEUED)
    counting.gotten = 0

    first = world.runs.list("acme", 5, None, filters)
    read_first = counting.gotten
    second = world.runs.list("acme", 5, first.cursor, filters)

    assert (list(first.items), read_first) == ([], 200)
    assert [item["createdBy"] for item in second.items] == ["bob"]
    assert second.cursor is None
    assert counting.gotten == RUNS


def test_refuses_a_cursor_outside_of_the_times(counted: tuple[Ports, CountingClient]) -> None:
    world, _ = counted
    filters = RunFilters(created_after="2025-12-06T12:01:00.000Z")
    cursor = world.runs.list("acme", 1, None, filters).cursor
    assert cursor is not None
    run_id, sk, _place, digest = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    parts = [run_id, sk, f"2025-12-06T12:00:59.999Z#{run_id}", digest]
    forged = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")

    with pytest.raises(InvalidRequestError, match="omit it to start over"):
        world.runs.list("acme", 1, forged, filters)


def test_a_run_of_an_earlier_version_is_listed_without_filters_and_by_its_end(
    counted: tuple[Ports, CountingClient],
) -> None:
    """Its item has no list, and it has no items for other lists."""
    world, counting = counted
    snapshot = new_run(world, a_run("older", tenant="earlier"))
    pk = {"S": "T#earlier#R#older"}
    for sk in ("I#pack", "I#version", "I#requester"):
        counting.delete_item(TableName=TABLE, Key={"pk": pk, "sk": {"S": sk}})
    counting.update_item(
        TableName=TABLE, Key={"pk": pk, "sk": {"S": "R"}}, UpdateExpression="REMOVE run_list"
    )

    def listed(filters: RunFilters) -> list[str]:
        return [item["runId"] for item in world.runs.list("earlier", 10, None, filters).items]

    assert listed(RunFilters()) == listed(RunFilters(created_after="2025")) == ["older"]
    assert (
        listed(RunFilters(pack="deploy-app")) == listed(RunFilters(status=RunStatus.QUEUED)) == []
    )
    world.runs.end(snapshot, RunStatus.SUCCEEDED, [ENDED])
    assert listed(RunFilters(status=RunStatus.SUCCEEDED)) == ["older"]


def test_the_end_of_a_long_journal_is_one_query_of_the_chunks_that_hold_it(
    counted: tuple[Ports, CountingClient],
) -> None:
    world, counting = counted
    run = a_run(tenant="globex")
    snapshot = new_run(world, run)
    world.runs.append(snapshot, [an_entry(f"e{number}") for number in range(100)])
    for number in range(100, 120):
        world.runs.append(snapshot, [an_entry(f"e{number}")])
    counting.queries.clear()

    end = world.runs.journal_end("globex", run.run_id, 10)

    assert [placed.entry.id for placed in end] == [f"e{number}" for number in range(110, 120)]
    assert [query["Limit"] for query in counting.queries] == [3]
