"""Each rule by itself: when it applies, and what it makes of a step or a block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.model.plan import Lane, Parallel, StepKind
from taskrunner.model.run import Reason, RunStatus, StepState, StepStatus
from taskrunner.model.state import rules
from taskrunner.model.state.facts import Facts
from taskrunner.model.state.rules import Block, Scope
from tests.unit.model.state.sample_journal import CREATED_AT, PLAN, a_run_step, at

if TYPE_CHECKING:
    from collections.abc import Sequence

PENDING = StepState(
    path="build",
    template_id="build",
    parent_path=None,
    kind=StepKind.RUN,
    enabled=True,
    continue_on_error=False,
)
RUNNING = replace(PENDING, status=StepStatus.RUNNING, attempts=1, last_transition_at=at(1))
DEFERRED = replace(RUNNING, status=StepStatus.PENDING, reason=Reason.RETRYING)
RETRYING = replace(DEFERRED, next_attempt_at=at(6))
DEFERRED_AGAIN = replace(DEFERRED, attempts=2)
WAITING = replace(PENDING, reason=Reason.AWAITING_APPROVAL, last_transition_at=at(1))
SUCCEEDED = replace(RUNNING, status=StepStatus.SUCCEEDED, last_transition_at=at(2))
FAILED = replace(RUNNING, status=StepStatus.FAILED, last_transition_at=at(3))
SKIPPED = replace(PENDING, status=StepStatus.SKIPPED, reason=Reason.CONDITION_FALSE)
CONCURRENT = replace(
    PLAN, steps=(*PLAN.steps, Parallel(id="lanes", lanes=(Lane(steps=(a_run_step("lane"),)),)))
)
HERE = Scope()
STOPPED = Scope(is_contained=True, stopped_at=at(5))


def facts(outcome: RunStatus | None = None, *, has_started: bool = True) -> Facts:
    """A run that has started, and has ended when it has an outcome."""
    found = Facts(CONCURRENT, CREATED_AT)
    found.started_at = at(1) if has_started else None
    found.outcome = outcome
    found.ended_at = None if outcome is None else at(8)
    return found


def settled(step: StepState, scope: Scope, outcome: RunStatus | None) -> tuple[str, ...]:
    found = rules.step_state(step, scope, facts(outcome))
    return (found.status.value, *([] if found.reason is None else [found.reason.value]))


class TestStep:
    @pytest.mark.parametrize("outcome", [None, *RunStatus])
    @pytest.mark.parametrize("step", [SUCCEEDED, FAILED, SKIPPED])
    def test_keeps_its_state_once_it_has_ended(
        self, step: StepState, outcome: RunStatus | None
    ) -> None:
        assert rules.step_state(step, STOPPED, facts(outcome)) == step

    @pytest.mark.parametrize(
        ("step", "expected"),
        [
            (PENDING, ("Skipped", "parent-skipped")),
            (WAITING, ("Skipped", "parent-skipped")),
            (DEFERRED, ("Skipped", "parent-skipped")),
            (DEFERRED_AGAIN, ("Failed", "executor-error")),
            (RETRYING, ("Failed", "executor-error")),
            (RUNNING, ("Running",)),
        ],
    )
    def test_does_not_start_once_a_block_around_has_stopped(
        self, step: StepState, expected: tuple[str, ...]
    ) -> None:
        assert settled(step, STOPPED, None) == expected

    def test_has_been_stopped_since_the_failure_beside_it(self) -> None:
        assert rules.step_state(PENDING, STOPPED, facts()).last_transition_at == at(5)

    @pytest.mark.parametrize("step", [PENDING, WAITING, RETRYING, RUNNING])
    def test_does_not_change_while_the_run_goes_on(self, step: StepState) -> None:
        assert rules.step_state(step, HERE, facts()) == step

    @pytest.mark.parametrize(
        ("template", "expected"), [("lane", ("Running",)), ("build", ("Failed", "executor-error"))]
    )
    @pytest.mark.parametrize("scope", [HERE, STOPPED])
    @pytest.mark.parametrize("outcome", [RunStatus.FAILED, RunStatus.SUCCEEDED])
    def test_may_finish_only_if_it_ran_beside_a_failure(
        self, outcome: RunStatus, scope: Scope, template: str, expected: tuple[str, ...]
    ) -> None:
        running = replace(RUNNING, path=template, template_id=template)

        assert settled(running, scope, outcome) == expected

    def test_does_not_finish_as_a_gate_when_the_run_has_succeeded(self) -> None:
        gate = replace(RUNNING, path="lane", template_id="lane", kind=StepKind.GATE_POLICY)

        assert settled(gate, STOPPED, RunStatus.SUCCEEDED) == ("Failed", "executor-error")

    @pytest.mark.parametrize("step", [PENDING, WAITING, RETRYING, RUNNING])
    @pytest.mark.parametrize("template", ["lane", "build"])
    def test_is_skipped_when_the_run_is_cancelled(self, step: StepState, template: str) -> None:
        step = replace(step, path=template, template_id=template)

        assert settled(step, HERE, RunStatus.CANCELLED) == ("Skipped", "cancelled")

    @pytest.mark.parametrize(
        ("step", "expected"),
        [
            (PENDING, ("Skipped", "run-failed")),
            (WAITING, ("Skipped", "run-failed")),
            (DEFERRED, ("Skipped", "run-failed")),
            (DEFERRED_AGAIN, ("Failed", "executor-error")),
            (RETRYING, ("Failed", "executor-error")),
        ],
    )
    def test_is_skipped_when_the_run_fails_before_it_starts(
        self, step: StepState, expected: tuple[str, ...]
    ) -> None:
        assert settled(step, HERE, RunStatus.FAILED) == expected

    @pytest.mark.parametrize(
        ("scope", "outcome"), [(HERE, RunStatus.FAILED), (STOPPED, None)], ids=["run", "block"]
    )
    def test_keeps_the_reason_of_its_last_failure_when_it_gets_no_further_attempt(
        self, scope: Scope, outcome: RunStatus | None
    ) -> None:
        retrying = replace(RETRYING, failure=Reason.TIMEOUT)

        assert settled(retrying, scope, outcome) == ("Failed", "timeout")

    @pytest.mark.parametrize("step", [PENDING, RETRYING, RUNNING])
    def test_has_failed_when_the_run_succeeded_without_an_entry_of_its_end(
        self, step: StepState
    ) -> None:
        assert settled(step, HERE, RunStatus.SUCCEEDED) == ("Failed", "executor-error")


def derived(
    children: Sequence[StepState],
    *,
    block: StepState = PENDING,
    scope: Scope = HERE,
    outcome: RunStatus | None = None,
    is_complete: bool = True,
) -> tuple[str, ...]:
    stops = not block.continue_on_error
    parts = Block(block, children, is_complete, stops_at_failure=stops)
    found = rules.derived(parts, scope, facts(outcome))
    return (found.status.value, *([] if found.reason is None else [found.reason.value]))


class TestBlock:
    def test_keeps_its_own_failure_when_it_could_not_be_decided(self) -> None:
        undecidable = replace(FAILED, reason=Reason.EXECUTOR_ERROR)

        assert derived([SUCCEEDED], block=undecidable) == ("Failed", "executor-error")

    def test_fails_with_a_child_that_may_not_fail(self) -> None:
        assert derived([FAILED, PENDING]) == ("Failed",)
        assert derived([replace(FAILED, continue_on_error=True), PENDING]) == ("Running",)

    def test_that_lets_errors_pass_fails_once_all_children_have_ended(self) -> None:
        tolerant = replace(PENDING, continue_on_error=True)

        assert derived([FAILED, PENDING], block=tolerant) == ("Running",)
        assert derived([FAILED, SUCCEEDED], block=tolerant) == ("Failed",)

    def test_succeeds_when_all_children_have_ended(self) -> None:
        assert derived([SUCCEEDED, SKIPPED]) == ("Succeeded",)
        assert derived([SUCCEEDED], is_complete=False) == ("Running",)

    def test_without_children_succeeds_when_it_is_reached(self) -> None:
        unstarted = Block(PENDING, [], is_complete=True)

        assert derived([]) == ("Succeeded",)
        assert derived([], scope=Scope(is_reached=False)) == ("Pending",)
        assert rules.derived(unstarted, HERE, facts(has_started=False)).status == "Pending"

    @pytest.mark.parametrize("reason", [Reason.RUN_FAILED, Reason.PARENT_SKIPPED])
    def test_does_not_succeed_when_a_failure_has_cut_it_short(self, reason: Reason) -> None:
        cut_short = replace(SKIPPED, reason=reason)

        assert derived([SUCCEEDED, cut_short], outcome=RunStatus.FAILED) == (
            "Failed",
            "run-failed",
        )
        assert derived([SUCCEEDED, cut_short], scope=STOPPED) == ("Failed", "parent-skipped")

    def test_is_running_while_a_child_may_finish(self) -> None:
        assert derived([RUNNING, SUCCEEDED], outcome=RunStatus.FAILED) == ("Running",)
        assert derived([RUNNING, SUCCEEDED], scope=STOPPED) == ("Running",)

    def test_that_was_stopped_before_it_began_is_skipped(self) -> None:
        run_failed = replace(SKIPPED, reason=Reason.RUN_FAILED)

        assert derived([run_failed], outcome=RunStatus.FAILED) == ("Skipped", "run-failed")

    def test_is_skipped_when_the_run_is_cancelled(self) -> None:
        cancelled = replace(SKIPPED, reason=Reason.CANCELLED)

        assert derived([SUCCEEDED, cancelled], outcome=RunStatus.CANCELLED) == (
            "Skipped",
            "cancelled",
        )

    def test_runs_from_its_decision_or_its_first_child(self) -> None:
        assert derived([PENDING], block=RUNNING) == ("Running",)
        for child in (RUNNING, WAITING, RETRYING, SUCCEEDED):
            assert derived([child, PENDING]) == ("Running",)

    def test_is_pending_until_it_begins(self) -> None:
        assert derived([PENDING, SKIPPED]) == ("Pending",)

    def test_changed_last_when_it_or_a_child_did(self) -> None:
        block = Block(PENDING, [SUCCEEDED, RUNNING], is_complete=True)

        assert rules.derived(block, HERE, facts()).last_transition_at == at(2)


def test_the_next_step_may_start_unless_the_step_failed_without_continue_on_error() -> None:
    assert rules.lets_next_start(SUCCEEDED)
    assert rules.lets_next_start(SKIPPED)
    assert rules.lets_next_start(replace(FAILED, continue_on_error=True))
    assert not rules.lets_next_start(FAILED)
    assert not rules.lets_next_start(RUNNING)
