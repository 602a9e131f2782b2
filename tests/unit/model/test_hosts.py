"""Every spelling of a host has one normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model import hosts
from taskrunner.model.hosts import HostError
from tests.unit.model.host_names import NAMES

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("example\u3002com", "example.com"),
        ("\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com", "example.com"),
        ("\uff11\uff12\uff17.0.0.1", "127.0.0.1"),
        ("[::FFFF:127.0.0.1]", "127.0.0.1"),
        ("[0:0::0001]", "::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_every_spelling_of_a_host_has_one_normal_form(written: str, normal: str) -> None:
    assert normal == hosts.normal_host(written)
    assert normal == hosts.normal_host(normal)


@given(st.text(max_size=60) | NAMES | st.ip_addresses().map(str))
def test_a_normal_form_is_its_own_normal_form(text: str) -> None:
    try:
        once = hosts.normal_host(text)
    except HostError:
        return
    assert once.isascii()
    assert once == hosts.normal_host(once)


@given(st.ip_addresses())
def test_an_address_is_read_from_its_text(address: IPv4Address | IPv6Address) -> None:
    normal = hosts.normal_address(str(address))

    assert normal in {address, getattr(address, "ipv4_mapped", None)}
    assert hosts.address_of(str(normal)) == normal


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("example.com", 443, "example.com:443"),
        ("example.com", None, "example.com"),
        ("2001:db8::1", 443, "[2001:db8::1]:443"),
        ("2001:db8::1", None, "[2001:db8::1]"),
    ],
)
def test_a_host_is_written_with_its_port_and_an_ipv6_address_in_brackets(
    host: str, port: int | None, text: str
) -> None:
    assert hosts.with_port(host, port) == text


def test_a_name_is_not_an_address() -> None:
    with pytest.raises(HostError, match=r"^is not an address$"):
        hosts.normal_address("example.com")
