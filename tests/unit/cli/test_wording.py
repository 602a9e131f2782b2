"""How times and spans are said."""

from datetime import timedelta

import pytest

from taskrunner_cli.output.formatting import duration, parse_time


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0.0 s"), (0.44, "0.4 s"), (12.4, "12 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_a_span_is_said_as_people_do(seconds: float, said: str) -> None:
    assert duration(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize("timestamp", [None, "", "noon", "2025-12-06T12:00:00"])
def test_a_time_that_is_not_understood_is_no_time(timestamp: str | None) -> None:
    assert parse_time(timestamp) is None
