"""The journal under queries that are not snapshots, because DynamoDB's queries are not.

A strongly consistent query reads one item after the other. It may see one writer's entry in a later
item and miss an earlier entry in an item before that. The reader must not skip such an entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.ports import aws, client, moto
from tests.contract.samples import an_entry, new_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner.model.journal import PlacedEntry
    from tests.contract.ports import Ports


class SlowQueries:
    """A client whose queries read item by item, and call *between* before each but the first."""

    def __init__(self, real: Any) -> None:  # noqa: ANN401 - boto3 has no static types
        self._real = real
        self.between: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._real, name)

    def query(self, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3's own
        limit = arguments.pop("Limit", None)
        items: list[Any] = []
        while limit is None or len(items) < limit:
            if items:
                self.between()
            page = self._real.query(**arguments, Limit=1)
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                break
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return {"Items": items}


@pytest.fixture(name="slow", scope="module")
def _slow() -> Iterator[tuple[Ports, SlowQueries]]:
    with moto():
        queries = SlowQueries(client("dynamodb"))
        yield aws(queries), queries


@settings(max_examples=8)
@given(sizes=st.lists(st.integers(1, 10), min_size=1, max_size=12), before=st.integers(1, 12))
def test_a_follower_misses_nothing_if_queries_are_not_snapshots(
    slow: tuple[Ports, SlowQueries], sizes: list[int], before: int
) -> None:
    world, queries = slow
    world.forget()
    snapshot = new_run(world)
    run = snapshot.run
    for number in range(before):
        world.runs.append(snapshot, [an_entry(f"before.{number}")])
    pending = iter([f"{number}.{place}" for place in range(n)] for number, n in enumerate(sizes))
    written = [f"before.{number}" for number in range(before)]

    def append_more() -> None:
        queries.between = lambda: None  # a writer's own queries are not interrupted
        for names in (next(pending, []), next(pending, []), next(pending, [])):
            world.runs.append(snapshot, [an_entry(name) for name in names])
            written.extend(names)

    followed: list[PlacedEntry] = []
    for _ in range(len(sizes) + 1):
        queries.between = append_more
        last = followed[-1].position if followed else None
        followed += world.runs.journal("acme", run.run_id, after=last)
        append_more()
    last = followed[-1].position if followed else None
    followed += world.runs.journal("acme", run.run_id, after=last)

    assert [placed.entry.id for placed in followed] == ["run.created", *written]
