"""The output of an attempt in the log: redacted again, in order, and bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.model.job import MAX_OUTPUT_BYTES
from taskrunner.model.journal import Event, Position
from taskrunner.model.worker_reports import Stream
from taskrunner.runtime import job_output
from taskrunner.runtime.leased_jobs import leased_job
from tests.unit.usecases.jobs import (
    SECRET,
    TESTS,
    WITH_A_SECRET,
    WORKER,
    beat,
    entries,
    job,
    lease,
    leased,
    recover,
    text,
)
from tests.unit.usecases.scenarios import TENANT, a_world

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from tests.fakes.world import MemoryWorld


def messages(world: MemoryWorld) -> list[str]:
    return [entry.message for entry in entries(world, Event.STEP_OUTPUT)]


def with_a_secret() -> tuple[MemoryWorld, JsonObject]:
    world = a_world(WITH_A_SECRET)
    world.secrets.stored[TENANT, "token"] = SECRET
    return world, leased(world)


def test_says_which_stream_it_was_written_to() -> None:
    world = a_world(TESTS)

    beat(world, leased(world), text(1, "out\n"), text(2, "err\n", Stream.STDERR))

    assert [entry.metadata["stream"] for entry in entries(world, Event.STEP_OUTPUT)] == [
        "stdout",
        "stderr",
    ]


def test_has_no_secret_that_a_worker_has_left_in_it() -> None:
    world, work = with_a_secret()

    beat(world, work, text(1, f"log in with {SECRET}\n"))

    assert messages(world) == ["log in with ***\n"]


def test_is_not_recorded_when_the_secrets_cannot_be_read() -> None:
    world, work = with_a_secret()
    world.secrets.stored.clear()

    beat(world, work, text(1, f"log in with {SECRET}\n"))
    world.secrets.stored[TENANT, "token"] = SECRET
    beat(world, work, text(1, f"log in with {SECRET}\n"), text(2, "next\n"))

    assert messages(world) == ["next\n"]


def test_reads_no_secrets_without_new_output() -> None:
    world, work = with_a_secret()
    beat(world, work, text(1, "one\n"))
    world.secrets.asked.clear()

    beat(world, work)
    beat(world, work, text(1, "one\n"))

    assert world.secrets.asked == []


def test_ends_at_the_limit_of_an_attempt() -> None:
    world = a_world(TESTS)
    work = leased(world)
    left = [
        beat(world, work, text(number, "x" * 4000))["outputBytesLeft"] for number in range(1, 19)
    ]

    assert left[:2] == [MAX_OUTPUT_BYTES - 4000, MAX_OUTPUT_BYTES - 8000]
    assert left[-2:] == [0, 0]
    *written, last = messages(world)
    assert sum(map(len, written)) == MAX_OUTPUT_BYTES
    assert len(written) == 17
    assert last.startswith("The log takes no more output of this attempt.")


def test_is_counted_in_bytes_and_no_character_is_cut() -> None:
    world = a_world(TESTS)
    work = leased(world)
    for number in range(1, 7):
        beat(world, work, text(number, "€" * 4000))

    written = "".join(messages(world)[:-1])
    assert set(written) == {"€"}
    assert MAX_OUTPUT_BYTES - 3 < len(written.encode()) <= MAX_OUTPUT_BYTES


def test_that_is_no_text_is_recorded_with_question_marks() -> None:
    world = a_world(TESTS)

    beat(world, leased(world), text(1, "a\udc80b"))

    assert messages(world) == ["a?b"]


def test_counts_anew_for_the_next_worker() -> None:
    world = a_world(TESTS)
    beat(world, leased(world), text(1, "first\n"))
    recover(world, after_s=46)

    beat(world, lease(world), text(1, "second\n"))

    assert messages(world) == ["first\n", "second\n"]
    assert len({entry.id for entry in entries(world, Event.STEP_OUTPUT)}) == 2


@pytest.mark.parametrize(("chunk", "is_recorded"), [(1999, True), (2000, False)])
def test_ends_at_the_limit_of_a_run(chunk: int, *, is_recorded: bool) -> None:
    world = a_world(TESTS)
    work = leased(world)
    found, running = leased_job(str(work["leaseId"]), str(work["secret"]), WORKER, world)
    last = running.snapshot.last_entries[-1]._replace(position=Position(chunk, 0))
    running = replace(running, snapshot=running.snapshot._replace(last_entries=[last]))
    assert found.lease is not None

    counted, recorded = job_output.recorded(found, found.lease, [text(1, "one\n")], running)

    assert (len(recorded) == 1) == is_recorded
    assert counted.output_sequence == 1
    assert (job_output.bytes_left(counted) > 0) == is_recorded


def test_that_is_empty_has_no_entry() -> None:
    world = a_world(TESTS)
    beat(world, leased(world), text(3, "a"))
    lease_of = job(world).lease

    assert lease_of is not None
    assert (lease_of.output_sequence, lease_of.output_bytes) == (3, 1)
