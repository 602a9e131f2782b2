"""The number of machines from which on a count is near the quota."""

from __future__ import annotations

import pytest

from taskrunner.model.machine_count import MachineCount


@pytest.mark.parametrize(("in_account", "is_near"), [(89_999, False), (90_000, True)])
def test_is_near_the_quota_from_the_number_on_that_the_deployment_warns_of(
    in_account: int,
    is_near: bool,  # noqa: FBT001 - a parameter of a test
) -> None:
    count = MachineCount(in_account, 90_000, "2025-12-06T03:00:00.000Z")

    assert count.is_near_the_quota is is_near
