"""builtin:sleep waits."""

import time
from pathlib import Path

import pytest

from taskrunner.executors.builtin import sleep
from tests.fakes.executor_world import a_work, mistakes


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0"), (0.0, "0"), (0.01, "0.01")])
def test_the_seconds_come_back_as_the_shortest_number(
    seconds: float, shown: str, tmp_path: Path
) -> None:
    outputs = sleep.execute(sleep.Parameters(seconds=seconds), a_work(tmp_path))

    assert list(outputs) == ["seconds"]
    assert shown == repr(outputs["seconds"])


def test_it_waits_as_long_as_it_says(tmp_path: Path) -> None:
    before = time.monotonic()

    sleep.execute(sleep.Parameters(seconds=0.02), a_work(tmp_path))

    assert time.monotonic() - before >= 0.02


@pytest.mark.parametrize(
    "seconds", [-0.1, 300.5, float("inf"), float("nan"), "5", True, None], ids=str
)
def test_seconds_is_a_number_from_0_to_300(seconds: object) -> None:
    [(place, _)] = mistakes(sleep.Parameters, {"seconds": seconds})

    assert place == ("seconds",)


def test_seconds_is_required_and_nothing_else_is_known() -> None:
    expected = [
        (("seconds",), "Field required"),
        (("minutes",), "Extra inputs are not permitted"),
    ]

    assert mistakes(sleep.Parameters, {"minutes": 1}) == expected
