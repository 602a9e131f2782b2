"""builtin:sleep waits."""

import time
from pathlib import Path

import pytest

from taskrunner.executors.builtin import sleep
from tests.fakes.executor_world import a_work, mistakes


@pytest.mark.parametrize(("seconds", "text"), [(0, "0"), (0.0, "0"), (0.01, "0.01")])
def test_sleep_returns_the_seconds_as_the_shortest_number(
    seconds: float, text: str, tmp_path: Path
) -> None:
    outputs = sleep.execute(sleep.Parameters(seconds=seconds), a_work(tmp_path))

    assert list(outputs) == ["seconds"]
    assert text == repr(outputs["seconds"])


def test_sleep_waits_for_the_seconds(tmp_path: Path) -> None:
    before = time.monotonic()

    sleep.execute(sleep.Parameters(seconds=0.02), a_work(tmp_path))

    assert time.monotonic() - before >= 0.02


@pytest.mark.parametrize(
    "seconds", [-0.1, 300.5, float("inf"), float("nan"), "5", True, None], ids=str
)
def test_sleep_refuses_seconds_that_are_not_a_number_from_0_to_300(seconds: object) -> None:
    [(place, _)] = mistakes(sleep.Parameters, {"seconds": seconds})

    assert place == ("seconds",)


def test_sleep_requires_seconds_and_refuses_other_parameters() -> None:
    expected = [
        (("seconds",), "Field required"),
        (("minutes",), "Extra inputs are not permitted"),
    ]

    assert mistakes(sleep.Parameters, {"minutes": 1}) == expected
