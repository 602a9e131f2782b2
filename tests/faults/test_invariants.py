"""Each invariant finds the record that breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.model.approval import Verdict
from taskrunner.model.run import RunStatus
from tests.faults import invariants
from tests.faults.play import RUN_ID, Play
from tests.faults.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.journal import Entry
    from tests.faults.invariants import Record
    from tests.faults.service import Service


def moved(record: Record, entry_id: str, before: str) -> None:
    """Move an entry of the journal before another one."""
    entry = by_id(record, entry_id)
    record.entries.remove(entry)
    record.entries.insert(record.entries.index(by_id(record, before)), entry)
    record.state = record.fold(len(record.entries))


def by_id(record: Record, entry_id: str) -> Entry:
    return next(entry for entry in record.entries if entry.id == entry_id)


def begin_before_the_gate(record: Record) -> None:
    moved(record, "ship#1#started", "review#decided")


def begin_after_the_end(record: Record) -> None:
    moved(record, "run.ended", "ship#1#started")


def begin_twice(record: Record) -> None:
    record.entries.append(by_id(record, "ship#1#started"))


def decide_twice(record: Record) -> None:
    decided = by_id(record, "review#decided")
    record.entries.append(replace(decided, id="review#decided#2"))


def decide_otherwise(record: Record) -> None:
    approval = record.approvals["security"]
    record.approvals["security"] = replace(approval, verdict=Verdict.REJECTED)


def end_otherwise(record: Record) -> None:
    record.run = replace(record.run, outcome=RunStatus.FAILED)


def lose_an_end(record: Record) -> None:
    record.entries.remove(by_id(record, "build#1#ended"))
    record.state = record.fold(len(record.entries))


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (begin_before_the_gate, "ship#1#started is behind the gate review, which is Pending"),
        (begin_after_the_end, "ship#1#started is behind the end of the run"),
        (begin_twice, "the log has the entry ship#1#started 2 times"),
        (decide_twice, "review was decided 2 times"),
        (decide_otherwise, "review is approved, and its approval rejected"),
        (end_otherwise, "the run is failed, and its journal says succeeded"),
        (lose_an_end, "build is Failed, and its outcome Succeeded"),
    ],
)
def test_reports_a_record_that_breaks_an_invariant(
    service: Service, broken: Callable[[Record], None], problem: str
) -> None:
    ended = Play(SCENARIOS["approvals"], service, {}).play()
    record = invariants.Record(service, RUN_ID)
    assert not list(invariants.problems(service, record, ended.follower.lines))

    broken(record)

    assert problem in list(invariants.problems(service, record, ended.follower.lines))


def test_reports_an_attempt_that_was_executed_twice(service: Service) -> None:
    ended = Play(SCENARIOS["approvals"], service, {}).play()
    service.sandbox.executed.append((RUN_ID, "ship", 1))

    found = list(
        invariants.problems(service, invariants.Record(service, RUN_ID), ended.follower.lines)
    )

    assert found == ["attempt 1 of ship was executed 2 times"]


def test_reports_a_line_that_a_follower_missed(service: Service) -> None:
    ended = Play(SCENARIOS["approvals"], service, {}).play()
    missed = ended.follower.lines.pop(1)

    (found,) = invariants.problems(
        service, invariants.Record(service, RUN_ID), ended.follower.lines
    )

    assert missed in found


def test_reports_what_is_left_to_do(service: Service) -> None:
    play = Play(SCENARIOS["rejected"], service, {})
    play.create()

    found = list(invariants.problems_at_the_end(service, invariants.Record(service, RUN_ID)))

    assert found[:4] == [
        "the run has not ended",
        "the run has no evidence",
        "no evidence is listed",
        "its execution is running",
    ]
    assert "R is still listed by unfinished" in found
    assert "the step after is Pending" in found
