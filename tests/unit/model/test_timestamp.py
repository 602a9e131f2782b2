from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model import timestamp

_moments = st.integers(0, 2**47).map(
    lambda milliseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)


def test_a_moment_is_written_in_utc_with_milliseconds() -> None:
    berlin = timezone(timedelta(hours=1))

    written = timestamp.to_text(datetime(2025, 12, 6, 11, 0, 0, 1999, tzinfo=berlin))

    assert written == "2025-12-06T10:00:00.001Z"


@pytest.mark.parametrize("microseconds", [0, 999])
def test_what_is_below_a_millisecond_is_cut(microseconds: int) -> None:
    one = datetime(2025, 12, 6, 10, 0, 0, microseconds, tzinfo=UTC)

    assert timestamp.to_text(one) == "2025-12-06T10:00:00.000Z"


@given(one=_moments)
def test_a_moment_comes_back_from_its_text(one: datetime) -> None:
    assert timestamp.from_text(timestamp.to_text(one)) == one


@given(one=_moments, other=_moments)
def test_texts_sort_as_their_moments(one: datetime, other: datetime) -> None:
    assert (timestamp.to_text(one) < timestamp.to_text(other)) == (one < other)
