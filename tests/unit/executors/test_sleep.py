"""builtin:sleep waits, and lets itself be woken."""

from pathlib import Path
from threading import Event, Timer

import pytest

from taskrunner.executors import sleep
from taskrunner.executors.work import ExecutorFailure
from tests.fakes.executor_world import a_work, mistakes


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0"), (0.0, "0"), (0.01, "0.01")])
def test_the_seconds_come_back_as_the_shortest_number(
    seconds: float, shown: str, tmp_path: Path
) -> None:
    outputs = sleep.execute(sleep.Parameters(seconds=seconds), a_work(tmp_path))

    assert list(outputs) == ["seconds"]
    assert shown == repr(outputs["seconds"])


def test_a_sleeper_whose_time_is_over_wakes_and_fails(tmp_path: Path) -> None:
    stopped = Event()
    alarm = Timer(0.01, stopped.set)
    alarm.start()

    with pytest.raises(ExecutorFailure, match=r"^stopped before 300 seconds .* timeoutSeconds"):
        sleep.execute(sleep.Parameters(seconds=300), a_work(tmp_path, stopped=stopped))

    alarm.join()


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
