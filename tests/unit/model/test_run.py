from __future__ import annotations

import pytest

from taskrunner.model.plan import StepKind
from taskrunner.model.run import RUN_ID, Reason, StepReference, StepState, StepStatus


def a_step(
    status: StepStatus, reason: Reason | None = None, *, continue_on_error: bool = False
) -> StepState:
    return StepState(
        path="build",
        template_id="build",
        parent_path=None,
        kind=StepKind.RUN,
        enabled=True,
        continue_on_error=continue_on_error,
        status=status,
        reason=reason,
    )


def test_a_reference_has_the_path_of_its_step() -> None:
    assert StepReference("acme", "run-7", "leaf").path == "leaf"
    assert StepReference("acme", "run-7", "leaf", "outer[1]::").path == "outer[1]::leaf"


@pytest.mark.parametrize(
    ("run_id", "is_valid"),
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
def test_a_run_id_has_up_to_128_plain_characters(run_id: str, *, is_valid: bool) -> None:
    assert bool(RUN_ID.fullmatch(run_id)) is is_valid


def test_a_step_has_ended_when_it_is_succeeded_failed_or_skipped() -> None:
    ended = {status for status in StepStatus if a_step(status).has_ended}

    assert ended == {StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED}


def test_a_failure_is_fatal_unless_the_step_lets_it_pass() -> None:
    assert a_step(StepStatus.FAILED).is_fatal
    assert not a_step(StepStatus.FAILED, continue_on_error=True).is_fatal
    assert not a_step(StepStatus.SKIPPED).is_fatal


def test_a_step_waits_only_for_a_decision() -> None:
    waiting = {reason for reason in Reason if a_step(StepStatus.PENDING, reason).is_waiting}

    assert waiting == {Reason.AWAITING_APPROVAL, Reason.AWAITING_OVERRIDE}
