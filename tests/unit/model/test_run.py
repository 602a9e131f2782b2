"""The fold: a state for any sequence of entries, and the first of two that contradict holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.journal import Entry, Event
from taskrunner.model.plan import (
    ApprovalGate,
    FailurePolicy,
    Plan,
    Retries,
    RunStep,
    Sandbox,
    Slo,
    Template,
)
from taskrunner.model.run import (
    RUN_ID,
    Reason,
    RunState,
    RunStatus,
    StepReference,
    StepState,
    StepStatus,
)
from taskrunner.model.state import tail
from taskrunner.model.state.fold import fold

BORN = "2025-12-06T12:00:00.000Z"


def run_step(step_id: str, *, enabled: bool = True, continue_on_error: bool = False) -> RunStep:
    return RunStep(
        id=step_id,
        name=None,
        when=None,
        enabled=enabled,
        continue_on_error=continue_on_error,
        retries=Retries(),
        timeout_s=600,
        uses="builtin:noop",
        parameters=Template(),
    )


GATE = ApprovalGate(
    id="review",
    name=None,
    when=None,
    enabled=True,
    continue_on_error=False,
    approval_id="security",
    message=None,
)
PLAN = Plan(
    pack_name="deploy-app",
    pack_version="1.0.0",
    inputs={},
    failure=FailurePolicy(),
    sandbox=Sandbox(),
    slo=Slo(),
    approvals=(),
    steps=(run_step("build"), GATE, run_step("never", enabled=False), run_step("ship")),
    outputs=(),
)


def at(second: int) -> str:
    return f"2025-12-06T12:00:{second:02d}.000Z"


def entry(event: Event, step: str | None = None, second: int = 1, **metadata: str) -> Entry:
    return Entry(
        id=f"{step}-{event}-{second}",
        occurred_at=at(second),
        event=event,
        message=f"It is {event}.",
        step_path=step,
        metadata=metadata,
    )


def state(*entries: Entry) -> RunState:
    return fold(PLAN, entries, BORN)


def step(step_id: str, *entries: Entry) -> StepState:
    return next(one for one in state(*entries).steps if one.path == step_id)


STARTED = entry(Event.STEP_STARTED, "build", 1, attempt="1")
DONE = entry(Event.STEP_COMPLETED, "build", 2, attempt="1")
FAILED = entry(Event.STEP_FAILED, "build", 2, attempt="1", reason="executor-error")
RETRY = entry(
    Event.STEP_FAILED, "build", 2, attempt="1", reason="executor-error", nextAttemptAt=at(9)
)
AWAITING = entry(Event.GATE_AWAITING, "review", 3)
APPROVED = entry(Event.GATE_APPROVED, "review", 4)
REJECTED = entry(Event.GATE_REJECTED, "review", 4)
EXPIRED = entry(Event.GATE_EXPIRED, "review", 4)
ENDS = {
    RunStatus.SUCCEEDED: entry(Event.RUN_COMPLETED, None, 8),
    RunStatus.FAILED: entry(Event.RUN_FAILED, None, 8),
    RunStatus.CANCELLED: entry(Event.RUN_CANCELLED, None, 8),
}


class TestStep:
    @pytest.mark.parametrize(
        ("entries", "status", "reason"),
        [
            ([], "Pending", None),
            ([STARTED], "Running", None),
            ([STARTED, DONE], "Succeeded", None),
            ([STARTED, FAILED], "Failed", "executor-error"),
            ([STARTED, RETRY], "Pending", "retrying"),
            ([entry(Event.STEP_FAILED, "build", reason="timeout")], "Failed", "timeout"),
            (
                [entry(Event.STEP_SKIPPED, "build", reason="condition-false")],
                "Skipped",
                "condition-false",
            ),
            ([ENDS[RunStatus.CANCELLED]], "Skipped", "cancelled"),
            ([STARTED, ENDS[RunStatus.CANCELLED]], "Skipped", "cancelled"),
            ([STARTED, RETRY, ENDS[RunStatus.CANCELLED]], "Skipped", "cancelled"),
            ([ENDS[RunStatus.FAILED]], "Skipped", "run-failed"),
            ([STARTED, ENDS[RunStatus.FAILED]], "Failed", "executor-error"),
            ([ENDS[RunStatus.SUCCEEDED]], "Failed", "executor-error"),
            ([entry(Event.RUN_SCHEDULE_FAILED)], "Skipped", "run-failed"),
        ],
    )
    def test_what_the_journal_tells_of_a_run_step(
        self, entries: list[Entry], status: str, reason: str | None
    ) -> None:
        build = step("build", *entries)

        assert (build.status, build.reason) == (status, reason)

    @pytest.mark.parametrize(
        ("entries", "status", "reason"),
        [
            ([], "Pending", None),
            ([AWAITING], "Pending", "awaiting-approval"),
            (
                [AWAITING, entry(Event.GATE_APPROVAL_RECORDED, "review")],
                "Pending",
                "awaiting-approval",
            ),
            ([AWAITING, APPROVED], "Succeeded", None),
            ([AWAITING, REJECTED], "Failed", "approval-rejected"),
            ([AWAITING, EXPIRED], "Failed", "approval-expired"),
            ([AWAITING, ENDS[RunStatus.CANCELLED]], "Skipped", "cancelled"),
            ([AWAITING, ENDS[RunStatus.FAILED]], "Skipped", "run-failed"),
        ],
    )
    def test_what_the_journal_tells_of_a_gate(
        self, entries: list[Entry], status: str, reason: str | None
    ) -> None:
        review = step("review", *entries)

        assert (review.status, review.reason) == (status, reason)

    def test_a_step_whose_condition_was_false_never_began(self) -> None:
        never = step("never")

        assert (never.status, never.reason, never.last_transition_at) == (
            "Skipped",
            "condition-false",
            BORN,
        )

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (DONE, FAILED),
            (FAILED, DONE),
            (FAILED, replace(STARTED, occurred_at=at(5))),
            (DONE, RETRY),
        ],
    )
    def test_of_two_ends_the_first_holds(self, first: Entry, second: Entry) -> None:
        assert step("build", STARTED, first, second) == step("build", STARTED, first)

    @pytest.mark.parametrize("first", [APPROVED, REJECTED, EXPIRED])
    @pytest.mark.parametrize("second", [APPROVED, REJECTED, EXPIRED, AWAITING])
    def test_of_two_decisions_the_first_holds(self, first: Entry, second: Entry) -> None:
        assert step("review", AWAITING, first, second) == step("review", AWAITING, first)

    def test_attempts_count_what_was_started(self) -> None:
        again = entry(Event.STEP_STARTED, "build", 3, attempt="2")

        assert step("build").attempts == 0
        assert step("build", STARTED).attempts == 1
        assert step("build", STARTED, RETRY).attempts == 1
        assert step("build", STARTED, RETRY, again, again).attempts == 2

    def test_between_attempts_it_says_when_the_next_begins_and_why_the_last_failed(self) -> None:
        between = step("build", STARTED, RETRY)

        assert between.next_attempt_at == at(9)
        assert between.error_message == "It is step.failed."
        assert step("build", STARTED, RETRY, STARTED).next_attempt_at is None

    def test_its_last_transition_is_the_last_that_changed_it(self) -> None:
        late = entry(Event.STEP_FAILED, "build", 7, reason="timeout")

        assert step("build", STARTED, DONE, late).last_transition_at == at(2)

    @pytest.mark.parametrize("reason", [*Reason])
    def test_each_reason_is_kept(self, reason: Reason) -> None:
        assert step("build", entry(Event.STEP_FAILED, "build", reason=reason)).reason is reason

    def test_a_reason_of_a_later_release_is_told_as_well_as_can_be(self) -> None:
        failed = step("build", entry(Event.STEP_FAILED, "build", reason="eaten-by-dog"))
        skipped = step("build", entry(Event.STEP_SKIPPED, "build"))

        assert (failed.status, failed.reason) == ("Failed", "executor-error")
        assert (skipped.status, skipped.reason) == ("Skipped", None)

    @pytest.mark.parametrize("attempt", ["", "one", "-1", "1e9", "9" * 5000, "٣"])
    def test_an_attempt_that_is_no_number_counts_nothing(self, attempt: str) -> None:
        assert step("build", replace(STARTED, metadata={"attempt": attempt})).attempts == 0


class TestRun:
    @pytest.mark.parametrize(
        ("entries", "status"),
        [
            ([], "queued"),
            ([entry(Event.RUN_CREATED)], "queued"),
            ([entry(Event.RUN_CREATED), entry(Event.STEP_SKIPPED, "never")], "queued"),
            ([entry(Event.RUN_STARTED)], "running"),
            ([STARTED], "running"),
            ([STARTED, DONE], "running"),
            ([STARTED, RETRY], "running"),
            ([STARTED, DONE, AWAITING], "waiting"),
            ([STARTED, AWAITING], "running"),
            ([AWAITING, APPROVED], "running"),
            ([STARTED, FAILED, ENDS[RunStatus.FAILED]], "failed"),
            ([entry(Event.RUN_SCHEDULE_FAILED)], "failed"),
            ([ENDS[RunStatus.SUCCEEDED]], "succeeded"),
            ([entry(Event.RUN_CANCEL_REQUESTED)], "queued"),
            ([AWAITING, ENDS[RunStatus.CANCELLED]], "cancelled"),
        ],
    )
    def test_where_it_is(self, entries: list[Entry], status: str) -> None:
        assert state(*entries).status == status

    @pytest.mark.parametrize("first", [*ENDS])
    @pytest.mark.parametrize("second", [*ENDS])
    def test_of_two_ends_the_first_holds(self, first: RunStatus, second: RunStatus) -> None:
        ended = state(STARTED, ENDS[first])

        assert state(STARTED, ENDS[first], replace(ENDS[second], occurred_at=at(50))) == ended

    def test_its_times_are_those_of_its_entries(self) -> None:
        running = state(entry(Event.RUN_STARTED, None, 1), replace(STARTED, occurred_at=at(2)))
        ended = state(entry(Event.RUN_STARTED, None, 1), ENDS[RunStatus.SUCCEEDED])

        assert (running.started_at, running.updated_at, running.ended_at) == (at(1), at(2), None)
        assert (ended.started_at, ended.updated_at, ended.ended_at) == (at(1), at(8), at(8))
        assert state().updated_at == BORN

    def test_a_step_that_begins_begins_the_run(self) -> None:
        assert state(STARTED).started_at == at(1)

    def test_a_step_of_no_plan_changes_nothing(self) -> None:
        assert state(entry(Event.STEP_STARTED, "outer[0]::build")) == state()


_metadata = st.dictionaries(
    st.sampled_from(["attempt", "reason", "nextAttemptAt", "other"]),
    st.one_of(st.sampled_from(["1", "2", "timeout", "retrying", "", at(5)]), st.text(max_size=5)),
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
_FINAL = {StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED}


@given(entries=_entries)
def test_any_sequence_of_entries_has_a_state(entries: list[Entry]) -> None:
    found = state(*entries)

    assert [one.path for one in found.steps] == ["build", "review", "never", "ship"]
    assert (found.ended_at is not None) == (
        found.status in {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED}
    )
    for one in found.steps:
        if one.next_attempt_at is not None:
            assert (one.status, one.reason) == (StepStatus.PENDING, Reason.RETRYING)
        assert found.ended_at is None or one.status in _FINAL


@given(entries=_entries, later=_entries)
def test_a_step_that_has_ended_stays_as_it_ended(entries: list[Entry], later: list[Entry]) -> None:
    before, after = state(*entries), state(*entries, *later)

    for was, is_now in zip(before.steps, after.steps, strict=True):
        if was.status in _FINAL:
            assert is_now == was


@given(entries=_entries, later=_entries)
def test_a_run_that_has_ended_stays_as_it_ended(entries: list[Entry], later: list[Entry]) -> None:
    before = state(*entries)

    if before.ended_at is not None:
        assert state(*entries, *later) == before


@given(entries=_entries)
def test_an_entry_that_is_repeated_at_once_changes_nothing(entries: list[Entry]) -> None:
    doubled = [one for one in entries for _ in range(2)]

    assert state(*doubled) == state(*entries)


# What a machine of PLAN writes, one after the other; the journal may stop anywhere.
_STORY = [
    entry(Event.RUN_CREATED),
    entry(Event.STEP_SKIPPED, "never", reason="condition-false"),
    entry(Event.RUN_STARTED),
    STARTED,
    RETRY,
    entry(Event.STEP_STARTED, "build", 3, attempt="2"),
    entry(Event.STEP_COMPLETED, "build", 4, attempt="2"),
    AWAITING,
    *[entry(Event.GATE_APPROVAL_RECORDED, "review", second) for second in range(10, 20)],
    APPROVED,
    entry(Event.STEP_STARTED, "ship", 5, attempt="1"),
]


@pytest.mark.parametrize("length", range(1, len(_STORY) + 1))
def test_the_last_chunk_alone_tells_the_status_that_the_whole_journal_has(length: int) -> None:
    story = _STORY[:length]
    chunk = story[(length - 1) // 8 * 8 :]

    assert tail.status(chunk) is state(*story).status


def test_a_reference_names_its_step_with_its_iteration() -> None:
    assert StepReference("acme", "run-7", "leaf").path == "leaf"
    assert StepReference("acme", "run-7", "leaf", "outer[1]::").path == "outer[1]::leaf"


@pytest.mark.parametrize(
    ("run_id", "fits"),
    [
        ("run-7", True),
        ("A_b-9", True),
        ("x" * 128, True),
        ("", False),
        ("x" * 129, False),
        ("a.b", False),
        ("a\n", False),
        ("é", False),
    ],
)
def test_a_run_id_is_short_and_plain(run_id: str, *, fits: bool) -> None:
    assert bool(RUN_ID.fullmatch(run_id)) is fits


def test_nothing_of_a_state_can_be_changed() -> None:
    frozen: Any = state()

    with pytest.raises(AttributeError):
        frozen.status = RunStatus.FAILED
