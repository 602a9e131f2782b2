"""The journal, the heart of the port Runs: every entry once, in one order, for every reader.

Writers run in threads, and in the interleavings that hypothesis thinks of.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.adapters.runs import CHUNK_ENTRIES
from tests.contract.ports import CREATED, a_run, an_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.journal import Entry, PlacedEntry, Position
    from taskrunner.model.run import Run
    from taskrunner.ports import Head
    from tests.contract.ports import Ports


def begun(world: Ports) -> Head:
    world.forget()
    run = a_run()
    world.runs.create(run, [CREATED])
    return world.runs.head(run.tenant, run.run_id)


def journal(world: Ports, run: Run, after: Position | None = None) -> Sequence[PlacedEntry]:
    return world.runs.journal(run.tenant, run.run_id, after=after)


def ids(placed: Sequence[PlacedEntry]) -> list[str]:
    return [one.entry.id for one in placed]


def entries(*names: str) -> list[Entry]:
    return [an_entry(name) for name in names]


def test_entries_stand_in_the_order_of_their_appends(world: Ports) -> None:
    head = begun(world)

    world.runs.append(head, entries("a", "b"))
    world.runs.append(head, entries("c"))

    found = journal(world, head.run)
    assert ids(found) == ["run.created", "a", "b", "c"]
    assert [one.position for one in found] == sorted({one.position for one in found})


def test_an_entry_is_read_as_it_was_written(world: Ports) -> None:
    head = begun(world)
    entry = an_entry("ä", step_path="outer[1]::leaf", message="naïve ☃", metadata={"attempt": "1"})

    world.runs.append(head, [entry])

    assert journal(world, head.run)[-1].entry == entry


def test_what_is_there_is_not_added_again(world: Ports) -> None:
    head = begun(world)
    world.runs.append(head, entries("a"))

    world.runs.append(head, entries("a", "b"))
    world.runs.append(head, entries("b"))

    assert ids(journal(world, head.run)) == ["run.created", "a", "b"]


def test_an_append_that_is_repeated_a_little_later_is_recognised(world: Ports) -> None:
    head = begun(world)
    world.runs.append(head, entries("first"))
    world.runs.append(head, entries("second"))

    fresh = world.runs.head(head.run.tenant, head.run.run_id)
    world.runs.append(fresh, entries("first", "last"))

    assert ids(journal(world, head.run)) == ["run.created", "first", "second", "last"]


def test_nothing_appended_is_nothing_changed(world: Ports) -> None:
    head = begun(world)

    world.runs.append(head, [])

    assert ids(journal(world, head.run)) == ["run.created"]


@pytest.mark.parametrize("count", [CHUNK_ENTRIES, CHUNK_ENTRIES + 1, 5 * CHUNK_ENTRIES])
def test_an_append_larger_than_a_chunk_stays_together(world: Ports, count: int) -> None:
    head = begun(world)
    many = [f"e{number}" for number in range(count)]

    world.runs.append(head, entries(*many))
    world.runs.append(head, entries("after"))

    assert ids(journal(world, head.run)) == ["run.created", *many, "after"]


def test_a_head_of_long_ago_still_appends_at_the_end(world: Ports) -> None:
    long_ago = begun(world)
    for number in range(3 * CHUNK_ENTRIES):
        world.runs.append(world.runs.head("acme", long_ago.run.run_id), entries(f"e{number}"))

    world.runs.append(long_ago, entries("late"))

    assert ids(journal(world, long_ago.run))[-1] == "late"


@pytest.mark.parametrize("there", range(1, 2 * CHUNK_ENTRIES))
def test_nobody_gets_in_before_what_was_read_already(world: Ports, there: int) -> None:
    """A large append may find a chunk too small where a little one would still fit."""
    head = begun(world)
    for number in range(1, there):
        world.runs.append(head, entries(f"e{number}"))
    old = world.runs.head(head.run.tenant, head.run.run_id)
    world.runs.append(old, entries("large.0", "large.1", "large.2"))
    read = journal(world, head.run)

    world.runs.append(old, entries("small"))

    assert ids(journal(world, head.run, read[-1].position)) == ["small"]
    assert journal(world, head.run)[:-1] == read


def test_a_clock_that_runs_backwards_changes_no_order(world: Ports) -> None:
    head = begun(world)
    times = ["2025-12-06T12:00:00.000Z", "1999-01-01T00:00:00.000Z", "2031-05-05T05:05:05.000Z"]

    for number, at in enumerate(times):
        world.runs.append(head, [an_entry(f"e{number}", occurred_at=at)])

    assert [one.entry.occurred_at for one in journal(world, head.run)[1:]] == times


def test_a_limit_and_a_position_cut_the_journal_without_loss(world: Ports) -> None:
    head = begun(world)
    for number in range(20):
        world.runs.append(head, entries(f"e{number}"))
    everything = journal(world, head.run)

    pages: list[PlacedEntry] = []
    while page := world.runs.journal(
        head.run.tenant, head.run.run_id, after=pages[-1].position if pages else None, limit=3
    ):
        assert len(page) <= 3
        pages += page

    assert pages == everything


def test_the_journal_of_nothing_is_empty(world: Ports) -> None:
    assert world.runs.journal("acme", "nowhere") == []


# Appends of one to three entries by up to four writers, each of whom may hold an old head.
_appends = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 3), st.booleans(), st.booleans()), max_size=25
)


@settings(max_examples=20, deadline=None)
@given(schedule=_appends)
def test_whoever_appends_in_whatever_order_a_follower_misses_nothing(
    world: Ports, schedule: list[tuple[int, int, bool, bool]]
) -> None:
    first = begun(world)
    heads = dict.fromkeys(range(4), first)
    written = ["run.created"]
    followed: list[PlacedEntry] = []
    for number, (writer, count, fresh_head, reads) in enumerate(schedule):
        if fresh_head:
            heads[writer] = world.runs.head(first.run.tenant, first.run.run_id)
        names = [f"{number}.{place}" for place in range(count)]
        world.runs.append(heads[writer], entries(*names))
        written += names
        if reads:
            followed += journal(world, first.run, followed[-1].position if followed else None)
    followed += journal(world, first.run, followed[-1].position if followed else None)

    assert ids(followed) == written
    assert followed == journal(world, first.run)


def test_parallel_writers_and_a_follower_agree_on_every_entry(world: Ports) -> None:
    head = begun(world)
    done = Flag()

    def write(writer: int) -> None:
        own = head
        for number in range(6):
            names = [f"{writer}.{number}.{place}" for place in range(1 + number % 3)]
            world.runs.append(own, entries(*names))
            if number % 4 == writer % 4:
                own = world.runs.head(head.run.tenant, head.run.run_id)

    def follow() -> list[PlacedEntry]:
        found: list[PlacedEntry] = []
        while True:
            last = done.is_set()
            found += journal(world, head.run, found[-1].position if found else None)
            if last:
                return found

    with ThreadPoolExecutor(6) as pool:
        follower = pool.submit(follow)
        for writer in [pool.submit(write, number) for number in range(5)]:
            writer.result()
        done.set()

    followed, everything = follower.result(), journal(world, head.run)
    assert followed == everything
    assert Counter(ids(everything)) == Counter(
        ["run.created"]
        + [
            f"{writer}.{number}.{place}"
            for writer in range(5)
            for number in range(6)
            for place in range(1 + number % 3)
        ]
    )
