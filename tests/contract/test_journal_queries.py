"""The journal under queries that are no snapshot, which is all that DynamoDB promises.

A strongly consistent query reads one item after the other; whoever writes in between may be seen
in a later item and not in an earlier one. The journal's reader must not be led past an entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.ports import CREATED, a_run, an_entry, aws, client, moto

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner.model.journal import PlacedEntry
    from tests.contract.ports import Ports


class SlowQueries:
    """A client whose queries read item by item; *between* is called before each but the first."""

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


@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(1, 10), min_size=1, max_size=12), before=st.integers(1, 12))
def test_a_query_that_is_no_snapshot_loses_a_follower_nothing(
    slow: tuple[Ports, SlowQueries], sizes: list[int], before: int
) -> None:
    world, queries = slow
    world.forget()
    run = a_run()
    world.runs.create(run, [CREATED])
    head = world.runs.head("acme", run.run_id)
    for number in range(before):
        world.runs.append(head, [an_entry(f"before.{number}")])
    waiting = iter([f"{number}.{place}" for place in range(n)] for number, n in enumerate(sizes))
    written = [f"before.{number}" for number in range(before)]

    def append_more() -> None:
        queries.between = lambda: None  # a writer's own queries are not interrupted
        for names in (next(waiting, []), next(waiting, []), next(waiting, [])):
            world.runs.append(head, [an_entry(name) for name in names])
            written.extend(names)

    followed: list[PlacedEntry] = []
    for _ in range(len(sizes) + 1):
        queries.between = append_more
        last = followed[-1].position if followed else None
        followed += world.runs.journal("acme", run.run_id, after=last)
        append_more()
    last = followed[-1].position if followed else None
    followed += world.runs.journal("acme", run.run_id, after=last)

    assert [one.entry.id for one in followed] == ["run.created", *written]
