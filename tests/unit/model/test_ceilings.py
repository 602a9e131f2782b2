from __future__ import annotations

import pytest

from taskrunner.model.ceilings import NO_CEILINGS, Ceilings


@pytest.mark.parametrize(
    ("allowed", "entry"),
    [
        ("*", "anything.at.all:22"),
        ("api.example.com", "api.example.com"),
        ("api.example.com", "API.Example.com."),
        ("api.example.com", "api.example.com:443"),
        ("api.example.com:5000", "api.example.com:5000"),
        ("*.example.com", "api.example.com"),
        ("*.example.com", "*.example.com"),
        ("*.example.com", "*.eu.example.com:80"),
        ("*.example.com:5000", "a.b.example.com:5000"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("[2001:db8::1]:5000", "[2001:db8::1]:5000"),
        ("*.internal", "db.internal"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_an_entry_may_be_what_is_allowed_or_within_it(allowed: str, entry: str) -> None:
    assert Ceilings(egress=("other.example.org", allowed)).allows_egress(entry)


@pytest.mark.parametrize(
    ("allowed", "entry"),
    [
        ("api.example.com", "example.com"),
        ("api.example.com", "*.api.example.com"),
        ("api.example.com", "xapi.example.com"),
        ("api.example.com", "api.example.com:22"),
        ("api.example.com:443", "api.example.com"),  # which is port 80 too
        ("api.example.com:443", "api.example.com:444"),
        ("*.example.com", "example.com"),
        ("*.example.com", "badexample.com"),
        ("*.eu.example.com", "*.example.com"),
        ("*.example.com", "*.example.com:22"),
        ("[2001:db8::1]", "[2001:db8::2]"),
        ("https://api.example.com", "api.example.com"),
        ("api.example.com", "https://api.example.com"),
    ],
)
def test_an_entry_that_opens_more_is_not_allowed(allowed: str, entry: str) -> None:
    assert not Ceilings(egress=(allowed,)).allows_egress(entry)


def test_where_nothing_is_allowed_no_entry_is() -> None:
    assert not Ceilings(egress=()).allows_egress("api.example.com")


def test_without_ceilings_all_is_allowed() -> None:
    assert NO_CEILINGS.any_egress
    assert NO_CEILINGS.memory_limit_mib is NO_CEILINGS.quota_s is None
