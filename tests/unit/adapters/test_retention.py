from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from taskrunner.adapters.retention import LONG_RUN_TAG, NO_TAG, SHORT_RUN_TAG, Retention
from taskrunner.model.plan import DEFAULT_EXPIRY_S
from tests.contract.samples import a_run

DAY_S = 86400
MONTH = Retention(30 * DAY_S)
CREATED_S = int(datetime(2025, 12, 6, 12, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("longest_s", "tag"),
    [
        (0, SHORT_RUN_TAG),
        (DEFAULT_EXPIRY_S + 840, SHORT_RUN_TAG),  # a gate with the default expiry, and a step
        (30 * DAY_S // 4, SHORT_RUN_TAG),
        (30 * DAY_S // 4 + 1, LONG_RUN_TAG),
        (365 * DAY_S, LONG_RUN_TAG),
    ],
)
def test_a_run_is_long_if_it_may_take_over_a_quarter_of_the_retention(
    longest_s: int, tag: str
) -> None:
    assert MONTH.tag(longest_s) == tag


def test_a_shorter_retention_makes_shorter_runs_long() -> None:
    assert Retention(DAY_S).tag(DEFAULT_EXPIRY_S) == LONG_RUN_TAG


def test_items_of_a_short_run_expire_with_its_objects() -> None:
    run = replace(a_run(), longest_s=DEFAULT_EXPIRY_S)

    assert MONTH.expires_at(run) == CREATED_S + 30 * DAY_S


def test_items_of_a_long_run_expire_after_its_longest_duration() -> None:
    run = replace(a_run(), longest_s=364 * DAY_S)

    assert MONTH.expires_at(run) == CREATED_S + 394 * DAY_S


def test_objects_that_never_expire_have_no_tag() -> None:
    assert NO_TAG == ""
