from __future__ import annotations

from dataclasses import replace

import pytest

from taskrunner.adapters.known_journals import KnownJournals
from taskrunner.adapters.table_layout import chunk_key, partition_of
from taskrunner.model.journal import Entry, Event
from taskrunner.model.run import Run, RunStatus, StepsEnd
from tests.contract.samples import CREATED, a_run, an_entry

RUN = a_run()
PARTITION = partition_of(RUN)
SK = [chunk_key(PARTITION, number).sk for number in range(4)]


def entries(count: int, first: int = 0) -> list[Entry]:
    return [an_entry(f"e{number}", step_path=f"s{number}") for number in range(first, count)]


def known(count: int) -> KnownJournals:
    journals = KnownJournals(8)
    journals.see(RUN, SK[0], entries(count), 0)
    assert journals.find(PARTITION) is not None
    return journals


def test_a_journal_is_known_from_its_first_chunk_on() -> None:
    journals = KnownJournals(8)

    journals.see(RUN, SK[1], entries(3), 0)
    assert journals.find(PARTITION) is None

    journals.see(RUN, SK[0], [CREATED], 0)
    assert journals.find(PARTITION) is not None


def test_the_next_chunk_continues_one_that_is_known_to_be_full() -> None:
    journals = known(8)

    journals.see(RUN, SK[1], entries(2), 7)

    found = journals.find(PARTITION)
    assert found is not None
    assert (found.number, len(found.entries), found.used_ms) == (1, 2, 7)


@pytest.mark.parametrize(("count", "number"), [(7, 1), (8, 2)])
def test_a_journal_with_a_gap_is_not_known(count: int, number: int) -> None:
    """A query is not a snapshot: it may read the next chunk of one that it read before it full."""
    journals = known(count)

    journals.see(RUN, SK[number], entries(1), 0)

    assert journals.find(PARTITION) is None


@pytest.mark.parametrize("count", [3, 4])
def test_a_read_from_before_the_last_addition_changes_nothing(count: int) -> None:
    journals = known(4)
    now = journals.find(PARTITION)

    journals.see(RUN, SK[0], entries(count), 0)

    assert journals.find(PARTITION) == now


def test_an_addition_to_another_chunk_than_the_last_is_not_known() -> None:
    journals = known(4)

    journals.add(journals.find(PARTITION), 1, entries(1))

    assert journals.find(PARTITION) is None


def test_an_addition_that_another_thread_has_read_is_noted_once() -> None:
    journals = known(4)
    before = journals.find(PARTITION)
    journals.see(RUN, SK[0], entries(5), 3)

    journals.add(before, 0, entries(5, first=4), 3)

    found = journals.find(PARTITION)
    assert found is not None
    assert (len(found.entries), found.used_ms) == (5, 3)


@pytest.mark.parametrize("is_exact", [False, True])
def test_a_chunk_that_two_threads_fill_is_not_known(*, is_exact: bool) -> None:
    """Another process may have added between them: 5, ours, theirs, and two of another thread."""
    journals = known(5)
    before = journals.find(PARTITION)
    journals.add(before, 0, entries(7, first=5))

    journals.add(before, 0, entries(8, first=7), is_exact=is_exact)

    assert journals.find(PARTITION) is None


@pytest.mark.parametrize(("count", "is_exact"), [(7, False), (6, True)])
def test_a_chunk_that_it_alone_has_filled_is_known(count: int, *, is_exact: bool) -> None:
    journals = known(count)

    journals.add(journals.find(PARTITION), 0, entries(8, first=count), 5, is_exact=is_exact)
    journals.add(journals.find(PARTITION), 1, entries(9, first=8), 5)

    found = journals.find(PARTITION)
    assert found is not None
    assert (found.number, len(found.entries), found.used_ms) == (1, 1, 10)


@pytest.mark.parametrize(
    "event",
    [
        Event.RUN_CANCELLED,
        Event.RUN_COMPLETED,
        Event.RUN_FAILED,
        Event.RUN_STEPS_ENDED,
        Event.RUN_STEPS_FAILED,
    ],
)
def test_a_run_that_was_read_before_its_record_changed_is_not_known(event: Event) -> None:
    """The run is read before its journal, so the journal may say more."""
    journals = KnownJournals(8)

    journals.see(RUN, SK[0], [CREATED, an_entry("changes", event)], 0)

    assert journals.find(PARTITION) is None


@pytest.mark.parametrize(
    "run",
    [
        replace(RUN, outcome=RunStatus.FAILED),
        replace(RUN, steps_end=StepsEnd(outcome=RunStatus.SUCCEEDED)),
    ],
)
def test_a_run_whose_steps_have_ended_is_not_known(run: Run) -> None:
    journals = KnownJournals(8)

    journals.see(run, SK[0], [CREATED], 0)

    assert journals.find(PARTITION) is None


def test_what_was_given_up_stays_so() -> None:
    journals = known(4)
    journals.give_up(PARTITION)

    journals.see(RUN, SK[0], entries(5), 0)

    assert journals.find(PARTITION) is None


def test_few_runs_are_remembered() -> None:
    journals = known(4)

    for number in range(100):
        journals.see(a_run(f"other-{number}"), SK[0], [CREATED], 0)

    assert journals.find(PARTITION) is None
