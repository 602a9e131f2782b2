"""Durations and times for people."""

from datetime import timedelta

import pytest

from taskrunner_cli.output.formatting import duration, parse_time


@pytest.mark.parametrize(
    ("seconds", "formatted"),
    [(-3, "0.0 s"), (0.44, "0.4 s"), (12.4, "12 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_a_duration_has_two_units_at_most(seconds: float, formatted: str) -> None:
    assert duration(timedelta(seconds=seconds)) == formatted


@pytest.mark.parametrize("timestamp", [None, "", "noon", "2025-12-06T12:00:00"])
def test_an_invalid_timestamp_is_not_a_time(timestamp: str | None) -> None:
    assert parse_time(timestamp) is None
