"""The journal of the port Runs: every reader sees every entry once, in the same order.

Writers run in threads, and in interleavings that hypothesis generates.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.adapters.journal_chunks import CHUNK_ENTRIES
from tests.contract.samples import an_entry, new_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.journal import Entry, PlacedEntry, Position
    from taskrunner.model.run import Run
    from taskrunner.ports import RunSnapshot
    from tests.contract.ports import Ports


def empty_journal(world: Ports) -> RunSnapshot:
    """Empty *world* and record a new run in it."""
    world.forget()
    return new_run(world)


def journal(world: Ports, run: Run, after: Position | None = None) -> Sequence[PlacedEntry]:
    return world.runs.journal(run.tenant, run.run_id, after=after)


def ids(placed: Sequence[PlacedEntry]) -> list[str]:
    return [item.entry.id for item in placed]


def entries(*names: str) -> list[Entry]:
    return [an_entry(name) for name in names]


def test_entries_are_in_the_order_of_their_appends(world: Ports) -> None:
    snapshot = empty_journal(world)

    world.runs.append(snapshot, entries("a", "b"))
    world.runs.append(snapshot, entries("c"))

    placed = journal(world, snapshot.run)
    assert ids(placed) == ["run.created", "a", "b", "c"]
    assert [item.position for item in placed] == sorted({item.position for item in placed})


def test_an_entry_is_read_as_it_was_written(world: Ports) -> None:
    snapshot = empty_journal(world)
    entry = an_entry("ä", step_path="outer[1]::leaf", message="naïve ☃", metadata={"attempt": "1"})

    world.runs.append(snapshot, [entry])

    assert journal(world, snapshot.run)[-1].entry == entry


def test_appending_an_entry_again_has_no_effect(world: Ports) -> None:
    snapshot = empty_journal(world)
    world.runs.append(snapshot, entries("a"))

    world.runs.append(snapshot, entries("a", "b"))
    world.runs.append(snapshot, entries("b"))

    assert ids(journal(world, snapshot.run)) == ["run.created", "a", "b"]


def test_recognises_an_append_that_is_repeated_soon(world: Ports) -> None:
    snapshot = empty_journal(world)
    world.runs.append(snapshot, entries("first"))
    world.runs.append(snapshot, entries("second"))

    fresh = world.runs.snapshot(snapshot.run.tenant, snapshot.run.run_id)
    world.runs.append(fresh, entries("first", "last"))

    assert ids(journal(world, snapshot.run)) == ["run.created", "first", "second", "last"]


def test_appending_nothing_has_no_effect(world: Ports) -> None:
    snapshot = empty_journal(world)

    world.runs.append(snapshot, [])

    assert ids(journal(world, snapshot.run)) == ["run.created"]


@pytest.mark.parametrize("count", [CHUNK_ENTRIES, CHUNK_ENTRIES + 1, 5 * CHUNK_ENTRIES])
def test_an_append_larger_than_a_chunk_stays_together(world: Ports, count: int) -> None:
    snapshot = empty_journal(world)
    names = [f"e{number}" for number in range(count)]

    world.runs.append(snapshot, entries(*names))
    world.runs.append(snapshot, entries("after"))

    assert ids(journal(world, snapshot.run)) == ["run.created", *names, "after"]


def test_appends_at_the_end_with_an_old_head(world: Ports) -> None:
    old_head = empty_journal(world)
    for number in range(3 * CHUNK_ENTRIES):
        world.runs.append(world.runs.snapshot("acme", old_head.run.run_id), entries(f"e{number}"))

    world.runs.append(old_head, entries("late"))

    assert ids(journal(world, old_head.run))[-1] == "late"


@pytest.mark.parametrize("present", range(1, 2 * CHUNK_ENTRIES))
def test_never_inserts_before_an_entry_that_was_read(world: Ports, present: int) -> None:
    """A large append may not fit into a chunk that still has room for a small one."""
    snapshot = empty_journal(world)
    for number in range(1, present):
        world.runs.append(snapshot, entries(f"e{number}"))
    old = world.runs.snapshot(snapshot.run.tenant, snapshot.run.run_id)
    world.runs.append(old, entries("large.0", "large.1", "large.2"))
    read = journal(world, snapshot.run)

    world.runs.append(old, entries("small"))

    assert ids(journal(world, snapshot.run, read[-1].position)) == ["small"]
    assert journal(world, snapshot.run)[:-1] == read


def test_the_order_does_not_depend_on_the_writers_clocks(world: Ports) -> None:
    snapshot = empty_journal(world)
    times = ["2025-12-06T12:00:00.000Z", "1999-01-01T00:00:00.000Z", "2031-05-05T05:05:05.000Z"]

    for number, at in enumerate(times):
        world.runs.append(snapshot, [an_entry(f"e{number}", occurred_at=at)])

    assert [item.entry.occurred_at for item in journal(world, snapshot.run)[1:]] == times


def test_pages_by_position_and_limit_contain_every_entry(world: Ports) -> None:
    snapshot = empty_journal(world)
    for number in range(20):
        world.runs.append(snapshot, entries(f"e{number}"))
    everything = journal(world, snapshot.run)

    pages: list[PlacedEntry] = []
    while page := world.runs.journal(
        snapshot.run.tenant,
        snapshot.run.run_id,
        after=pages[-1].position if pages else None,
        limit=3,
    ):
        assert len(page) <= 3
        pages += page

    assert pages == everything


@pytest.mark.parametrize("length", [1, CHUNK_ENTRIES, CHUNK_ENTRIES + 1, 5 * CHUNK_ENTRIES])
def test_the_end_of_the_journal_has_the_last_entries_in_order(world: Ports, length: int) -> None:
    snapshot = empty_journal(world)
    world.runs.append(snapshot, entries(*[f"e{number}" for number in range(1, length)]))
    everything = journal(world, snapshot.run)

    for count in range(1, length + 2):
        end = world.runs.journal_end(snapshot.run.tenant, snapshot.run.run_id, count)
        assert end == everything[-count:]


@pytest.mark.parametrize("count", [1, CHUNK_ENTRIES, 2 * CHUNK_ENTRIES + 1])
def test_the_journal_is_read_backwards_page_by_page(world: Ports, count: int) -> None:
    snapshot = empty_journal(world)
    world.runs.append(snapshot, entries(*[f"e{n}" for n in range(3 * CHUNK_ENTRIES)]))
    everything = journal(world, snapshot.run)

    read = list(world.runs.journal_end(snapshot.run.tenant, snapshot.run.run_id, count))
    while page := world.runs.journal_end(
        snapshot.run.tenant, snapshot.run.run_id, count, before=read[0].position
    ):
        assert len(page) <= count
        read = [*page, *read]

    assert read == everything


def test_a_reader_of_the_end_follows_on_from_its_last_entry(world: Ports) -> None:
    snapshot = empty_journal(world)
    world.runs.append(snapshot, entries(*[f"e{number}" for number in range(20)]))
    end = world.runs.journal_end(snapshot.run.tenant, snapshot.run.run_id, 3)

    world.runs.append(snapshot, entries("new"))

    assert ids(end) == ["e17", "e18", "e19"]
    assert ids(journal(world, snapshot.run, end[-1].position)) == ["new"]


def test_the_journal_of_an_unknown_run_is_empty(world: Ports) -> None:
    assert world.runs.journal("acme", "nowhere") == []
    assert world.runs.journal_end("acme", "nowhere", 5) == []


# Appends of one to three entries by up to four writers, who may have old heads.
_appends = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 3), st.booleans(), st.booleans()), max_size=25
)


@settings(max_examples=20)
@given(schedule=_appends)
def test_a_follower_misses_nothing_in_any_order_of_appends(
    world: Ports, schedule: list[tuple[int, int, bool, bool]]
) -> None:
    first = empty_journal(world)
    heads = dict.fromkeys(range(4), first)
    written = ["run.created"]
    followed: list[PlacedEntry] = []
    for number, (writer, count, fresh_head, reads) in enumerate(schedule):
        if fresh_head:
            heads[writer] = world.runs.snapshot(first.run.tenant, first.run.run_id)
        names = [f"{number}.{place}" for place in range(count)]
        world.runs.append(heads[writer], entries(*names))
        written += names
        if reads:
            followed += journal(world, first.run, followed[-1].position if followed else None)
    followed += journal(world, first.run, followed[-1].position if followed else None)

    assert ids(followed) == written
    assert followed == journal(world, first.run)


def test_parallel_writers_and_a_follower_agree_on_every_entry(world: Ports) -> None:
    snapshot = empty_journal(world)
    done = Flag()

    def write(writer: int) -> None:
        current_head = snapshot
        for number in range(6):
            names = [f"{writer}.{number}.{place}" for place in range(1 + number % 3)]
            world.runs.append(current_head, entries(*names))
            if number % 4 == writer % 4:
                current_head = world.runs.snapshot(snapshot.run.tenant, snapshot.run.run_id)

    def follow() -> list[PlacedEntry]:
        read: list[PlacedEntry] = []
        while True:
            is_last_read = done.is_set()
            read += journal(world, snapshot.run, read[-1].position if read else None)
            if is_last_read:
                return read

    with ThreadPoolExecutor(6) as pool:
        follower = pool.submit(follow)
        for writer in [pool.submit(write, number) for number in range(5)]:
            writer.result()
        done.set()

    followed, everything = follower.result(), journal(world, snapshot.run)
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
