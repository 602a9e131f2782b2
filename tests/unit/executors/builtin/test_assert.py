"""builtin:assert succeeds on true, fails on false, and refuses any other value."""

from pathlib import Path

import pytest

from taskrunner import executors
from taskrunner.executors.builtin import assert_
from taskrunner.executors.work import ExecutorFailure
from tests.fakes.executor_world import a_work, mistakes


def test_assert_succeeds_on_true_without_outputs(tmp_path: Path) -> None:
    assert assert_.execute(assert_.Parameters(that=True), a_work(tmp_path)) == {}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"that": False}, "the assertion does not hold"),
        ({"that": False, "message": "two critical findings"}, "two critical findings"),
    ],
)
def test_assert_fails_on_false_with_the_message(
    parameters: dict[str, object], message: str, tmp_path: Path
) -> None:
    validated = assert_.Parameters.model_validate(parameters)

    with pytest.raises(ExecutorFailure) as failure:
        assert_.execute(validated, a_work(tmp_path))

    assert str(failure.value) == message


@pytest.mark.parametrize(
    ("that", "kind"),
    [
        (None, "null"),
        (0, "a number"),
        (1.5, "a number"),
        ("true", "text"),
        ("", "text"),
        ([], "a list"),
        ({"a": 1}, "an object"),
    ],
)
def test_assert_refuses_any_other_value_and_suggests_a_comparison(that: object, kind: str) -> None:
    expected = (
        f"it is {kind}, and an assertion must be true or false; write a comparison, such as "
        "{{ steps.scan.outputs.critical == `0` }}"
    )

    assert mistakes(assert_.Parameters, {"that": that}) == [(("that",), expected)]


def test_assert_requires_that_and_refuses_an_empty_message() -> None:
    mistaken = mistakes(assert_.Parameters, {"message": ""})

    assert [path for path, _ in mistaken] == [("that",), ("message",)]


def test_assert_is_found_by_its_reference_and_not_by_its_modules_name() -> None:
    assert getattr(executors.find("builtin:assert"), "execute", None) is assert_.execute
    assert executors.find("builtin:assert_") is None
