"""builtin:assert lets true pass, fails on false, and refuses what is neither."""

from pathlib import Path

import pytest

from taskrunner import executors
from taskrunner.executors.builtin import assert_
from taskrunner.executors.work import ExecutorFailure
from tests.fakes.executor_world import a_work, mistakes


def test_what_is_true_passes_and_puts_out_nothing(tmp_path: Path) -> None:
    assert assert_.execute(assert_.Parameters(that=True), a_work(tmp_path)) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"that": False}, "the assertion does not hold"),
        ({"that": False, "message": "two critical findings"}, "two critical findings"),
    ],
)
def test_what_is_false_fails_with_the_message(
    given: dict[str, object], message: str, tmp_path: Path
) -> None:
    parameters = assert_.Parameters.model_validate(given)

    with pytest.raises(ExecutorFailure) as failure:
        assert_.execute(parameters, a_work(tmp_path))

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
def test_what_is_neither_is_told_to_be_compared(that: object, kind: str) -> None:
    expected = (
        f"it is {kind}, and an assertion is true or false; write a comparison, such as "
        "{{ steps.scan.outputs.critical == `0` }}"
    )

    assert mistakes(assert_.Parameters, {"that": that}) == [(("that",), expected)]


def test_that_is_required_and_a_message_is_not_empty() -> None:
    told = mistakes(assert_.Parameters, {"message": ""})

    assert [place for place, _ in told] == [("that",), ("message",)]


def test_a_pack_names_it_by_pythons_own_word() -> None:
    assert getattr(executors.find("builtin:assert"), "execute", None) is assert_.execute
    assert executors.find("builtin:assert_") is None
