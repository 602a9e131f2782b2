"""Each invariant finds the record that breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.model.approval import Verdict
from taskrunner.model.run import RunStatus
from tests.faults import called_machines, invariants
from tests.faults.play import RUN_ID, Play
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.journal import Entry
    from tests.faults.executions import Execution
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


def test_reports_a_step_that_failed_without_an_entry(service: Service) -> None:
    Play(SCENARIOS["approvals"], service, {}).play()
    record = invariants.Record(service, RUN_ID)
    assert not list(invariants.problems_at_the_end(service, record))

    lose_an_end(record)

    found = list(invariants.problems_at_the_end(service, record))
    assert found == ["no entry says that the step build is Failed"]


def test_reports_a_step_that_ended_without_an_outcome(service: Service) -> None:
    Play(SCENARIOS["approvals"], service, {}).play()
    record = invariants.Record(service, RUN_ID)

    del record.outcomes["build"]

    found = list(invariants.problems_at_the_end(service, record))
    assert found == ["the step build is Succeeded, and has no outcome"]


def test_reports_a_line_that_a_follower_missed(service: Service) -> None:
    ended = Play(SCENARIOS["approvals"], service, {}).play()
    missed = ended.follower.lines.pop(1)

    (found,) = invariants.problems(
        service, invariants.Record(service, RUN_ID), ended.follower.lines
    )

    assert missed in found


CONTAINED = pack(
    """
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
                - {id: late, run: {uses: builtin:noop}}
                - {id: broken, run: {uses: builtin:fail}}
    """
)


def test_reports_a_step_that_begins_in_a_block_that_a_failure_has_stopped(
    service: Service,
) -> None:
    ended = Play(Scenario("contained", CONTAINED), service, {}).play()
    record = invariants.Record(service, RUN_ID)
    assert not list(invariants.problems(service, record, ended.follower.lines))
    late = by_id(record, "late#1#started")
    record.entries.remove(late)

    record.entries.insert(record.entries.index(by_id(record, "broken#1#ended")) + 1, late)

    found = list(invariants.problems(service, record, ended.follower.lines))
    assert "late#1#started is in lanes, which a failure has stopped" in found


def test_reports_a_decision_that_was_answered_and_is_not_recorded(service: Service) -> None:
    Play(SCENARIOS["approvals"], service, {}).play()
    record = invariants.Record(service, RUN_ID)
    answers = [
        invariants.Answered("security", "bob", "approved", resumed=False),
        invariants.Answered("security", "eve", "approved", resumed=True),
    ]
    assert not list(invariants.answer_problems(record, answers))

    forgotten = invariants.Answered("security", "eve", "rejected", resumed=False)
    twice = invariants.Answered("security", "bob", "approved", resumed=True)

    assert list(invariants.answer_problems(record, [forgotten])) == [
        "eve rejected security, and nothing says so"
    ]
    assert list(invariants.answer_problems(record, [*answers, twice])) == [
        "security let the run go on by the decisions of ['bob', 'eve']"
    ]


def test_reports_a_served_state_that_the_journal_does_not_give(service: Service) -> None:
    served = Play(SCENARIOS["approvals"], service, {}).play().run
    record = invariants.Record(service, RUN_ID)
    assert served is not None
    assert not list(invariants.served_problems(record, served))

    served["steps"][0]["status"] = "Failed"

    assert list(invariants.served_problems(record, served)) == [
        "build is served as ('Failed', None), and its journal says ('Succeeded', None)"
    ]


def test_reports_an_attempt_whose_machine_was_started_twice(service: Service) -> None:
    record, execution = _called(service)

    service.states.executions["again"] = replace(execution, arn=f"{execution.arn}-again")

    assert list(called_machines.problems(service, record)) == [
        "load#1 was started 2 times",
        f"no entry says that load#1 has started {execution.name}-again",
    ]


def test_reports_a_completed_attempt_whose_execution_was_stopped(service: Service) -> None:
    record, execution = _called(service)

    execution.status = "ABORTED"

    assert list(called_machines.problems(service, record)) == [
        "load#1 is recorded as completed, and its execution is ABORTED"
    ]


def test_reports_an_execution_whose_end_is_not_recorded(service: Service) -> None:
    record, _ = _called(service)

    record.entries.remove(by_id(record, "load#1#ended"))

    assert list(called_machines.problems(service, record)) == [
        "no entry says that load#1 has ended, which is SUCCEEDED"
    ]


def _called(service: Service) -> tuple[Record, Execution]:
    """Return the record of a run whose step has called a machine, and the execution."""
    Play(SCENARIOS["machine succeeds"], service, {}).play()
    record = invariants.Record(service, RUN_ID)
    assert not list(called_machines.problems(service, record))
    (execution,) = called_machines.called_executions(service)
    return record, execution


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
