from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model import timestamp

_times = st.integers(0, 2**47).map(
    lambda milliseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)


def test_writes_a_time_in_utc_with_milliseconds() -> None:
    berlin = timezone(timedelta(hours=1))

    written = timestamp.to_text(datetime(2025, 12, 6, 11, 0, 0, 1999, tzinfo=berlin))

    assert written == "2025-12-06T10:00:00.001Z"


@pytest.mark.parametrize("microseconds", [0, 999])
def test_cuts_what_is_below_a_millisecond(microseconds: int) -> None:
    time = datetime(2025, 12, 6, 10, 0, 0, microseconds, tzinfo=UTC)

    assert timestamp.to_text(time) == "2025-12-06T10:00:00.000Z"


@given(_times)
def test_reads_the_time_that_it_wrote(time: datetime) -> None:
    assert timestamp.from_text(timestamp.to_text(time)) == time


@given(_times, _times)
def test_texts_sort_by_time(first: datetime, second: datetime) -> None:
    assert (timestamp.to_text(first) < timestamp.to_text(second)) == (first < second)
