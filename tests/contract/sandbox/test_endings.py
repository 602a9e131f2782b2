"""The parent learns how an attempt ended, however its process ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.model.run import Reason
from taskrunner.runtime.attempt_outputs import bounded
from tests.contract.sandbox.attempt import AMPLE, works

if TYPE_CHECKING:
    from tests.contract.sandbox.attempt import Attempt

UNEXPECTED = "the executor failed with an unexpected error ({})"


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        ("KeyError", Reason.EXECUTOR_ERROR, UNEXPECTED.format("KeyError")),
        ("SystemExit", Reason.EXECUTOR_ERROR, UNEXPECTED.format("SystemExit")),
        ("KeyboardInterrupt", Reason.EXECUTOR_ERROR, UNEXPECTED.format("KeyboardInterrupt")),
        ("RecursionError", Reason.EXECUTOR_ERROR, UNEXPECTED.format("RecursionError")),
        (
            "MemoryError",
            Reason.MEMORY_EXCEEDED,
            "more than the 128 MiB of memory that the pack's sandbox allows",
        ),
        ("ExecutorFailure", Reason.EXECUTOR_ERROR, "no luck"),
        ("EgressDenied", Reason.EGRESS_DENIED, "no way"),
    ],
)
def test_an_error_becomes_a_reason_and_a_message(
    attempt: Attempt, error: str, reason: Reason, message: str
) -> None:
    result = attempt("raise_it", error=error)

    assert (result.reason, result.message) == (reason, message)


def test_endless_recursion_is_an_unexpected_error(attempt: Attempt) -> None:
    assert attempt("recurse").message == UNEXPECTED.format("RecursionError")


def test_a_process_cannot_pretend_to_have_used_what_nothing_can_use(attempt: Attempt) -> None:
    result = attempt("pretend_to_have_used", cpu_s=float("nan"), memory_mib=10**50)

    assert result.outputs == {}
    assert 0 <= result.usage.cpu_s < AMPLE.cpu_s
    assert 0 < result.usage.memory_mib < AMPLE.memory_mib


@pytest.mark.parametrize("code", [3, 0])
def test_a_process_that_exits_is_reported_with_its_code(attempt: Attempt, code: int) -> None:
    result = attempt("leave", code=code)

    assert result.message == f"the executor's process ended with exit code {code}"
    assert works(attempt)


def test_a_process_that_crashes_is_reported_with_its_signal(attempt: Attempt) -> None:
    result = attempt("crash")

    assert result.message == "the executor's process ended with SIGSEGV"
    assert works(attempt)


def test_a_process_that_was_killed_is_not_reported_as_out_of_memory(attempt: Attempt) -> None:
    result = attempt("be_killed")

    assert result.reason is Reason.EXECUTOR_ERROR
    assert result.message == (
        "the executor's process was killed (SIGKILL) and the reason is not known; it used "
        f"{result.usage.memory_mib} of its 128 MiB of memory, and the function may have run out "
        "of its own"
    )
    assert works(attempt)


@pytest.mark.parametrize("levels", [2_000, 100_000])
def test_outputs_that_are_far_too_deep_fail_the_attempt(attempt: Attempt, levels: int) -> None:
    """The executor's process fails where its Python cannot write them, from 3.13 on at more levels.

    The function refuses all others.
    """
    result = bounded(attempt("answer_deep_json", levels=levels))

    assert result.reason is Reason.EXECUTOR_ERROR
    assert "nested" in result.message
    assert works(attempt)


def test_outputs_that_are_not_json_fail_the_attempt(attempt: Attempt) -> None:
    result = attempt("answer_no_json")

    assert result.reason is Reason.EXECUTOR_ERROR
    assert result.message.startswith("the outputs are not JSON")


def test_outputs_that_are_far_too_large_fail_the_attempt(attempt: Attempt) -> None:
    result = attempt("answer_much", bytes=17_000_000)

    assert result.reason in {Reason.EXECUTOR_ERROR, Reason.MEMORY_EXCEEDED}


def test_a_child_that_sends_nonsense_fails_the_attempt(attempt: Attempt) -> None:
    result = attempt("speak_nonsense")

    assert result.reason is Reason.EXECUTOR_ERROR
    assert result.message == "the executor's process sent something that is not a message"
    assert result.usage.wall_s < AMPLE.wall_s
    assert works(attempt)


def test_files_of_the_attempt_are_left_in_its_folder(attempt: Attempt) -> None:
    attempt("write_files", report="all is well")

    assert (attempt.folder / "output" / "report").read_text() == "all is well"


def test_parameters_that_do_not_fit_fail_the_attempt_before_it_executes(attempt: Attempt) -> None:
    result = attempt("take_nothing", region="eu")

    assert result.reason is Reason.EXECUTOR_ERROR
    assert result.message == "$.with.region: unknown parameter 'region'"
    assert attempt("take_nothing").outputs == {"executed": True}


@pytest.mark.parametrize("name", ["output", "scratch"])
def test_an_executor_may_remove_its_folders(attempt: Attempt, name: str) -> None:
    assert attempt("remove_a_folder", folder=name).outputs == {"removed": True}
