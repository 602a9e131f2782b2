from __future__ import annotations

from taskrunner.model.ceilings import NO_CEILINGS, Ceilings


def test_allows_everything_without_ceilings() -> None:
    assert NO_CEILINGS.allows_any_egress
    assert NO_CEILINGS.memory_limit_mib is NO_CEILINGS.quota_s is None


def test_allows_any_egress_only_with_a_star() -> None:
    assert Ceilings(egress=("api.example.com", "*")).allows_any_egress
    assert not Ceilings(egress=("*.example.com",)).allows_any_egress
    assert not Ceilings(egress=()).allows_any_egress
