"""builtin:fail fails as many attempts as its parameters say."""

from pathlib import Path

import pytest

from taskrunner.executors.builtin import fail
from taskrunner.executors.work import ExecutorFailure
from tests.fakes.executor_world import a_work, mistakes


def test_fail_fails_every_attempt_by_default(tmp_path: Path) -> None:
    for attempt in (1, 2, 100):
        with pytest.raises(ExecutorFailure, match=r"^this step fails on purpose$"):
            fail.execute(fail.Parameters(), a_work(tmp_path, attempt=attempt))


def test_fail_fails_with_the_authors_message(tmp_path: Path) -> None:
    with pytest.raises(ExecutorFailure, match=r"^out of coffee$"):
        fail.execute(fail.Parameters(message="out of coffee"), a_work(tmp_path))


def test_fail_succeeds_after_the_failing_attempts(tmp_path: Path) -> None:
    parameters = fail.Parameters(attempts=2)

    for attempt in (1, 2):
        with pytest.raises(ExecutorFailure):
            fail.execute(parameters, a_work(tmp_path, attempt=attempt))

    assert fail.execute(parameters, a_work(tmp_path, attempt=3)) == {"attempt": 3}


def test_fail_with_zero_attempts_succeeds_at_once(tmp_path: Path) -> None:
    assert fail.execute(fail.Parameters(attempts=0), a_work(tmp_path)) == {"attempt": 1}


@pytest.mark.parametrize("attempts", [-1, 1.5, "2", True])
def test_fail_refuses_attempts_that_are_not_a_whole_number_from_zero(attempts: object) -> None:
    [(place, _)] = mistakes(fail.Parameters, {"attempts": attempts})

    assert place == ("attempts",)


def test_fail_refuses_an_empty_message() -> None:
    expected = [(("message",), "String should have at least 1 character")]

    assert mistakes(fail.Parameters, {"message": ""}) == expected
