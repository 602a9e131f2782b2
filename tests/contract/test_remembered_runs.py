"""A process remembers the runs that it works for, and begins steps without reading them.

Another process is another instance of the port over the same store.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.adapters.journal_chunks import CHUNK_ENTRIES
from taskrunner.errors import ConflictError
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus, StepOutcome, StepsEnd, StepStatus
from taskrunner.ports.runs import Stops
from tests.contract.samples import CANCELLED, CREATED, ENDED, a_run, an_entry, entry_ids, new_run

if TYPE_CHECKING:
    from taskrunner.model.journal import Entry
    from taskrunner.ports import Runs, RunSnapshot
    from tests.contract.ports import Ports

STEPS_ENDED = an_entry("run.steps-ended", Event.RUN_STEPS_ENDED)


def of(path: str, event: Event = Event.STEP_STARTED) -> Entry:
    return an_entry(f"{path}#1#{event.value}", event, step_path=path)


def remembered(world: Ports, snapshot: RunSnapshot, path: str = "next") -> RunSnapshot | None:
    return world.runs.remembered("acme", snapshot.run.run_id, path)


def begun(world: Ports, snapshot: RunSnapshot, path: str = "next") -> bool:
    """Begin a step from memory, and return whether that was possible."""
    known = remembered(world, snapshot, path)
    assert known is not None
    return world.runs.append_if_unchanged(known, [of(path)])


def run_a_step(runs: Runs, snapshot: RunSnapshot, path: str, used_s: float = 0) -> None:
    runs.append(snapshot, [of(path)])
    end_a_step(runs, snapshot, path, used_s)


def end_a_step(runs: Runs, snapshot: RunSnapshot, path: str, used_s: float = 0) -> None:
    outcome = StepOutcome(path=path, attempt=1, status=StepStatus.SUCCEEDED)
    runs.record_step(snapshot, outcome, [of(path, Event.STEP_COMPLETED)], used_s=used_s)


def other_process(world: Ports) -> Runs:
    return world.in_another_process()


def test_a_run_is_remembered_as_it_would_be_read(world: Ports) -> None:
    snapshot = new_run(world)

    for number in range(3 * CHUNK_ENTRIES):
        run_a_step(world.runs, snapshot, f"s{number}", 1.5)

        known = remembered(world, snapshot)
        assert known == other_process(world).snapshot("acme", snapshot.run.run_id, "next")
        assert known.used_s == 1.5 * (number + 1)


def test_begins_steps_from_memory_one_after_the_other(world: Ports) -> None:
    snapshot = new_run(world)
    expected = ["run.created"]

    for number in range(2 * CHUNK_ENTRIES):
        known = remembered(world, snapshot, f"s{number}")
        assert known is not None
        assert world.runs.append_if_unchanged(known, [of(f"s{number}")])
        end_a_step(world.runs, known, f"s{number}")
        expected += [f"s{number}#1#step.started", f"s{number}#1#step.completed"]

    assert entry_ids(world, snapshot.run) == expected


def test_does_not_remember_a_run_that_it_has_not_seen(world: Ports) -> None:
    run = a_run()
    world.runs.create(run, [CREATED])

    assert world.runs.remembered("acme", run.run_id, "next") is None
    assert other_process(world).remembered("acme", run.run_id, "next") is None


def test_does_not_remember_a_run_whose_beginning_it_has_not_seen(world: Ports) -> None:
    snapshot = new_run(world)
    for number in range(CHUNK_ENTRIES):
        run_a_step(world.runs, snapshot, f"s{number}")
    other = other_process(world)

    other.snapshot("acme", snapshot.run.run_id, "next")

    assert other.remembered("acme", snapshot.run.run_id, "next") is None


@pytest.mark.parametrize("entry", [of("next"), of("next", Event.STEP_COMPLETED)])
def test_does_not_remember_a_run_for_a_step_that_has_an_entry(world: Ports, entry: Entry) -> None:
    snapshot = new_run(world)
    world.runs.append(snapshot, [entry])
    for number in range(CHUNK_ENTRIES):  # it is in the last chunk no more
        run_a_step(world.runs, snapshot, f"s{number}")

    assert remembered(world, snapshot) is None
    assert remembered(world, snapshot, "other") is not None


@pytest.mark.parametrize("before", range(CHUNK_ENTRIES + 1))
def test_begins_nothing_once_another_process_has_added_an_entry(world: Ports, before: int) -> None:
    snapshot = new_run(world)
    for number in range(before):
        world.runs.append(snapshot, [of(f"before{number}")])

    other_process(world).append(snapshot, [of("theirs")])

    assert not begun(world, snapshot)
    assert entry_ids(world, snapshot.run)[-1] == "theirs#1#step.started"


@pytest.mark.parametrize("ours", [1, 2, 3])
@pytest.mark.parametrize("before", range(CHUNK_ENTRIES + 1))
def test_begins_nothing_after_entries_of_others_between_its_own(
    world: Ports, before: int, ours: int
) -> None:
    """The entries of others may have filled the chunk, or have been followed by one that did."""
    snapshot = new_run(world)
    for number in range(before):
        world.runs.append(snapshot, [of(f"before{number}")])
    other_process(world).append(snapshot, [of("next")])
    world.runs.append(snapshot, [of(f"ours{number}") for number in range(ours)])

    known = remembered(world, snapshot)

    assert known is None or not world.runs.append_if_unchanged(known, [of("next")])


def test_begins_a_step_once_if_its_event_comes_to_two_processes(world: Ports) -> None:
    snapshot = new_run(world)
    other = other_process(world)
    other.snapshot("acme", snapshot.run.run_id, "next")
    theirs = other.remembered("acme", snapshot.run.run_id, "next")
    assert theirs is not None

    assert begun(world, snapshot)

    later = an_entry("next#1#step.started", step_path="next", occurred_at="2025-12-06T12:00:01Z")
    assert not other.append_if_unchanged(theirs, [later])


@pytest.mark.parametrize("before", [0, 1, CHUNK_ENTRIES - 1])
def test_begins_nothing_in_a_run_that_has_been_cancelled(world: Ports, before: int) -> None:
    snapshot = new_run(world)
    for number in range(before):
        run_a_step(world.runs, snapshot, f"s{number}")
    other = other_process(world)

    now = other.snapshot("acme", snapshot.run.run_id)
    assert other.end(now, RunStatus.CANCELLED, [CANCELLED]) is RunStatus.CANCELLED

    assert not begun(world, snapshot)
    assert "next#1#step.started" not in entry_ids(world, snapshot.run)


def test_does_not_remember_a_run_that_it_has_ended(world: Ports) -> None:
    snapshot = new_run(world)
    world.runs.end(snapshot, RunStatus.SUCCEEDED, [ENDED])

    known = remembered(world, snapshot)

    assert known is None or not world.runs.append_if_unchanged(known, [of("next")])


def test_does_not_remember_how_a_run_was_before_its_steps_ended(world: Ports) -> None:
    """An expression of `finally` reads how they ended."""
    snapshot = new_run(world)
    other = other_process(world)
    end = StepsEnd(outcome=RunStatus.SUCCEEDED)
    other.end_steps(snapshot, end, [STEPS_ENDED], snapshot.run.execution)

    assert not begun(world, snapshot)

    world.runs.snapshot("acme", snapshot.run.run_id, "cleanup")
    assert remembered(world, snapshot, "cleanup") is None


def test_begins_nothing_inside_of_a_block_that_has_been_stopped(world: Ports) -> None:
    snapshot = new_run(world)
    failed = StepOutcome(path="lanes/bad", attempt=1, status=StepStatus.FAILED)
    other_process(world).record_step(
        snapshot, failed, [of("lanes/bad", Event.STEP_FAILED)], stops=Stops(blocks=["lanes"])
    )
    world.runs.snapshot("acme", snapshot.run.run_id, "next")

    known = remembered(world, snapshot)

    assert known is not None
    assert not world.runs.append_if_unchanged(known, [of("next")], inside=["lanes"])


def test_begins_a_step_inside_of_a_block_that_goes_on(world: Ports) -> None:
    snapshot = new_run(world)
    known = remembered(world, snapshot)
    assert known is not None

    assert world.runs.append_if_unchanged(known, [of("next")], inside=["lanes", "outer"])

    assert entry_ids(world, snapshot.run) == ["run.created", "next#1#step.started"]


class Kind(StrEnum):
    """An action of one of two processes."""

    APPEND = "append"
    END_STEP = "end step"
    READ = "read"
    READ_OUTCOME = "read outcome"
    BEGIN = "begin"
    BREACH = "breach"
    CANCEL = "cancel"


_ACTIONS = st.lists(
    st.tuples(
        st.sampled_from([*Kind, Kind.BEGIN, Kind.BEGIN, Kind.APPEND]),
        st.integers(0, 1),  # the process
        st.integers(1, 3),  # how many entries
        st.integers(0, 5),  # the step
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(actions=_ACTIONS)
def test_begins_only_what_a_reader_would_begin(
    world: Ports, actions: list[tuple[Kind, int, int, int]]
) -> None:
    """Two processes write in any order. A step begun from memory is one a reader would begin."""
    world.forget()
    snapshot = new_run(world)
    run_id = snapshot.run.run_id
    processes = world.runs, other_process(world)
    for number, (kind, process, count, step) in enumerate(actions):
        runs, path = processes[process], f"s{step}"
        entries = [of(f"{path}-{number}-{place}") for place in range(count)]
        with suppress(ConflictError):
            match kind:
                case Kind.APPEND:
                    runs.append(snapshot, entries)
                case Kind.END_STEP:
                    end_a_step(runs, snapshot, path, count)
                case Kind.READ:
                    runs.snapshot("acme", run_id)
                case Kind.READ_OUTCOME:
                    runs.snapshot("acme", run_id, path)
                case Kind.BEGIN:
                    begin_as_a_reader_would(world, runs, run_id, path)
                case Kind.BREACH:
                    entry = an_entry(f"breach{number}", Event.RUN_SLO_BREACHED)
                    runs.append(snapshot, [entry])
                case Kind.CANCEL if number > 20:
                    runs.end(runs.snapshot("acme", run_id), RunStatus.CANCELLED, [CANCELLED])


def begin_as_a_reader_would(world: Ports, runs: Runs, run_id: str, path: str) -> None:
    known = runs.remembered("acme", run_id, path)
    read = other_process(world).snapshot("acme", run_id, path)
    journal = world.runs.journal("acme", run_id)
    if known is not None and runs.append_if_unchanged(known, [of(path)]):
        assert known == read
        assert path not in {placed.entry.step_path for placed in journal}
        assert len(world.runs.journal("acme", run_id)) == len(journal) + 1
