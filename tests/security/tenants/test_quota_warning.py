"""The warning near the quota of state machines is about the account, which all tenants share."""

from __future__ import annotations

from taskrunner.model.machine_count import MachineCount
from tests.security.tenants.deployment import a_pack, deployment
from tests.security.tenants.furnished import TENANTS


def test_a_warning_near_the_quota_is_about_the_account_and_names_no_tenant() -> None:
    with deployment() as made:
        made.world.machine_counts.put(MachineCount(90_012, 90_000, "2025-12-06T03:00:00.000Z"))
        first, second = (
            made.request(tenant, "POST", "runs", {"manifest": a_pack("any")}).json
            for tenant in TENANTS[:2]
        )

        # The tenants share the machine of the version, so the second one needed no new one.
        assert [warning["code"] for warning in first["warnings"]] == ["machine_quota_near"]
        assert "warnings" not in second
        assert not any(tenant in first["warnings"][0]["message"] for tenant in TENANTS)
        assert made.strange == []
