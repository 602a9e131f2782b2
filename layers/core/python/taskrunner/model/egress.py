"""The grammar and the rules of `egressAllowlist`: the hosts that a step may connect to.

    entry = ( host | "*." name ) [ ":" port ]
    host  = name | IPv4 address | "[" IPv6 address "]"

A listed name is reached at public addresses only, because the owner of a name can point it
anywhere, also to an address that is private to the deployment. An address that is private, on this
machine or on its link is reached only when the address itself is listed.
"""

from __future__ import annotations

import re
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Final

from taskrunner.model.hosts import LARGEST_PORT, HostError, address_of, normal_host
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskrunner.model.hosts import Address

DEFAULT_PORTS: Final = frozenset({80, 443})

_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")


class Reach(Enum):
    """The sandboxes that may connect to an address, from all to none."""

    PUBLIC = 0
    LISTED = 1  # those that list the address itself
    NEVER = 2


# IANA's registries of special addresses, https://www.iana.org/assignments/iana-ipv4-special-registry
# Written out, because Python's versions disagree on which addresses are private.
_V4: Final = [
    (Reach.NEVER, ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4")),
    (
        Reach.LISTED,
        (
            "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        ),
    ),
]  # fmt: skip
_V6: Final = [
    (Reach.NEVER, ("::/128", "ff00::/8")),
    # 6to4 (2002::/16) and Teredo (in 2001::/23) are tunnels with an unknown other end.
    (Reach.LISTED, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")),
    # The last two carry an IPv4 address, which is judged as well.
    (Reach.PUBLIC, ("2000::/3", "64:ff9b::/96", "::ffff:0:0/96")),
    (Reach.LISTED, ("::/0",)),
]
_RULES_V4: Final = [(reach, IPv4Network(text)) for reach, texts in _V4 for text in texts]
_RULES_V6: Final = [(reach, IPv6Network(text)) for reach, texts in _V6 for text in texts]
# IPv6 networks whose addresses carry an IPv4 address, and how many bits follow that address.
_EMBEDDED: Final = [
    (IPv6Network(network), shift)
    for network, shift in (
        ("::/96", 0),  # IPv4-compatible
        ("::ffff:0:0/96", 0),  # IPv4-mapped
        ("::ffff:0:0:0/96", 0),  # IPv4-translated
        ("64:ff9b::/96", 0),  # NAT64
        ("64:ff9b:1::/48", 0),  # NAT64 within a site
        ("2002::/16", 80),  # 6to4
        ("2001::/32", 64),  # the server of Teredo
    )
]
_TEREDO: Final = IPv6Network("2001::/32")
_ISATAP_INTERFACES: Final = frozenset({0x00005EFE, 0x02005EFE})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. *host* is in its normal form; *is_wildcard* if the entry begins with `*.`."""

    host: str
    is_wildcard: bool
    ports: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Entry:
        """Read one entry.

        Raises:
            HostError: *text* is not an entry.
        """
        is_wildcard = text.startswith("*.")
        host_text, ports = _split_port(text.removeprefix("*."))
        host = normal_host(host_text)
        if is_wildcard and address_of(host) is not None:
            raise HostError("is too wide; `*.` is followed by a name and not by an address")
        return cls(host, is_wildcard, ports)

    def allows(self, host: str, port: int) -> bool:
        """Return whether the entry allows *host*, in its normal form, with that port."""
        is_host = host.endswith(f".{self.host}") if self.is_wildcard else host == self.host
        return is_host and port in self.ports

    def covers(self, other: Entry) -> bool:
        """Return whether the entry allows everything that *other* allows."""
        if not other.ports <= self.ports:
            return False
        if other.host == self.host:
            return self.is_wildcard == other.is_wildcard
        return self.is_wildcard and other.host.endswith(f".{self.host}")


@dataclass(frozen=True, slots=True)
class Allowlist:
    """The entries of a pack."""

    entries: tuple[Entry, ...]

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Allowlist:
        """Read a pack's entries.

        Raises:
            HostError: one of them is not an entry, which planning would have refused.
        """
        return cls(tuple(_parse_pack_entry(entry) for entry in entries))

    def allows(self, host: str, port: int) -> bool:
        """Return whether *host*, in its normal form, is listed with that port."""
        return any(entry.allows(host, port) for entry in self.entries)

    def reaches(self, address: Address, port: int) -> bool:
        """Return whether a connection to a listed host may go to this address of the host."""
        match reach(address):
            case Reach.PUBLIC:
                return True
            case Reach.LISTED:
                return self.allows(str(address), port)
            case Reach.NEVER:
                return False


def problem(entry: str) -> str | None:
    """Return why a pack cannot list *entry*, and what to write instead; None when it can."""
    try:
        _parse_pack_entry(entry)
    except HostError as error:
        return f"{entry!r} {error}"
    return None


def reach(address: Address) -> Reach:
    """Return who may connect to *address*.

    If it embeds IPv4 addresses, the strictest rule of all of them counts.
    """
    rules: Sequence[tuple[Reach, IPv4Network | IPv6Network]]
    rules = _RULES_V4 if isinstance(address, IPv4Address) else _RULES_V6
    first = next((reach for reach, network in rules if address in network), Reach.PUBLIC)
    reaches = [first, *(reach(carried) for carried in _carried(address))]
    return max(reaches, key=lambda each: each.value)


def _carried(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address carries."""
    if isinstance(address, IPv4Address):
        return
    bits = int(address)
    if bits <= 1:  # :: and ::1 are not IPv4-compatible addresses
        return
    for network, shift in _EMBEDDED:
        if address in network:
            yield IPv4Address(bits >> shift & 0xFFFFFFFF)
    if address in _TEREDO:
        yield IPv4Address(~bits & 0xFFFFFFFF)  # the client of Teredo, with every bit inverted
    if bits >> 32 & 0xFFFFFFFF in _ISATAP_INTERFACES:
        yield IPv4Address(bits & 0xFFFFFFFF)


def _parse_pack_entry(text: str) -> Entry:
    entry = Entry.parse(text)
    if entry.is_wildcard and "." not in entry.host:
        raise HostError("is too wide; `*.` is followed by a name of two or more parts")
    return entry


def _split_port(text: str) -> tuple[str, frozenset[int]]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (text.startswith("[") and "]" not in text):
        return text, DEFAULT_PORTS
    if ":" in host and not host.endswith("]"):
        if "/" in text:
            raise HostError("is not a host; omit the scheme and the path")
        raise HostError("has more than one colon; write an IPv6 address in brackets")
    if _PORT.fullmatch(port) is None or int(port) > LARGEST_PORT:
        if port.startswith("//"):
            raise HostError("is not a host; omit the scheme and the path")
        raise HostError(f"has no port after its colon; write a number from 1 to {LARGEST_PORT}")
    return host, frozenset({int(port)})
