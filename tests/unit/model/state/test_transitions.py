"""The state that the entries of a step give it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.model.approval import Verdict
from taskrunner.model.entries import flow_entries, step_entries
from taskrunner.model.entries.flow_entries import Evaluation
from taskrunner.model.flow import PolicyVerdict
from taskrunner.model.plan import Policy
from taskrunner.model.run import Reason
from tests.unit.model.state.sample_journal import (
    CANCELLED,
    CREATED_AT,
    FAILED,
    NOT_SCHEDULED,
    RETRYING,
    SUCCEEDED,
    approval_recorded,
    at,
    awaiting,
    completed,
    decided,
    failed,
    started,
    step,
)

if TYPE_CHECKING:
    from taskrunner.model.journal import Entry

STARTED = started("build")
DEFERRED = step_entries.attempt_deferred("build", 1, "AWS is busy", at(2))
LOST = step_entries.attempt_lost("build", 1, None, at(2))
SKIPPED = step_entries.step_skipped("build", at(1))


@pytest.mark.parametrize(
    ("entries", "status", "reason"),
    [
        ([], "Pending", None),
        ([STARTED], "Running", None),
        ([STARTED, completed("build")], "Succeeded", None),
        ([STARTED, failed("build")], "Failed", "executor-error"),
        ([STARTED, RETRYING], "Pending", "retrying"),
        ([STARTED, LOST], "Failed", "executor-error"),
        ([STARTED, DEFERRED], "Pending", "retrying"),
        ([STARTED, DEFERRED, STARTED], "Running", None),
        ([STARTED, DEFERRED, STARTED, completed("build")], "Succeeded", None),
        ([STARTED, DEFERRED, FAILED], "Skipped", "run-failed"),
        ([STARTED, DEFERRED, CANCELLED], "Skipped", "cancelled"),
        ([failed("build", reason=Reason.TIMEOUT)], "Failed", "timeout"),
        ([SKIPPED], "Skipped", "condition-false"),
        ([CANCELLED], "Skipped", "cancelled"),
        ([STARTED, CANCELLED], "Skipped", "cancelled"),
        ([STARTED, RETRYING, CANCELLED], "Skipped", "cancelled"),
        ([FAILED], "Skipped", "run-failed"),
        ([STARTED, FAILED], "Failed", "executor-error"),
        ([STARTED, RETRYING, FAILED], "Failed", "executor-error"),
        ([failed("build", reason=Reason.TIMEOUT, retry_at=at(9)), FAILED], "Failed", "timeout"),
        ([SUCCEEDED], "Failed", "executor-error"),
        ([NOT_SCHEDULED], "Skipped", "run-failed"),
    ],
)
def test_a_run_step_has_the_state_that_its_entries_give(
    entries: list[Entry], status: str, reason: str | None
) -> None:
    build = step("build", *entries)

    assert (build.status, build.reason) == (status, reason)


@pytest.mark.parametrize(
    ("entries", "status", "reason"),
    [
        ([], "Pending", None),
        ([awaiting("review")], "Pending", "awaiting-approval"),
        ([awaiting("review", is_override=True)], "Pending", "awaiting-override"),
        ([awaiting("review"), approval_recorded("review")], "Pending", "awaiting-approval"),
        ([awaiting("review"), decided("review", Verdict.APPROVED)], "Succeeded", None),
        ([awaiting("review"), decided("review", Verdict.REJECTED)], "Failed", "approval-rejected"),
        ([awaiting("review"), decided("review", Verdict.EXPIRED)], "Failed", "approval-expired"),
        ([awaiting("review"), CANCELLED], "Skipped", "cancelled"),
        ([awaiting("review"), FAILED], "Skipped", "run-failed"),
    ],
)
def test_a_gate_has_the_state_that_its_entries_give(
    entries: list[Entry], status: str, reason: str | None
) -> None:
    review = step("review", *entries)

    assert (review.status, review.reason) == (status, reason)


@pytest.mark.parametrize(
    ("verdict", "status", "reason", "message"),
    [
        (PolicyVerdict.PASSED, "Succeeded", None, None),
        (PolicyVerdict.WARNED, "Succeeded", "policy-warned", None),
        (PolicyVerdict.RETRY, "Pending", "retrying", "Policy window does not hold yet: late"),
        (PolicyVerdict.OVERRIDE, "Running", None, None),
        (PolicyVerdict.BRANCH, "Running", None, None),
        (PolicyVerdict.FAILED, "Failed", "policy-failed", "Policy window does not hold: late"),
        (
            PolicyVerdict.BROKEN,
            "Failed",
            "executor-error",
            "Policy window cannot be evaluated: late",
        ),
    ],
)
def test_a_policy_gate_has_the_state_that_its_verdict_gives(
    verdict: PolicyVerdict, status: str, reason: str | None, message: str | None
) -> None:
    next_attempt_at = at(9) if verdict is PolicyVerdict.RETRY else None
    evaluation = Evaluation(Policy(id="window", version="1"), 2, verdict, ["late"], next_attempt_at)

    gate = step("build", flow_entries.policy_evaluated("build", evaluation, at(1)))

    assert (gate.status, gate.reason, gate.error_message) == (status, reason, message)
    assert (gate.attempts, gate.next_attempt_at) == (2, next_attempt_at)


def test_a_policy_gate_that_is_overridden_after_a_retry_shows_no_error() -> None:
    policy = Policy(id="window", version="1")
    retry = Evaluation(policy, 1, PolicyVerdict.RETRY, ["late"], at(2))
    override = Evaluation(policy, 2, PolicyVerdict.OVERRIDE, ["late"])

    gate = step(
        "review",
        flow_entries.policy_evaluated("review", retry, at(1)),
        flow_entries.policy_evaluated("review", override, at(2)),
        awaiting("review", is_override=True),
        decided("review", Verdict.APPROVED),
    )

    assert (gate.status, gate.error_message) == ("Succeeded", None)


def test_a_step_that_planning_skipped_has_been_skipped_since_the_creation() -> None:
    never = step("never")

    assert (never.status, never.reason) == ("Skipped", "condition-false")
    assert never.last_transition_at == CREATED_AT


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (completed("build"), failed("build")),
        (failed("build"), completed("build")),
        (failed("build"), started("build", 5)),
        (completed("build"), RETRYING),
        (completed("build"), failed("build", 7, reason=Reason.TIMEOUT)),
    ],
)
def test_a_step_that_has_ended_does_not_change(first: Entry, second: Entry) -> None:
    assert step("build", STARTED, first, second) == step("build", STARTED, first)


@pytest.mark.parametrize("first", [*Verdict])
@pytest.mark.parametrize("second", [*Verdict])
def test_a_gate_that_is_decided_does_not_change(first: Verdict, second: Verdict) -> None:
    once = [awaiting("review"), decided("review", first)]

    assert step("review", *once, decided("review", second)) == step("review", *once)
    assert step("review", *once, awaiting("review", 9)) == step("review", *once)


def test_attempts_counts_started_attempts() -> None:
    second = started("build", 3, attempt=2)

    assert step("build").attempts == 0
    assert step("build", STARTED).attempts == 1
    assert step("build", STARTED, RETRYING).attempts == 1
    assert step("build", STARTED, RETRYING, second, second).attempts == 2


def test_a_step_between_attempts_shows_the_time_of_the_next_and_the_last_error() -> None:
    between = step("build", STARTED, RETRYING)

    assert (between.next_attempt_at, between.error_message) == (at(9), "it broke")
    assert step("build", STARTED, RETRYING, started("build", 3, 2)).next_attempt_at is None


def test_a_step_that_succeeds_shows_no_error_of_an_earlier_attempt() -> None:
    assert step("build", STARTED, RETRYING, completed("build", 4, 2)).error_message is None


@pytest.mark.parametrize("reason", [*Reason])
def test_a_failed_step_keeps_its_reason(reason: Reason) -> None:
    assert step("build", failed("build", reason=reason)).reason is reason


def test_a_reason_of_a_later_release_is_read_as_unknown() -> None:
    with_new_reason = replace(failed("build"), metadata={"reason": "eaten-by-dog"})
    without_reason = replace(SKIPPED, metadata={})

    assert step("build", with_new_reason).reason is Reason.EXECUTOR_ERROR
    assert step("build", without_reason).reason is None


@pytest.mark.parametrize("attempt", ["", "one", "-1", "1e9", "9" * 5000, "٣"])
def test_an_attempt_that_is_not_a_number_is_not_counted(attempt: str) -> None:
    assert step("build", replace(STARTED, metadata={"attempt": attempt})).attempts == 0


def test_a_deferred_attempt_stays_counted_once() -> None:
    assert step("build", STARTED, DEFERRED).attempts == 1
    assert step("build", STARTED, DEFERRED, STARTED).attempts == 1
