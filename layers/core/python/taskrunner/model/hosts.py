"""The one spelling of a host: names and addresses of the internet, without a network.

Programs read some spellings differently (`127.1`, `0x7f.0.0.1`). The check of a host and the
connection to it must agree, so these spellings are refused.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

LARGEST_PORT: Final = 65535

_MAX_NAME_CHARACTERS: Final = 253
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# A last label that makes a URL parser read the host as an IPv4 address (WHATWG URL, "ends in a
# number").
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Sharp s, final sigma and the two joiners: IDNA 2003 and IDNA 2008 make different names of them.
_DEVIATION_CHARACTERS: Final = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")


class HostError(Exception):
    """The text is not a host. The message, put after the text, says why."""


def normal_host(text: str) -> str:
    """Return the normal form of a host: a name in lower case ASCII without a final dot, or an IP.

    An IPv6 address may have brackets, and has none in its normal form.

    Raises:
        HostError: *text* is not a host.
    """
    if text.startswith("["):
        if not text.endswith("]"):
            raise HostError("has an opening bracket without a closing one")
        return _normal_ipv6(text[1:-1])
    if ":" in text:
        return _normal_ipv6(text)
    name = _ascii(text).lower().removesuffix(".")
    if not name:
        raise HostError("has no host; write a name such as api.example.com")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _normal_ipv4(name)
    if len(name) > _MAX_NAME_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels):
        raise HostError(
            "is not a host; write a name such as api.example.com, an IPv4 address, or an IPv6 "
            "address in brackets, without a scheme and a path"
        )
    return name


def normal_address(text: str) -> Address:
    """Return the address that *text* spells; an IPv4-mapped IPv6 address is the IPv4 address.

    Raises:
        HostError: *text* is not an address.
    """
    address = address_of(normal_host(text))
    if address is None:
        raise HostError("is not an address")
    return address


def address_of(host: str) -> Address | None:
    """Return the address that a host in its normal form is, or None when it is a name."""
    if ":" in host:
        return IPv6Address(host)
    return IPv4Address(host) if _NUMBER.fullmatch(host.rpartition(".")[2]) else None


def with_port(host: str, port: int | None) -> str:
    """Return `host:port`, or the host alone without a port; an IPv6 address in brackets."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    if len(text) > _MAX_NAME_CHARACTERS:
        raise HostError(f"is not a host; it is longer than {_MAX_NAME_CHARACTERS} characters")
    if _DEVIATION_CHARACTERS & set(text):
        raise HostError("is read differently by different programs; write the form with xn--")
    try:
        return text.encode("idna").decode()
    except UnicodeError:
        raise HostError("is not an internationalised name; write the form with xn--") from None


def _normal_ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise HostError(
            "ends like an IPv4 address but is not one; write four numbers from 0 to 255, without "
            "leading zeros"
        ) from None


def _normal_ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise HostError("is not an IPv6 address") from None
    if address.scope_id is not None:
        raise HostError("has a zone, which only has a meaning on this machine; remove it")
    # Python's versions write a mapped address in two ways, and the network sees the IPv4 address.
    return str(address.ipv4_mapped or address)
