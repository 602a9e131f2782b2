"""The state of a run: any sequence of entries has one, and what has ended does not change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.approval import Verdict
from taskrunner.model.entries import run_entries
from taskrunner.model.journal import Entry, Event
from taskrunner.model.run import Reason, RunState, RunStatus, StepStatus
from taskrunner.model.state.fold import fail_lost_steps
from tests.unit.model.state.sample_journal import (
    CANCELLED,
    CREATED_AT,
    FAILED,
    NOT_SCHEDULED,
    RETRYING,
    RUN_CREATED,
    RUN_STARTED,
    SUCCEEDED,
    at,
    awaiting,
    completed,
    decided,
    failed,
    started,
    state,
)

STARTED = started("build")
ENDS = {
    RunStatus.SUCCEEDED: SUCCEEDED,
    RunStatus.FAILED: FAILED,
    RunStatus.CANCELLED: CANCELLED,
}


class TestRun:
    @pytest.mark.parametrize(
        ("entries", "status"),
        [
            ([], "queued"),
            ([RUN_CREATED], "queued"),
            ([RUN_STARTED], "running"),
            ([STARTED], "running"),
            ([STARTED, completed("build")], "running"),
            ([STARTED, RETRYING], "running"),
            ([STARTED, completed("build"), awaiting("review")], "waiting"),
            ([STARTED, awaiting("review")], "running"),
            ([STARTED, RETRYING, awaiting("review")], "running"),
            ([awaiting("review"), decided("review", Verdict.APPROVED)], "running"),
            ([STARTED, failed("build"), FAILED], "failed"),
            ([NOT_SCHEDULED], "failed"),
            ([SUCCEEDED], "succeeded"),
            ([run_entries.cancel_requested("ana", at(1))], "queued"),
            ([awaiting("review"), CANCELLED], "cancelled"),
        ],
    )
    def test_has_the_status_that_its_entries_give(self, entries: list[Entry], status: str) -> None:
        assert state(*entries).status == status

    @pytest.mark.parametrize("first", [*ENDS])
    @pytest.mark.parametrize("second", [*ENDS])
    def test_keeps_its_first_end(self, first: RunStatus, second: RunStatus) -> None:
        later = replace(ENDS[second], occurred_at=at(50))

        assert state(STARTED, ENDS[first], later) == state(STARTED, ENDS[first])

    def test_has_the_times_of_its_entries(self) -> None:
        running = state(RUN_STARTED, started("build", 2))
        ended = state(RUN_STARTED, SUCCEEDED)

        assert (running.started_at, running.updated_at, running.ended_at) == (at(1), at(2), None)
        assert (ended.started_at, ended.updated_at, ended.ended_at) == (at(1), at(8), at(8))
        assert state().updated_at == CREATED_AT

    def test_starts_with_its_first_step(self) -> None:
        assert state(STARTED).started_at == at(1)

    @pytest.mark.parametrize("path", ["outer[0]::build", "nobody", "build[0]", "", "::build"])
    def test_ignores_a_step_that_its_plan_does_not_have(self, path: str) -> None:
        assert state(started(path)) == state()

    def test_cannot_be_changed(self) -> None:
        frozen: Any = state()

        with pytest.raises(AttributeError):
            frozen.status = RunStatus.FAILED


class TestLostStep:
    NOW = datetime(2025, 12, 6, 12, 30, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("since", "status"),
        [("2025-12-06T12:14:00.000Z", "Failed"), ("2025-12-06T12:14:00.001Z", "Running")],
    )
    def test_fails_once_its_function_must_have_ended(self, since: str, status: str) -> None:
        running = replace(state().steps[0], status=StepStatus.RUNNING, last_transition_at=since)

        found = fail_lost_steps(replace(state(FAILED), steps=(running,)), self.NOW)

        assert found.steps[0].status == status
        assert (found.steps[0].reason is Reason.EXECUTOR_ERROR) == (status == "Failed")

    def test_is_only_one_that_was_running(self) -> None:
        ended = state(STARTED, completed("build"), FAILED)

        assert fail_lost_steps(ended, self.NOW) == ended


# --- properties ---------------------------------------------------------------------------------

_values = st.one_of(
    st.sampled_from(["1", "2", "timeout", "retrying", "", at(5), "policy", "end", "retry"]),
    st.text(max_size=5),
)
_metadata = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ["attempt", "reason", "nextAttemptAt", "ask", "value", "other"], _values
    ),
)
_entries = st.lists(
    st.builds(
        Entry,
        id=st.text(max_size=3),
        occurred_at=st.integers(0, 59).map(at),
        event=st.sampled_from(Event),
        message=st.text(max_size=3),
        step_path=st.sampled_from([None, "build", "review", "never", "ship", "nobody"]),
        metadata=_metadata,
    ),
    max_size=30,
)


def _statuses(found: RunState) -> dict[str, StepStatus]:
    return {step.path: step.status for step in found.steps}


@given(entries=_entries)
def test_any_sequence_of_entries_has_a_state(entries: list[Entry]) -> None:
    found = state(*entries)

    assert list(_statuses(found)) == ["build", "review", "never", "ship"]
    assert (found.ended_at is not None) == (found.status in ENDS)
    for step in found.steps:
        if step.next_attempt_at is not None:
            assert (step.status, step.reason) == (StepStatus.PENDING, Reason.RETRYING)
        assert found.ended_at is None or step.has_ended


@given(entries=_entries, later=_entries)
def test_no_entry_changes_a_step_that_has_ended(entries: list[Entry], later: list[Entry]) -> None:
    before, after = state(*entries), state(*entries, *later)

    for earlier, now in zip(before.steps, after.steps, strict=True):
        if earlier.has_ended:
            assert now == earlier


@given(entries=_entries, later=_entries)
def test_no_entry_changes_a_run_that_has_ended(entries: list[Entry], later: list[Entry]) -> None:
    before = state(*entries)

    if before.ended_at is not None:
        assert state(*entries, *later) == before


@given(entries=_entries)
def test_an_entry_that_is_repeated_at_once_changes_nothing(entries: list[Entry]) -> None:
    doubled = [entry for entry in entries for _ in range(2)]

    assert state(*doubled) == state(*entries)
