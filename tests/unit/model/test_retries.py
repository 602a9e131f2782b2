"""The pauses between attempts are those of Step Functions, and `on` chooses the failures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.retries import REASONS, Jitter, Retries
from taskrunner.model.run import Reason


@pytest.mark.parametrize(
    ("retries", "pauses"),
    [
        (Retries(4), [1, 1, 1]),
        (Retries(4, 10), [10, 10, 10]),
        (Retries(4, 10, backoff_rate=2), [10, 20, 40]),
        (Retries(4, 10, backoff_rate=1.5), [10, 15, 22.5]),
        (Retries(4, 10, backoff_rate=2, max_backoff_s=30), [10, 20, 30]),
        (Retries(4, 0, backoff_rate=3), [1, 3, 9]),
        (Retries(3, 60, max_backoff_s=5), [5, 5]),
        (Retries(3, 10, backoff_rate=2, jitter=Jitter.FULL), [10, 20]),
    ],
)
def test_a_pause_grows_by_the_rate_up_to_the_longest(retries: Retries, pauses: list[float]) -> None:
    assert [retries.pause_s(attempt) for attempt in range(1, retries.max_attempts)] == pauses
    assert retries.pauses_s == sum(pauses)


@given(st.integers(1, 100), st.integers(0, 86400), st.floats(1, 10))
def test_no_pause_is_longer_than_an_execution(attempt: int, first: int, rate: float) -> None:
    assert 1 <= Retries(100, first, backoff_rate=rate).pause_s(attempt) <= 364 * 86400


@pytest.mark.parametrize("reason", REASONS)
def test_what_a_pack_names_is_tried_again_and_nothing_else(reason: str) -> None:
    retries = Retries(3, on=(reason,))

    assert [name for name in REASONS if retries.allow(1, name)] == [reason]
    assert not retries.allow(3, reason)


def test_by_default_a_denied_host_is_not_tried_again() -> None:
    again = {reason for reason in Reason if Retries(2).allow(1, reason)}

    assert again == {Reason.TIMEOUT, Reason.MEMORY_EXCEEDED, Reason.EXECUTOR_ERROR}
    assert set(REASONS) <= set(Reason)
