"""builtin:fail fails as often as it is told to."""

from pathlib import Path

import pytest

from taskrunner.executors.builtin import fail
from taskrunner.executors.work import ExecutorFailure
from tests.fakes.executor_world import a_work, mistakes


def test_without_a_number_every_attempt_fails(tmp_path: Path) -> None:
    for attempt in (1, 2, 100):
        with pytest.raises(ExecutorFailure, match=r"^this step fails on purpose$"):
            fail.execute(fail.Parameters(), a_work(tmp_path, attempt=attempt))


def test_the_authors_message_is_the_failure(tmp_path: Path) -> None:
    with pytest.raises(ExecutorFailure, match=r"^out of coffee$"):
        fail.execute(fail.Parameters(message="out of coffee"), a_work(tmp_path))


def test_the_attempt_after_the_failing_ones_succeeds(tmp_path: Path) -> None:
    parameters = fail.Parameters(attempts=2)

    for attempt in (1, 2):
        with pytest.raises(ExecutorFailure):
            fail.execute(parameters, a_work(tmp_path, attempt=attempt))

    assert fail.execute(parameters, a_work(tmp_path, attempt=3)) == {"attempt": 3}


def test_no_failing_attempts_is_success_at_once(tmp_path: Path) -> None:
    assert fail.execute(fail.Parameters(attempts=0), a_work(tmp_path)) == {"attempt": 1}


@pytest.mark.parametrize("attempts", [-1, 1.5, "2", True])
def test_attempts_is_a_whole_number_from_zero(attempts: object) -> None:
    [(place, _)] = mistakes(fail.Parameters, {"attempts": attempts})

    assert place == ("attempts",)


def test_an_empty_message_is_refused() -> None:
    expected = [(("message",), "String should have at least 1 character")]

    assert mistakes(fail.Parameters, {"message": ""}) == expected
