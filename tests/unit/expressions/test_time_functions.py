"""The functions of time: RFC 3339 in, UTC out, and nothing of the machine's own zone or locale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner import expressions
from taskrunner.expressions import ExpressionError
from taskrunner.expressions.time_functions import FIELDS
from taskrunner.model import timestamp

TIMES = st.integers(-30_000_000, 250_000_000).map(
    lambda milliseconds: (
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=milliseconds * 1000.25)
    )
)


def value(text: str, **inputs: Any) -> Any:  # noqa: ANN401 - any JSON
    return expressions.parse(text).evaluate({"inputs": inputs})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("format_time('2026-01-31T23:30:00-01:00', '%F %T')", "2026-02-01 00:30:00"),
        ("format_time('2026-01-31T08:00:00.25Z', '%d %B %Y, %H:%M')", "31 January 2026, 08:00"),
        ("format_time('2026-01-31T08:00:00.25Z', '%a %u %j %V %G %y %b %f')",
         "Sat 6 031 05 2026 26 Jan 250000"),
        ("format_time('1970-01-01T00:00:01Z', '100%% at %s %z %Z')", "100% at 1 +0000 UTC"),
        ("format_time('1969-12-31T23:59:59.5Z', '%s')", "-1"),
        ("time_add('2026-01-31T08:00:00Z', `86400`)", "2026-02-01T08:00:00.000Z"),
        ("time_add('2026-01-31T08:00:00+02:00', `-0.5`)", "2026-01-31T05:59:59.500Z"),
        ("time_add('2026-01-31t08:00:00z', `0`)", "2026-01-31T08:00:00.000Z"),
        ("time_diff('2026-02-01T00:00:00Z', '2026-01-31T00:00:00Z')", 86400),
        ("time_diff('2026-01-31T00:00:00Z', '2026-02-01T00:00:00.500Z')", -86400.5),
        ("time_diff('2026-01-31T00:00:00Z', '2026-01-31T00:00:00Z')", 0),
        ("time_add('2026-01-31T08:00:00Z', `1`) > '2026-01-31T08:00:00.000Z'", True),
    ],
)  # fmt: skip
def test_gives_the_documented_value(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-31", "2026-01-31T08:00:00", "20260131T080000Z", "2026-02-30T00:00:00Z", "now", "",
        "2026-01-31T08:00:00Z ", "2026-W05-6T08:00:00Z", "0001-01-01T00:00:00+01:00",
        "2026-01-31T25:00:00Z", "\u0662026-01-31T08:00:00Z",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "text",
    ["format_time(inputs.x, '%F')", "time_add(inputs.x, `1`)", "time_diff(inputs.x, inputs.x)"],
)
def test_refuses_a_text_that_is_not_a_time(text: str, time: str) -> None:
    with pytest.raises(ExpressionError, match="write it as RFC 3339 does"):
        value(text, x=time)


@pytest.mark.parametrize("seconds", ["1e300", "-1e300", "1e12", "-1e12"])
def test_refuses_a_time_beyond_the_calendar(seconds: str) -> None:
    with pytest.raises(ExpressionError, match="out of the years 1 to 9999"):
        value(f"time_add('2026-01-31T08:00:00Z', `{seconds}`)")


@pytest.mark.parametrize("form", ["%Q", "%-d", "%", "%ü", "100%"])
def test_a_written_form_is_checked_when_it_is_parsed(form: str) -> None:
    with pytest.raises(ExpressionError, match="knows no field '%"):
        expressions.parse(f"format_time(inputs.x, '{form}')")
    with pytest.raises(ExpressionError, match="knows no field '%"):
        value("format_time('2026-01-31T08:00:00Z', inputs.form)", form=form)


@given(TIMES, st.sampled_from(sorted(set(FIELDS) - set("sZ"))))
def test_each_field_is_that_of_strftime(time: datetime, field: str) -> None:
    written = value(f"format_time(inputs.x, '%{field}')", x=time.isoformat(timespec="microseconds"))

    assert written == time.strftime(f"%{field}")


@given(TIMES, st.integers(-(10**6), 10**6))
def test_time_diff_undoes_time_add(time: datetime, seconds: int) -> None:
    start = timestamp.to_text(time)

    assert value("time_diff(time_add(inputs.x, inputs.s), inputs.x)", x=start, s=seconds) == seconds
